"""Components of the variance of d from samples [prompt, sample] of both sides. Pure.

`variance.py` prints them. Sample j of a prompt has the same seed on both sides, so the two are paired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.sim.simulation import Floats

RESAMPLES = 2000


@dataclass(frozen=True)
class Sides:
    """Scores of both sides and the slice of every prompt."""

    slices: npt.NDArray[np.str_]
    """[prompt]"""
    challenger: Floats
    champion: Floats
    """[prompt, sample]"""

    def by_slice(self) -> dict[str, Sides]:
        """Each slice alone."""
        names = dict.fromkeys(self.slices.tolist())
        return {name: self.of(np.flatnonzero(self.slices == name)) for name in names}

    def of(self, prompts: npt.NDArray[np.intp]) -> Sides:
        """Some prompts, possibly one more than once."""
        return Sides(self.slices[prompts], self.challenger[prompts], self.champion[prompts])


@dataclass(frozen=True)
class Components:
    """Parts of the variance of d; arrays when resampled."""

    prompt: Floats
    """Between prompts: of the difference of the two true means on a prompt."""
    challenger: Floats
    champion: Floats
    """Within a prompt, one sample."""
    shared: Floats
    """Covariance of two samples with one seed."""

    def variance(self, challenger: int, champion: int) -> Floats:
        """Variance of d with so many samples a side."""
        paired = min(challenger, champion) / (challenger * champion)
        sampling = self.challenger / challenger + self.champion / champion - 2 * self.shared * paired
        return np.asarray(self.prompt + sampling)


def components(sides: Sides) -> Components:
    """Unbiased components, pooled within slices with equal weight (blocks keep slices apart)."""
    return _pooled([_statistics(part)[None] for part in sides.by_slice().values()], sides, first=True)


def resampled_components(sides: Sides, count: int = RESAMPLES) -> Components:
    """The components of `count` bootstrap samples of prompts, drawn within slices."""
    rng = np.random.default_rng(0)
    parts = []
    for part in sides.by_slice().values():
        table = _statistics(part)
        parts.append(table[rng.integers(len(table), size=(count, len(table)))])
    return _pooled(parts, sides)


def _statistics(sides: Sides) -> Floats:
    """[prompt, 4]: variance within the challenger, within the champion, covariance, mean d."""
    ours = sides.challenger - sides.challenger.mean(1, keepdims=True)
    theirs = sides.champion - sides.champion.mean(1, keepdims=True)
    freedom = sides.challenger.shape[1] - 1
    d = sides.challenger.mean(1) - sides.champion.mean(1)
    sums = [(ours**2).sum(1), (theirs**2).sum(1), (ours * theirs).sum(1)]
    return np.stack([*(part / freedom for part in sums), d], axis=1)


def _pooled(parts: list[Floats], sides: Sides, *, first: bool = False) -> Components:
    """From statistics [resample, prompt, 4] of each slice."""
    samples = sides.challenger.shape[1]
    means = np.mean([part[..., :3].mean(axis=1) for part in parts], axis=0)
    spread = np.mean([part[..., 3].var(axis=1, ddof=1) for part in parts], axis=0)
    ours, theirs, shared = np.moveaxis(means, -1, 0)
    prompt = spread - (ours + theirs - 2 * shared) / samples
    found = (prompt, ours, theirs, shared)
    return Components(*(part[0] for part in found)) if first else Components(*found)


def tie_share(sides: Sides, challenger: int, champion: int) -> float:
    """Share of prompts with d = 0 exactly, by the first samples of each side."""
    ours, theirs = sides.challenger[:, :challenger].mean(1), sides.champion[:, :champion].mean(1)
    return float(np.mean(ours == theirs))


def shown(value: float | Floats, tries: Floats) -> str:
    """A number with its 95% bootstrap interval."""
    low, high = np.quantile(tries, [0.025, 0.975])
    return f"{float(value):.3f} [{low:.3f}, {high:.3f}]"
