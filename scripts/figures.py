"""The picture of the four steps in the README, drawn as an SVG without any library.

`python scripts/figures.py` writes `docs/figures/steps.svg`; a test draws it again and compares. Text stands
on filled boxes and arrows are of a middle grey, so the picture reads on a light page and on a dark one.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

PATH = Path(__file__).parents[1] / "docs" / "figures" / "steps.svg"

STEPS = (
    ("1  Train", "miner", ("improves the champion", "or the base model", "by post-training")),
    ("2  Commit", "miner", ("puts a digest on chain;", "the files stay private", "until the round closes")),
    ("3  Duel", "validator", ("challenger and champion", "meet on unseen prompts,", "under held-out judges")),
    ("4  Paid", "chain", ("weights follow the gain", "that the duel proved;", "the rest burns")),
)
"""Title, who acts, and three lines for each step."""

COLOURS = {"miner": "#1d4ed8", "validator": "#7c3aed", "chain": "#047857"}
"""White text on each has a contrast of at least 5 to 1."""
GREY = "#7d8590"
BOX, GAP, HEIGHT, EDGE = 208, 36, 150, 8
BACK = 34
"""Depth of the arrow that leads back to the first step."""


def steps() -> str:
    """The SVG text; the same text every time."""
    width = 2 * EDGE + len(STEPS) * BOX + (len(STEPS) - 1) * GAP
    parts = [_box(EDGE + index * (BOX + GAP), *step) for index, step in enumerate(STEPS)]
    parts += [_arrow(EDGE + BOX + index * (BOX + GAP)) for index in range(len(STEPS) - 1)]
    parts.append(_way_back(width))
    label = ". ".join(f"{title} ({actor}): {' '.join(lines)}" for title, actor, lines in STEPS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT + BACK + 2 * EDGE}" role="img"'
        f' font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">\n'
        f"<title>{escape(label)}</title>\n"
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
        f' markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z" fill="{GREY}"/></marker>'
        "</defs>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _box(left: int, title: str, actor: str, lines: tuple[str, ...]) -> str:
    text = [
        _text(left, 34, title, size=20, weight=700),
        _text(left, 56, actor, size=13, style="italic"),
        *(_text(left, 84 + 20 * index, line, size=14) for index, line in enumerate(lines)),
    ]
    box = (
        f'<rect x="{left}" y="{EDGE}" width="{BOX}" height="{HEIGHT}" rx="10" fill="{COLOURS[actor]}"'
        f' stroke="{GREY}"/>'
    )
    return "\n".join((box, *text))


def _text(left: int, down: int, text: str, *, size: int, weight: int = 400, style: str = "normal") -> str:
    return (
        f'<text x="{left + 14}" y="{EDGE + down}" font-size="{size}" font-weight="{weight}"'
        f' font-style="{style}" fill="#ffffff" xml:space="preserve">{escape(text)}</text>'
    )


def _arrow(left: int) -> str:
    middle = EDGE + HEIGHT // 2
    return _path(f"M{left + 4} {middle} H{left + GAP - 4}")


def _way_back(width: int) -> str:
    """From the last step below the others to the first: the crowned policy is what the next miner beats."""
    top, bottom = EDGE + HEIGHT + 4, EDGE + HEIGHT + BACK
    last, first = width - EDGE - BOX // 2, EDGE + BOX // 2
    return _path(f"M{last} {top} V{bottom} H{first} V{top}")


def _path(way: str) -> str:
    return f'<path d="{way}" fill="none" stroke="{GREY}" stroke-width="2.5" marker-end="url(#tip)"/>'


if __name__ == "__main__":
    PATH.write_text(steps(), encoding="utf-8")
