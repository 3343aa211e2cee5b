"""What version 0.1.0 wrote opens today: ledger, bundle, journals and signed evidence of a real TINY demo.

`tests/golden/version-0.1.0.tar.xz` was written by commit 1157b82 and must never change.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from miner.submit.journal import load_journal
from shared.checkpoints.bundle import load_bundle
from shared.duels.replay import read_evidence, replay
from shared.protocol.statement import Signed, StatementBody
from shared.protocol.wire import canonical_json, digest_of
from shared.signing import verify
from validator.api.answers import find_submissions, show_leaderboard
from validator.ledger.database import open_reader
from validator.ledger.tables import StatementRow

ARCHIVE = Path(__file__).parents[1] / "golden" / "version-0.1.0.tar.xz"
COMPETITION = "sha256:a0fba294ba958bbd69844377c89b2dc6c8909bd7a4e792e6e5a6a7742d7d266a"
WINNER = "5CypBYPchZo3mhQRr8HYSTFHnw92tkYeSK2jpjA5Rqvvi4pz"
DUEL = "9217a107db316f5b916c0cb0005bdf4a7d0d3e03"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked state of version 0.1.0."""
    root = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(root, filter="data")
    return root


def test_an_older_bundle_keeps_its_digest(old: Path) -> None:
    bundle = load_bundle(old / "bundle", require_judges=False)
    assert bundle.rules.digest == COMPETITION
    written = json.loads((old / "bundle" / "competition.json").read_text())
    assert canonical_json(bundle.rules) == canonical_json(written)
    assert [part.per_batch for part in bundle.rules.slices] == [part["weight"] for part in written["slices"]]


def test_an_older_ledger_answers_as_it_did(old: Path) -> None:
    reader = open_reader(f"sqlite:///{old / 'ledger' / 'ledger.db'}")
    board = reader.run(show_leaderboard)
    assert [standing.hotkey for standing in board.standings] == [WINNER]
    [view] = reader.run(find_submissions, WINNER).items
    assert (view.state, view.record and view.record.gain) == ("settled", 0.316807870940499)
    assert view.explanation.startswith("won and crowned")


def test_older_statements_verify_byte_for_byte(old: Path) -> None:
    reader = open_reader(f"sqlite:///{old / 'ledger' / 'ledger.db'}")
    rows = reader.run(
        lambda session: [(row.body, row.author, row.signature) for row in session.query(StatementRow)]
    )
    assert rows
    for body, author, signature in rows:
        verify(Signed(body=body, author=author, signature=signature))
        assert digest_of(StatementBody.model_validate(body)) == digest_of(body)


def test_an_older_verdict_follows_from_its_evidence(old: Path) -> None:
    bundle = load_bundle(old / "bundle", require_judges=False)
    evidence = read_evidence(old / "evidence.json")
    assert evidence.duel == DUEL
    assert [check.name for check in replay(evidence, bundle) if not check.ok] == []


def test_older_submit_journals_load(old: Path) -> None:
    journals = [load_journal(path) for path in sorted((old / "submissions").iterdir())]
    assert {journal.competition for journal in journals if journal} == {COMPETITION}
    assert len(journals) == 4
