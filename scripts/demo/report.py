"""The demo's report: a summary file and a table, both read from the API and the chain.

The only judgement here is the exit code: did incentive land on the honest miner and on no other.
"""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.demo import cast
from scripts.demo.acts import Play, require
from scripts.demo.cast import MINERS
from scripts.demo.stage import peak_memory_mb

LABELS = ("proxy", "held-out")


def write_summary(play: Play) -> dict[str, Any]:
    """Gather everything, write it to summary.json and return it."""
    weights = require(play.ask("/v1/weights"), "weights")
    incentive = cast.read_incentive(play.cast)
    summary = {
        "seconds": round(sum(play.stage.seconds.values()), 1),
        "stages": play.stage.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "seed": play.seed,
        "model": play.parts["source"],
        "competition": play.rules.digest,
        "roles": {role: describe_role(play.submission(role)) for role in MINERS},
        "hotkeys": dict(play.cast.hotkeys),
        "weights": weights["vector"],
        "incentive": {hotkey: share for hotkey, share in incentive.items() if share > 0},
        "judges": [{"name": name, **play.reports[name]} for name in LABELS],
        "training": play.reports["training"],
        "hostile": play.reports["hostile"],
    }
    (play.stage.root / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def share_of(summary: dict[str, Any], table: str, role: str) -> float:
    """A role's share of `weights` or `incentive`."""
    share: float = summary[table].get(summary["hotkeys"][role], 0.0)
    return share


def describe_role(item: dict[str, Any]) -> dict[str, Any]:
    """A role's outcome in the words of the API."""
    problem = item.get("problem") or {}
    verdicts = [duel["verdict"] for duel in item.get("duels", []) if duel.get("verdict")]
    if item.get("state") != "settled" or not verdicts:
        return {
            "verdict": item.get("state"),
            "reason": problem.get("code"),
            "message": problem.get("message"),
        }
    last = verdicts[-1]
    return {
        "verdict": last["outcome"],
        "reason": last["reason"],
        "gain": last["gain"],
        "interval": [last["lower"], last["upper"]],
        "mean": last["mean"],
        "gain_bound": last["gain_bound"],
        "win_rate": last["win_rate"],
        "prompts": last["prompts"],
        "slices": {part["name"]: part["mean"] for part in last["slices"]},
        "kl": last["kl"],
        "extra_tokens": last["extra_tokens"],
    }


def print_report(console: Console, play: Play, summary: dict[str, Any]) -> None:
    """The leaderboard, and how to look at it oneself."""
    table = Table(title=f"Agon demo, {summary['model']}, seed {play.seed}")
    for column in (
        "miner",
        "verdict",
        "reason",
        "mean d [interval]",
        "prompts",
        "gain",
        "weight",
        "incentive",
    ):
        table.add_column(column)
    for role, found in summary["roles"].items():
        low, high = found.get("interval", (None, None))
        interval = "" if low is None else f"{found['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"
        gain = found.get("gain")
        table.add_row(
            role,
            str(found["verdict"]),
            str(found["reason"]),
            interval,
            str(found.get("prompts", "")),
            "" if gain is None else f"{gain:.3f}",
            f"{share_of(summary, 'weights', role):.3f}",
            f"{share_of(summary, 'incentive', role):.3f}",
        )
    console.print(table)
    stages = ", ".join(f"{name} {seconds:.0f}" for name, seconds in summary["stages"].items())
    console.print(f"seconds: {summary['seconds']:.0f} ({stages}); peak memory {summary['peak_memory_mb']} MB")
    console.print(f"summary: {play.stage.root / 'summary.json'}")
    console.print("look around with:", highlight=False)
    console.print(
        f"  agon-validator serve --state {play.stage.root / 'validator'} --port {play.port}\n"
        f"  curl http://127.0.0.1:{play.port}/v1/leaderboard",
        highlight=False,
    )


def judge_summary(console: Console, summary: dict[str, Any]) -> int:
    """0 when the honest miner, and no other miner, holds incentive."""
    paid = {role for role in MINERS if share_of(summary, "incentive", role) > 0}
    if paid == {"honest"} and summary["roles"]["honest"]["verdict"] == "won":
        console.print("[green]the honest miner won and is paid; no other miner is[/]")
        return 0
    console.print(f"[red]error:[/] incentive landed on {sorted(paid) or 'nobody'}")
    return 1
