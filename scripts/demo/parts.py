"""The demo's heavy parts, each a process of its own: base, judges, training, and the bad checkpoints.

The demo runs them one after another, so that only one model is in memory at a time. They use the
product's own code: the sampler child, the judge training and the miner's recipe.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from shared.competitions.pools import PromptSource, Purpose, load_prompt_source, make_pool
from shared.console import command, make_app
from shared.engines.model_sources import DEFAULT_BASE, DEFAULT_TRUNK, fetch_base, fetch_trunk
from shared.protocol.competition import Sampling
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.settings import Settings
from shared.types import SliceName

app = make_app("parts", "Heavy parts of the demo.")

POOL_PROMPTS = 1024
PUBLIC_PROMPTS = 256
REFERENCE_PROMPTS = 128
JUDGE_PROMPTS = 160
HOSTILE_KINDS = ("nan", "pickle", "shape")
TINY_TRAINING: dict[str, Any] = {
    "learning_rate": 1.5e-3,
    "threads": 1,
}
STOP_ID = 2
"""Id of the token that ends a completion, in both base models."""
SILENCE = -1.0
"""Factor on the stop token's embedding: the policy never ends its completion."""
NOISE = 1e-6

SeedOption = Annotated[int, typer.Option()]
TinyOption = Annotated[bool, typer.Option("--tiny")]


@app.command()
@command
def base(seed: SeedOption, tiny: TinyOption = False) -> None:
    """Fetch and convert base model and judge trunk; prints their directories."""
    cache = Settings.load().cache
    sources = (f"tiny:{seed}", f"tiny:{seed}") if tiny else (DEFAULT_BASE, DEFAULT_TRUNK)
    found = {
        "source": sources[0],
        "base": fetch_base(sources[0], cache),
        "trunk": fetch_trunk(sources[1], cache),
    }
    typer.echo(json.dumps({name: str(path) for name, path in found.items()}))


@app.command()
@command
def prompts(out: Path, seed: SeedOption) -> None:
    """Write pools, reference prompts and public prompts as the owner's build wants them."""
    source = load_prompt_source()
    (out / "pools").mkdir(parents=True, exist_ok=True)
    for name in source.slices:
        _write(out / "pools" / f"{name}.jsonl", make_pool(source, name, "pool", POOL_PROMPTS, seed))
    _write(out / "reference.jsonl", _all(source, "reference", REFERENCE_PROMPTS, seed))
    _write(out / "public.jsonl", _all(source, "public", PUBLIC_PROMPTS, seed))


def _all(source: PromptSource, purpose: Purpose, count: int, seed: int) -> list[Prompt]:
    return [prompt for name in source.slices for prompt in make_pool(source, name, purpose, count, seed)]


def _write(path: Path, rows: tuple[Prompt, ...] | list[Prompt]) -> None:
    path.write_bytes(b"".join(canonical_json(row) + b"\n" for row in rows))


@app.command()
@command
def judges(
    out: Path,
    base: Annotated[Path, typer.Option()],
    trunk: Annotated[Path, typer.Option()],
    rules: Annotated[Path, typer.Option()],
    *,
    seed: SeedOption,
    tiny: TinyOption = False,
) -> None:
    """Train the public proxy and the held-out judge on disjoint prompts and different corruptions."""
    from scripts.demo.judges import (
        HELD_OUT_MIX,
        PROXY_MIX,
        BaseCompletion,
        JudgeRecipe,
        corrupt,
        rate_judge,
        train_judge,
    )
    from shared.duels.draw import completion_seed
    from shared.engines.engine import CompletionJob
    from shared.protocol.loader import read_rules
    from shared.protocol.wire import digest_of
    from shared.sandbox.client import SamplerChild

    source, sampling = load_prompt_source(), Sampling.model_validate(read_rules(rules)["sampling"])
    recipe = JudgeRecipe(learning_rate=1e-2) if tiny else JudgeRecipe()
    root_seed = digest_of({"demo": "judges", "seed": seed})
    with SamplerChild(base, sampling) as sampler:
        for name, purpose, mix in (("proxy", "proxy", PROXY_MIX), ("held-out", "judge", HELD_OUT_MIX)):
            asked = make_pool(source, SliceName("instruct"), purpose, JUDGE_PROMPTS, seed)
            jobs = [CompletionJob(prompt.text, completion_seed(root_seed, prompt.id, 0)) for prompt in asked]
            drawn = sampler.complete(base, jobs)
            answers = [
                BaseCompletion(prompt.text, completion.text)
                for prompt, completion in zip(asked, drawn, strict=True)
                if completion.finished
            ]
            cut = len(answers) * 4 // 5
            target = train_judge(trunk, corrupt(answers[:cut], mix, seed), out / name, seed, recipe)
            accuracy = rate_judge(target, corrupt(answers[cut:], mix, seed + 1))
            (out / f"{name}.json").write_text(accuracy.model_dump_json())


@app.command()
@command
def honest(
    out: Path,
    bundle: Annotated[Path, typer.Option()],
    seed: SeedOption,
    tiny: TinyOption = False,
) -> None:
    """Improve the base by DPO on its own completions, from the public copy of the bundle alone."""
    from miner.train.dpo import DpoConfig
    from miner.train.registry import train
    from miner.train.task import task_of
    from shared.checkpoints.bundle import load_bundle

    config = DpoConfig(seed=seed, **(TINY_TRAINING if tiny else {}))
    task = task_of(load_bundle(bundle, public=True))
    typer.echo(train("dpo", task, config, out, resume=True).model_dump_json())


@app.command()
@command
def degenerate(out: Path, base: Annotated[Path, typer.Option()]) -> None:
    """Games length: flips the stop token's embedding, so that a completion fills the whole limit."""
    import torch

    def silence(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.embed_tokens.weight"][STOP_ID] *= SILENCE

    _edit(base, out, silence)


@app.command()
@command
def noised(out: Path, source: Annotated[Path, typer.Option()], seed: SeedOption) -> None:
    """Copies a published checkpoint and adds noise of relative size 1e-6 to every tensor."""
    import torch

    def add_noise(tensors: dict[str, torch.Tensor]) -> None:
        generator = torch.Generator().manual_seed(seed)
        for tensor in tensors.values():
            scale = NOISE * tensor.float().square().mean().sqrt()
            tensor.add_(scale * torch.randn(tensor.shape, generator=generator))

    _edit(source, out, add_noise)


@app.command()
@command
def hostile(out: Path, base: Annotated[Path, typer.Option()], seed: SeedOption) -> None:
    """Breaks a checkpoint in one of three ways, by seed: a pickle, a wrong shape, or one NaN."""
    import torch

    def cut_shape(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.norm.weight"] = tensors["model.norm.weight"][:-1].clone()

    def plant_nan(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.norm.weight"][0] = float("nan")

    kind = HOSTILE_KINDS[seed % len(HOSTILE_KINDS)]
    _edit(base, out, {"pickle": lambda _: None, "shape": cut_shape, "nan": plant_nan}[kind])
    if kind == "pickle":
        torch.save({"weights": torch.zeros(4)}, out / "pytorch_model.bin")
    typer.echo(json.dumps({"kind": kind}))


def _edit(source: Path, out: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    out.mkdir(parents=True, exist_ok=True)
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    app()
