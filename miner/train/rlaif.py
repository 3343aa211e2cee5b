"""RLAIF: constitutional AI (Bai et al. 2022), in two stages that need no human label.

First the policy completes a prompt, criticises that by a principle and revises it; it learns the revisions.
Then a judge model prefers one of two new completions by a principle, and the policy learns that by DPO.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from miner.train.completions import (
    DrawnCompletion,
    by_prompt,
    choose_prompts,
    completion_seed,
    draw_completions,
)
from miner.train.constitution import Constitution, Principle, read_constitution
from miner.train.data import IGNORED, Rendered
from miner.train.dpo import IdPair, dpo_trainer
from miner.train.preferring import Judge, open_judge
from miner.train.report import Outcome
from miner.train.settings import TrainConfig
from miner.train.sft import sft_trainer
from miner.train.task import TrainingTask
from miner.train.trainer import Parts, train_policy
from miner.train.workspace import Workspace
from shared.engines.hf import Policy, load_policy
from shared.engines.sampler import Drawn, Request, sample
from shared.errors import AgonError
from shared.judging.gates import is_text, loops
from shared.judging.pairwise import Preference
from shared.protocol.competition import Sampling
from shared.settings import Settings

DIALOGUE_TOKENS = 1024
"""Longest question about a completion."""
QUESTIONS = {
    "critique": "{prompt}\n\nAnswer: {answer}\n\n{ask}",
    "revision": "{prompt}\n\nAnswer: {answer}\n\nCritique: {critique}\n\n{ask}",
}


class RlaifConfig(TrainConfig):
    """Settings of `rlaif`."""

    constitution: Path
    """TOML file with `[[principles]]`: name, critique, revise, prefer."""
    judge: str = "proxy"
    """Who prefers: an OpenAI-compatible URL, a directory of a checkpoint or reward model, or `proxy`."""
    judge_model: str = "default"
    """Name of the model behind a URL; its key is read from AGON_JUDGE_KEY."""
    prompts: int = Field(default=80, ge=2)
    """Public prompts for each of the two stages, shared evenly by the slices."""
    samples: int = Field(default=4, ge=2, multiple_of=2)
    """Completions per prompt in the second stage, compared two by two."""
    critique_tokens: int = Field(default=96, ge=8)
    """Longest critique; revisions keep the competition's limit."""
    preferred_only: bool = True
    """Learn only revisions that the judge prefers: a small policy often revises for the worse."""
    epochs: int = Field(default=1, ge=1)
    """Passes over the revisions, and over the pairs."""
    batch: int = Field(default=4, ge=1)
    """Rows or pairs per device and forward pass."""
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    """Peak of both schedules."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull back to the policy that the second stage starts from."""


def run_rlaif(task: TrainingTask, config: RlaifConfig, space: Workspace) -> Outcome:
    """Both stages. Raises AgonError `data_invalid` for a bad constitution or when no preference is left."""
    constitution = read_constitution(config.constitution)
    key = Settings.load().judge_key
    judge = open_judge(config.judge, config.judge_model, task.proxy, key.get_secret_value() if key else None)
    try:
        revisions = space.file("revisions", lambda: _revise(task, config, constitution, judge, space))
        kept = [row for row in revisions if row["kept"]]
        if kept:
            task = replace(task, start=_learn_revisions(task, config, space, kept))
        else:
            space.talk("no revision was better than its completion: the first stage is left out")
        labels = space.file("labels", lambda: _label(task, config, constitution, judge, space))
    finally:
        judge.close()
    pairs = [row for row in labels if row["prefers"] != Preference.TIE]
    if not pairs:
        raise AgonError("data_invalid", f"the judge prefers none of {len(labels)} pairs in both orders")
    result = _learn_preferences(task, config, space, pairs)
    measures: dict[str, float] = {
        "revisions": len(revisions),
        "revisions_kept": len(kept),
        "compared": len(labels),
        "pairs": len(pairs),
    }
    return Outcome(result, measures, sum(row["tokens"] for row in revisions + labels))


def _principle(constitution: Constitution, seed: int, prompt: str) -> Principle:
    """One principle for each prompt, at random: as in the paper, each completion meets few of them."""
    return random.Random(completion_seed(seed, prompt)).choice(constitution.principles)


def _revise(
    task: TrainingTask, config: RlaifConfig, constitution: Constitution, judge: Judge, space: Workspace
) -> list[dict[str, Any]]:
    """Answer, critique and revision of every prompt, as rows."""
    prompts = choose_prompts(task.prompts, config.prompts)
    space.talk(f"answering, criticising and revising {len(prompts)} prompts")
    completions = draw_completions(task, prompts, 1, seed=config.seed)
    policy = load_policy(task.base, task.start)
    chosen = [_principle(constitution, config.seed, prompt.id) for prompt in prompts]

    def ask(kind: str, fields: Sequence[dict[str, str]]) -> list[tuple[Drawn, str]]:
        questions = [QUESTIONS[kind].format(**row) for row in fields]
        rules = task.sampling
        if kind == "critique":
            limits = rules.limits.model_copy(update={"new_tokens": config.critique_tokens})
            rules = rules.model_copy(update={"limits": limits})
        return _ask(policy, rules, questions, completion_seed(config.seed, kind))

    first = [
        {"prompt": completion.prompt.text, "answer": completion.text, "ask": rule.critique}
        for completion, rule in zip(completions, chosen, strict=True)
    ]
    critiques = ask("critique", first)
    second = [
        {**row, "critique": critique, "ask": rule.revise}
        for row, (_, critique), rule in zip(first, critiques, chosen, strict=True)
    ]
    rows = []
    for completion, rule, (thought, critique), (drawn, text) in zip(
        completions, chosen, critiques, ask("revision", second), strict=True
    ):
        sound = drawn.finished and is_text(text) and not loops(text) and text != completion.text
        better = sound and (
            not config.preferred_only
            or judge.prefer(rule, completion.prompt.text, text, completion.text) is Preference.FIRST
        )
        rows.append(
            {
                "prompt": completion.prompt.text,
                "principle": rule.name,
                "answer": completion.text,
                "critique": critique,
                "revision": text,
                "prompt_ids": completion.prompt_ids,
                "revision_ids": drawn.token_ids,
                "kept": better,
                "tokens": len(completion.token_ids) + len(thought.token_ids) + len(drawn.token_ids),
            }
        )
    return rows


def _ask(policy: Policy, rules: Sampling, questions: Sequence[str], seed: int) -> list[tuple[Drawn, str]]:
    requests = [
        Request(policy.render(question, DIALOGUE_TOKENS), completion_seed(seed, index))
        for index, question in enumerate(questions)
    ]
    drawn = sample(policy, requests, rules)
    return [(row, policy.text(row.token_ids[:-1] if row.finished else row.token_ids)) for row in drawn]


def _learn_revisions(
    task: TrainingTask, config: RlaifConfig, space: Workspace, rows: Sequence[dict[str, Any]]
) -> Path:
    def build(parts: Parts) -> Any:
        rendered = [
            Rendered(
                row["prompt_ids"] + row["revision_ids"],  # [tokens]
                [IGNORED] * len(row["prompt_ids"]) + row["revision_ids"],  # [tokens]
            )
            for row in rows
        ]
        return sft_trainer(parts, rendered)

    return train_policy(space, "revisions-sft", config, task, build)


def _label(
    task: TrainingTask, config: RlaifConfig, constitution: Constitution, judge: Judge, space: Workspace
) -> list[dict[str, Any]]:
    """Pairs of new completions with the judge's preference, as rows."""
    prompts = choose_prompts(task.prompts, config.prompts)
    space.talk(f"sampling and comparing completions of {len(prompts)} prompts")
    completions = draw_completions(task, prompts, config.samples, seed=completion_seed(config.seed, "labels"))
    return [
        {
            "prompt_ids": one.prompt_ids,
            "first_ids": one.token_ids,
            "second_ids": two.token_ids,
            "prefers": _prefer(judge, _principle(constitution, config.seed, one.prompt.id), one, two),
            "tokens": len(one.token_ids) + len(two.token_ids),
        }
        for one, two in _couples(completions)
    ]


def _couples(completions: Sequence[DrawnCompletion]) -> Iterator[tuple[DrawnCompletion, DrawnCompletion]]:
    for group in by_prompt(completions, lambda _: 0.0):
        yield from zip(group[0::2], group[1::2], strict=True)


def _prefer(judge: Judge, principle: Principle, one: DrawnCompletion, two: DrawnCompletion) -> Preference:
    """A finished completion beats an unfinished one; the judge decides between finished ones."""
    if one.finished != two.finished:
        return Preference.FIRST if one.finished else Preference.SECOND
    if one.text == two.text or not one.finished:
        return Preference.TIE
    return judge.prefer(principle, one.prompt.text, one.text, two.text)


def _learn_preferences(
    task: TrainingTask, config: RlaifConfig, space: Workspace, rows: Sequence[dict[str, Any]]
) -> Path:
    def build(parts: Parts) -> Any:
        pairs = []
        for row in rows:
            sides = [row["first_ids"], row["second_ids"]]  # [completion tokens] each
            chosen, rejected = sides if row["prefers"] == Preference.FIRST else reversed(sides)
            pairs.append(IdPair(row["prompt_ids"], chosen, rejected))
        return dpo_trainer(parts, pairs, config.beta)

    return train_policy(space, "preferences-dpo", config, task, build)
