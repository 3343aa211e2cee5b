"""The seeded sampler `race-1` and teacher-forced log-probabilities.

The sampler child runs it, and nothing else decides which tokens a policy draws. One seed per
sequence and one exponential race per step: a completion depends on policy, prompt and seed, never on the
rows that happened to run beside it. Two policies that give nearly the same probabilities draw the same
token nearly always, which an inverse CDF, where every boundary shifts, does not do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from shared.engines.hf import Policy
from shared.errors import Rejection
from shared.protocol.competition import Sampling

Floats = npt.NDArray[np.float64]

SPARE_COLUMNS = 64
"""Cache columns beyond the longest row: one shift of the buffers in so many steps."""
LOGIT_BUDGET = 2**25
"""Most logits that one teacher-forced pass may hold (float32: 128 MiB)."""


@dataclass(frozen=True)
class Request:
    """One completion to draw."""

    prompt_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Drawn:
    """One drawn completion; a stop token, when drawn, is the last id."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Of each token at the sampling temperature, nats."""
    finished: bool


@dataclass
class _Row:
    index: int
    prompt_tokens: int
    seed: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Position of the last drawn token."""
        return self.prompt_tokens + len(self.token_ids) - 1


def uniforms(seed: int, step: int, count: int) -> Floats:
    """`count` uniforms in [0, 1) of one step of a sequence, 53 bits each, float64.

    Philox4x64-10 (Salmon et al. 2011) with the seed as key and the step in the counter's second word: the
    same on every platform and numpy version.
    """
    raw = np.random.Philox(key=seed, counter=step << 64).random_raw(count)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


@torch.inference_mode()
def sample(policy: Policy, requests: Sequence[Request], rules: Sampling) -> list[Drawn]:
    """One completion per request, in order.

    Rows run in a batch of at most `rules.engine.batch`, longest prompts first; a finished row leaves at
    once and a waiting one takes its place. Raises Rejection `non_finite_policy`.
    """
    if not requests:
        return []
    return _Run(policy, requests, rules).finish()


class _Run:
    """The rows of one call that are in the batch, and those that wait."""

    def __init__(self, policy: Policy, requests: Sequence[Request], rules: Sampling) -> None:
        self.policy, self.requests, self.rules = policy, requests, rules
        self.stop = frozenset(rules.stop_ids)
        order = sorted(range(len(requests)), key=lambda i: (-len(requests[i].prompt_ids), i))
        self.waiting = deque(order)
        self.batch = min(rules.engine.batch, len(requests))
        longest = len(requests[order[0]].prompt_ids)
        self.cache = policy.new_cache(self.batch, longest + rules.limits.new_tokens + SPARE_COLUMNS)
        self.rows: list[_Row] = []
        self.drawn: dict[int, Drawn] = {}

    def finish(self) -> list[Drawn]:
        """Run until every request is answered."""
        enough = max(1, self.batch // 8)
        while self.waiting or self.rows:
            free = self.batch - len(self.rows)
            if self.waiting and free >= min(enough, len(self.waiting)):
                self._admit(free)
            if self.rows:
                self._step()
        return [self.drawn[index] for index in range(len(self.requests))]

    def _admit(self, free: int) -> None:
        """Prefill waiting prompts (each distinct prompt once), draw their first tokens, seat them."""
        indices = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        prompts = list(dict.fromkeys(self.requests[index].prompt_ids for index in indices))
        logits, cache, mask = self.policy.prefill(prompts)  # [prompts, vocab], mask [prompts, width]
        sources = [prompts.index(self.requests[index].prompt_ids) for index in indices]
        rows = [self._row(index) for index in indices]
        open_rows = self._draw(logits[torch.tensor(sources)], rows)  # [new rows, vocab]
        if open_rows:
            self.cache.put(cache, mask, [sources[place] for place in open_rows])
            self.rows += [rows[place] for place in open_rows]

    def _row(self, index: int) -> _Row:
        request = self.requests[index]
        return _Row(index, len(request.prompt_ids), request.seed)

    def _step(self) -> None:
        tokens = [row.token_ids[-1] for row in self.rows]
        logits = self.policy.step(self.cache, tokens, [row.position for row in self.rows])  # [rows, vocab]
        still_open = set(self._draw(logits, self.rows))
        for place in reversed(range(len(self.rows))):
            if place not in still_open:
                self.cache.remove(place)
                self.rows[place] = self.rows[-1]
                self.rows.pop()

    def _draw(self, logits: Tensor, rows: Sequence[_Row]) -> list[int]:
        """Draw the next token of every row; store the finished ones and return the places of the others."""
        points = np.stack(
            [uniforms(row.seed, len(row.token_ids), logits.shape[1]) for row in rows]
        )  # [rows, vocab]
        tokens, logprobs = draw(logits, points, self.rules.temperature)
        open_rows = []
        for place, (row, token, logprob) in enumerate(zip(rows, tokens, logprobs, strict=True)):
            row.token_ids.append(token)
            row.logprobs.append(logprob)
            finished = token in self.stop
            if finished or len(row.token_ids) == self.rules.limits.new_tokens:
                self.drawn[row.index] = Drawn(tuple(row.token_ids), tuple(row.logprobs), finished)
            else:
                open_rows.append(place)
        return open_rows


def draw(logits: Tensor, points: Floats, temperature: float) -> tuple[list[int], list[float]]:
    """Exponential race per row: the token whose arrival time -ln(u) / p comes first wins with probability p.

    `logits` and `points` (the u) are [n, vocab]; softmax and times in float64. This is the Gumbel-max
    trick (Maddison et al. 2014, "A* Sampling") without its second logarithm. Returns tokens and
    their log-probabilities. Raises Rejection `non_finite_policy`.
    """
    _require_finite(logits)
    mass = torch.softmax(logits.double() / temperature, dim=-1)  # [rows, vocab]
    times = torch.from_numpy(points).log().neg_()  # infinite where u is 0: that token never arrives
    tokens = (mass / times).argmax(dim=-1, keepdim=True)  # [rows, 1]
    logprobs = mass.gather(1, tokens).log()  # [rows, 1]
    return tokens[:, 0].tolist(), logprobs[:, 0].tolist()


@torch.inference_mode()
def score_tokens(
    policy: Policy, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], rules: Sampling
) -> list[list[float]]:
    """Log-probability of every token of each (prompt, completion) pair of ids at the rules' temperature.

    In nats. Raises Rejection `non_finite_policy`.
    """
    results: dict[int, list[float]] = {index: [] for index in range(len(pairs))}
    order = sorted(
        (index for index in results if pairs[index][1]),
        key=lambda index: (-len(pairs[index][0]) - len(pairs[index][1]), index),
    )
    widest = max((len(answer) for _, answer in pairs), default=1)
    group = max(1, min(rules.engine.batch, LOGIT_BUDGET // (policy.vocab_size * max(1, widest))))
    for start in range(0, len(order), group):
        indices = order[start : start + group]
        logits = policy.read([pairs[index][0] for index in indices], [pairs[index][1] for index in indices])
        for index, row in zip(indices, logits, strict=True):
            _require_finite(row)
            scaled = row.double() / rules.temperature
            tokens = torch.tensor(pairs[index][1]).unsqueeze(1)
            results[index] = (scaled.gather(1, tokens)[:, 0] - scaled.logsumexp(-1)).tolist()
    return [results[index] for index in range(len(pairs))]


def _require_finite(logits: Tensor) -> None:
    if not bool(torch.isfinite(logits).all()):
        raise Rejection("non_finite_policy", "the policy's logits are not finite")
