"""The commands `agon-validator evidence` and `replay`: hand out what a verdict rests on, and check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


@command
@with_settings("state", "ledger")
def evidence(
    settings: Settings,
    duel: Annotated[str, typer.Argument(help="Identifier of an ended duel.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.", show_default=False)],
) -> None:
    """Write everything that one of our verdicts rests on into a file. It shows prompts and rewards."""
    from shared.checkpoints.files import write_whole
    from shared.protocol.wire import canonical_json
    from validator.ledger.database import open_reader
    from validator.ledger.evidence import evidence_of

    found = open_reader(settings.ledger_url).run(evidence_of, duel)
    write_whole(out, canonical_json(found))
    say(f"{len(found.rows)} rows written to {out}; keep it private while its judges and prompts serve")


@command
@with_settings("bundle")
def replay(
    settings: Settings,
    file: Annotated[Path, typer.Argument(help="Evidence, as `agon-validator evidence` wrote it.")],
    judges: Annotated[
        bool, typer.Option("--judges", help="Make the raw rewards again too, with the bundle's judges.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that a signed verdict follows from its evidence. Exit code 3 when it does not."""
    from contextlib import ExitStack, closing

    from shared.checkpoints.bundle import load_bundle
    from shared.duels.replay import read_evidence
    from shared.duels.replay import replay as take_again
    from shared.sandbox.client import JudgeChild

    found, loaded = read_evidence(file), load_bundle(settings.require_bundle(), require_judges=judges)
    with ExitStack() as stack:
        child = (
            stack.enter_context(closing(JudgeChild(loaded.judges, terms=loaded.rules.judges)))
            if judges
            else None
        )
        checks = take_again(found, loaded, child)
    good = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": good, "checks": [vars(check) for check in checks]})
    else:
        print_fields({check.name: f"{'ok' if check.ok else 'NOT OK'}: {check.found}" for check in checks})
    if not good:
        raise typer.Exit(ExitCode.FAULTS_FOUND)
