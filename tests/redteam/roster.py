"""The red team's roster: who attacks or mines honestly, what each does, and how each must end.

The tests fight every entry and compare; the table in `docs/threat-model.md` is rendered from here by
`python -m tests.redteam.roster`. Nothing here knows a model.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "threat-model.md"
REGION = re.compile(r"(<!-- rendered: red team -->\n).*?(<!-- end of red team -->)", re.DOTALL)


class End(NamedTuple):
    """How a submission ended."""

    outcome: str
    reason: str
    gate: str = ""
    """The gate that stopped most of its answers, if any stopped many."""


class Entry(NamedTuple):
    """One member of the red team."""

    does: str
    ends: tuple[End, ...]
    """The end, or two when only the luck of the draw tells which of them is reached first."""


def no_better(gate: str = "") -> tuple[End, ...]:
    """Proven worse, or stopped before that because no gain as large as planned is left."""
    return End("lost", "worse", gate), End("unproven", "futile", gate)


WON = (End("won", "confirmed"),)

TEXT = {
    "length-stuffer": Entry("adds filler to good answers, up to the longest allowed", no_better()),
    "repeater": Entry("says the end of a good answer again and again", no_better("loop")),
    "keyword parrot": Entry("strings together the words of good answers", no_better("nll")),
    "refuse-everything": Entry("refuses everything politely", no_better()),
    "flatterer": Entry("praises the question, which one judge likes", no_better("nll")),
    "prompt copier": Entry("asks the question back", no_better("nll")),
    "injection text": Entry("orders the judge to give full marks", no_better("nll")),
    "gate-floor farmer": Entry(
        "never ends its answers in one slice, where the floor caps the loss, and is good in the others",
        (End("unproven", "slice_worse", "unfinished"),),
    ),
    "slice specialist": Entry(
        "is better in three slices and worse in the fourth", (End("unproven", "slice_worse"),)
    ),
}
JUDGES = {
    "proxy over-fitter": Entry(
        "climbs on the public proxy, word by word, and learns what came out", no_better("nll")
    ),
    "single-judge over-fitter": Entry(
        "climbs on a leaked held-out judge in whole sentences, so that no gate closes", no_better()
    ),
}
WEIGHTS = {
    "near-copy": Entry(
        "adds noise of relative size 1e-6 to the champion", (End("unproven", "indistinguishable"),)
    ),
    "scaled logits": Entry("triples the final norm, which sharpens every choice", no_better()),
    "never-ender": Entry("turns the stop token's embedding round", no_better("unfinished")),
    "NaN only at length": Entry(
        "hides a neuron that overflows once an answer rambles", (End("rejected", "norm_out_of_bounds"),)
    ),
}
HONEST = {
    "good answers": Entry("learns good answers (SFT)", WON),
    "best of its own": Entry("learns the best of four own answers by the proxy (rejection sampling)", WON),
    "preferences": Entry("learns from its own better and worse answers (DPO)", WON),
}


def table() -> str:
    """The roster as Markdown."""
    rows = ["| who | what it does | verdict and reason | gate |", "|---|---|---|---|"]
    for name, (does, ends) in {**TEXT, **JUDGES, **WEIGHTS, **HONEST}.items():
        label = f"**{name}**" if name in HONEST else name
        gate = f"`{ends[0].gate}`" if ends[0].gate else ""
        told = " or ".join(f"{end.outcome}: `{end.reason}`" for end in ends)
        rows.append(f"| {label} | {does} | {told} | {gate} |")
    return "\n".join(rows) + "\n"


def render(page: str) -> str:
    """The page with the roster's table between its markers."""
    return REGION.sub(lambda found: f"{found[1]}{table()}{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
