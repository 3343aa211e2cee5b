"""Prints demo runs side by side, from their summaries: what `docs/results/demo.md` records.

`python benchmarks/demo_record.py SUMMARY.json ...`; each `make demo` writes its own to
`.agon/demo/summary.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

STAGES = ("base", "judges", "reference", "chain", "training", "duels", "copies")
ROLES = ("honest", "copycat", "noised_copy", "degenerate", "hostile")

Run = dict[str, Any]


def outcome(run: Run, role: str) -> str:
    """What became of one miner."""
    told = run["roles"][role]
    text = f"{told['verdict']}, {told['reason']}"
    if role == "honest":
        low, high = told["interval"]
        text += f": d {told['mean']:+.3f} [{low:+.3f}, {high:+.3f}], {told['prompts']} prompts"
        text += f", gain {told['gain']:.3f}"
    return text


def print_record(runs: list[Run]) -> None:
    """One Markdown table, a column for each run."""
    rows: list[tuple[str, Callable[[Run], str]]] = [
        *((role.replace("_", " "), lambda run, role=role: outcome(run, role)) for role in ROLES),
        ("incentive: honest miner", lambda run: f"{incentive(run, 'honest'):.3f}"),
        ("incentive: owner, which burns it", lambda run: f"{incentive(run, 'owner'):.3f}"),
        ("incentive: anybody else", lambda run: f"{others(run):.3f}"),
        ("seconds in all", lambda run: f"{run['seconds']:.0f}"),
        *((f"seconds: {name}", lambda run, name=name: f"{run['stages'][name]:.0f}") for name in STAGES),
        ("peak memory of one process, MB", lambda run: str(run["peak_memory_mb"])),
    ]
    print("| | " + " | ".join(f"seed {run['seed']}" for run in runs) + " |")
    print("|---" * (len(runs) + 1) + "|")
    for name, show in rows:
        print(f"| {name} | " + " | ".join(show(run) for run in runs) + " |")


def incentive(run: Run, role: str) -> float:
    """A role's share of the epoch's incentive."""
    return float(run["incentive"].get(run["hotkeys"][role], 0.0))


def others(run: Run) -> float:
    """What everybody but the honest miner and the owner got."""
    known = {run["hotkeys"][role] for role in ("honest", "owner")}
    return float(sum(share for hotkey, share in run["incentive"].items() if hotkey not in known))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("summaries", nargs="+", type=Path)
    print_record([json.loads(path.read_text()) for path in parser.parse_args().summaries])
