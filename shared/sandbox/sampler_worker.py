"""The sampler child: `python -m shared.sandbox.sampler_worker`, started by `children.SamplerChild`.

It sees the base directory, checkpoint directories, prompt texts and seeds; no ledger, no judge, no key,
and where the system allows it no network. It keeps the last three models that it used.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import AgonError, Rejection
from shared.protocol.competition import Sampling
from shared.sandbox.worker import serve, thread_count

if TYPE_CHECKING:  # torch starts threads, so it is imported only after isolation
    from shared.engines.hf import Policy
    from shared.engines.sampler import Drawn

KEPT_MODELS = 3
"""Base, champion and challenger."""


class Worker:
    """Answers the parent's requests; one base and one set of sampling rules for its whole life."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[str, int, int], Policy] = OrderedDict()

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """`open` fixes base and rules; `complete` draws one completion per job."""
        if request["op"] == "open":
            import torch

            torch.set_num_threads(thread_count())
            self._base = Path(request["base"])
            self._rules = Sampling.model_validate(request["rules"])
            return {}
        checkpoint = Path(request["checkpoint"])
        return {
            "completions": self._complete(
                checkpoint, [(str(text), int(seed)) for text, seed in request["jobs"]]
            )
        }

    def _complete(self, checkpoint: Path, jobs: list[tuple[str, int]]) -> list[dict[str, Any]]:
        from shared.engines.sampler import Request, sample

        policy = self._model(checkpoint)
        limit = self._rules.limits.prompt_tokens
        requests = [Request(policy.render(text, limit), seed) for text, seed in jobs]
        drawn = sample(policy, requests, self._rules)
        logprobs = [sum(one.logprobs) for one in drawn]
        same = _key(checkpoint) == _key(self._base)
        base = logprobs if same else self._base_logprobs(requests, drawn)
        return [
            {
                "token_ids": one.token_ids,
                "text": policy.text(one.token_ids[:-1] if one.finished else one.token_ids),
                "finished": one.finished,
                "logprob": logprob,
                "base_logprob": base_logprob,
            }
            for one, logprob, base_logprob in zip(drawn, logprobs, base, strict=True)
        ]

    def _base_logprobs(self, requests: list[Any], drawn: list[Drawn]) -> list[float]:
        from shared.engines.sampler import score_tokens

        pairs = [(asked.prompt_ids, one.token_ids) for asked, one in zip(requests, drawn, strict=True)]
        try:
            scored = score_tokens(self._model(self._base), pairs, self._rules)
        except Rejection as error:  # the miner's tokens are valid input, so the base is at fault
            raise AgonError("base_unavailable", f"the base model: {error.message}") from error
        return [sum(row) for row in scored]

    def _model(self, directory: Path) -> Policy:
        from shared.engines.hf import load_policy

        key = _key(directory)
        if key not in self._models:
            while len(self._models) >= KEPT_MODELS:
                self._models.popitem(last=False)
            self._models[key] = load_policy(self._base, directory)
        self._models.move_to_end(key)
        return self._models[key]


def _key(directory: Path) -> tuple[str, int, int]:
    """Identifies the tensors in a directory, also after they were written again."""
    path = (directory / "model.safetensors").resolve()
    try:
        status = path.stat()
    except OSError as error:
        raise AgonError("child_failed", f"cannot read {path}: {error}") from error
    return str(path), status.st_mtime_ns, status.st_size


def main() -> None:
    """Serve the parent on the standard streams."""
    serve("sampler", Worker().handle, isolate=True)


if __name__ == "__main__":
    main()
