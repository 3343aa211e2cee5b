"""The command `agon-miner score`: its options, and how a dry run is printed.

`main.py` registers it. It decides nothing: `dry_run.py` samples, `score.py` measures, `shared.stats`
forecasts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.console import (
    ExitCode,
    JsonOption,
    command,
    print_fields,
    print_json,
    say,
    with_settings,
)
from shared.settings import Settings

if TYPE_CHECKING:
    from miner.dry_run.score import Score
    from shared.errors import Rejection
    from shared.types import JudgeName


@command
@with_settings("network", "state", "bundle", "api")
def score(
    settings: Settings,
    source: Annotated[Path, typer.Argument(help="Directory of the checkpoint.", show_default=False)],
    against: Annotated[
        str | None,
        typer.Option("--against", help="base, champion, or a directory. [champion with --api, else base]"),
    ] = None,
    judges: Annotated[
        Path | None, typer.Option("--judges", help="Directory of judges of your own, one directory each.")
    ] = None,
    prompts: Annotated[int, typer.Option("--prompts", min=4, help="Most public prompts to answer.")] = 256,
    runs: Annotated[int, typer.Option("--runs", min=10, help="Duels to simulate.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed takes other prompts.")] = 0,
    trial: Annotated[
        int | None, typer.Option("--trial", min=1, help="Round of the reign, instead of asking.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option("--slots", min=1, help="Slots of the round, instead of asking.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Do a dry run on public prompts and estimate the chance to win a real one."""
    root, api = settings.require_bundle(), settings.api
    from miner.dry_run.dry_run import open_dry_run
    from miner.dry_run.opponent import asked_conditions, assumed_conditions, find_opponent
    from miner.dry_run.score import score as play
    from shared.checkpoints.bundle import load_bundle

    loaded = load_bundle(root, public=True)
    findings = admission_findings(source, loaded)
    if findings:
        _refuse(findings, as_json=as_json)
    named = against or ("champion" if api else "base")
    opponent = find_opponent(settings, loaded, named, api)
    if api is None:
        conditions = assumed_conditions(loaded.rules, trial=trial, slots=slots)
    else:
        conditions = asked_conditions(api, trial=trial, slots=slots)
    own = judges_in(judges)
    say(f"answering up to {prompts} public prompts with both sides")
    with open_dry_run(loaded, own, prompts=prompts, seed=seed, state=settings.state) as dry_run:
        found = play(dry_run, source, opponent, conditions, against=named, runs=runs, seed=seed)
    print_json(found) if as_json else print_fields(shown(found))


def judges_in(root: Path | None) -> dict[JudgeName, Path]:
    """The judges below `root`, by the names of their directories. AgonError `usage` when there is none."""
    from shared.errors import AgonError
    from shared.types import JudgeName

    if root is None:
        return {}
    found = {JudgeName(path.parent.name): path.parent for path in sorted(root.glob("*/config.json"))}
    if not found:
        raise AgonError("usage", f"no directory below {root} holds a judge")
    return found


def admission_findings(source: Path, bundle: Any) -> list[Rejection]:
    """What admission would refuse; of an unpackaged checkpoint all but what packaging leaves out."""
    from miner.submit.check import check, refused_when_packaged
    from shared.protocol.manifest import MANIFEST_NAME

    packaged = (source / MANIFEST_NAME).exists()
    found = check(source, bundle).findings
    return list(found) if packaged else refused_when_packaged(found)


def shown(found: Score) -> dict[str, Any]:
    """The dry run as aligned lines for people."""
    lines: dict[str, Any] = {
        "against": f"{found.against}, {found.prompts} public prompts, judged by {', '.join(found.judges)}",
        "mean d": f"{found.mean:+.3f} [{found.lower:+.3f}, {found.upper:+.3f}] at 90%",
        "scores": f"{found.s_checkpoint:.3f} against {found.s_opponent:.3f}, win rate {found.win_rate:.3f}",
    }
    for part in found.slices:
        numbers = f"{part.mean:+.3f} [{part.lower:+.3f}, {part.upper:+.3f}], {part.prompts} prompts"
        lines[f"slice {part.name}"] = numbers
    gates = ", ".join(f"{name} {count}" for name, count in found.gates.items()) or "none"
    theirs = ", ".join(f"{name} {count}" for name, count in found.opponent_gates.items()) or "none"
    outcome = found.verdict and f"{found.verdict.outcome} ({found.verdict.reason})"
    terms = f"trial {found.trial}, {found.slots} slots, alpha {found.alpha:.2g}"
    lines |= {
        "kl": f"{found.kl:.2f} nats per completion, {found.kl_budget:g} allowed",
        "extra tokens": f"{found.extra_tokens:+.1f}",
        "gates closed": f"{gates}; opponent: {theirs}",
        "on these rows": outcome or "undecided: the rule would ask for more prompts",
        "conditions": f"{terms} ({found.conditions})",
        "chance this round": f"{found.chance_first:.2f}",
        f"chance in {found.rounds} rounds": f"{found.chance:.2f} +- {found.chance_error:.2f}",
        "prompts to win": found.prompts_to_win,
        "how it would end": ", ".join(f"{name} {share:.2f}" for name, share in found.ends.items()),
        "beware": "held-out judges may see it otherwise; an earlier winner of the round goes first",
    }
    return lines


def _refuse(findings: list[Rejection], *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": False, "findings": [finding.to_dict() for finding in findings]})
    for finding in [] if as_json else findings:
        typer.echo(f"{finding.code}: {finding.message}\n  help: {finding.help}")
    raise typer.Exit(ExitCode.FAULTS_FOUND)
