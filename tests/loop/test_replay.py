"""Anybody can replay a verdict from its evidence, and no part of it can be changed unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.checkpoints.bundle import Bundle
from shared.duels.replay import read_evidence, replay
from shared.errors import AgonError
from shared.protocol.evidence import Evidence, EvidenceRow
from shared.protocol.merkle import merkle_root
from shared.protocol.wire import canonical_json, digest_bytes
from shared.sandbox.client import JudgeChild
from shared.signing import sign
from validator.ledger.evidence import evidence_of
from validator.ledger.tables import DuelRow
from validator.loop import run_once

pytestmark = pytest.mark.torch

Change = Callable[[Evidence], Evidence]


async def _play(arena: Any, better: Path) -> tuple[Evidence, str]:
    await arena.submit("first", better)
    arena.close_round(0)
    async with arena.context() as context:
        arena.advance(2)
        await run_once(context)
        (duel,) = await arena.all_of(context, DuelRow)
        assert duel.verdict["outcome"] == "won"
        with pytest.raises(AgonError, match="there is no duel nothing"):
            await context.ledger.do(evidence_of, "nothing")
        return await context.ledger.do(evidence_of, duel.id), arena.hotkey("validator")


def _failed(evidence: Evidence, bundle: Bundle, judges: Any) -> list[str]:
    return [check.name for check in replay(evidence, bundle, judges) if not check.ok]


def _with_rows(evidence: Evidence, change: Callable[[dict[str, Any]], None]) -> Evidence:
    """The evidence with its first row changed, and nothing signed again."""
    document = evidence.rows[0].model_dump(mode="json")
    change(document)
    return evidence.model_copy(
        update={"rows": (EvidenceRow.model_validate_json(canonical_json(document)), *evidence.rows[1:])}
    )


def _resigned(evidence: Evidence, signer: Any, **changes: Any) -> Evidence:
    """What a lying validator would hand out: roots and signature made to fit, the verdict as it says."""
    body = dict(evidence.statement.body)
    root = merkle_root([canonical_json(row) for row in evidence.rows])
    (slot,) = body["slots"]
    verdict = {**slot["verdict"], **changes}
    body |= {
        "slots": [{**slot, "rows_root": root, "verdict": verdict}],
        "rows_root": merkle_root([digest_bytes(root)]),
    }
    return evidence.model_copy(update={"statement": sign(body, signer)})


def _raise_score(row: dict[str, Any]) -> None:
    row["challenger"][0]["s"] = 0.5 * (row["challenger"][0]["s"] + 1.0)


def _other_seed(row: dict[str, Any]) -> None:
    row["challenger_seeds"][0] += 1


def _raise_reward(row: dict[str, Any]) -> None:
    for sample in row["challenger"]:
        sample["raw"] = {name: reward + 1.0 for name, reward in sample["raw"].items()}


def test_a_verdict_follows_from_its_evidence_and_no_part_can_be_changed(
    arena: Any, better: Path, tmp_path: Path
) -> None:
    evidence, author = asyncio.run(_play(arena, better))
    signer, bundle = arena.wallets["validator"].hotkey, arena.bundle
    (tmp_path / "evidence.json").write_bytes(canonical_json(evidence))
    assert read_evidence(tmp_path / "evidence.json") == evidence
    judged = [row.position for row in evidence.rows if row.challenger[0].raw]
    assert judged[0] == 0, "the first row is one that the judges scored"
    judges = JudgeChild(bundle.judges)
    try:
        checks = replay(evidence, bundle, judges)
        assert [(check.name, check.ok) for check in checks] == [
            (name, True) for name in ("signature", "rows", "seeds", "rewards", "scores", "verdict")
        ]
        assert checks[0].found == f"signed by {author}"
        changed = _with_rows(evidence, _raise_score)
        assert _failed(changed, bundle, judges) == ["rows", "scores", "verdict"]
        assert "scores" in _failed(_resigned(changed, signer), bundle, judges)
        seeded = _resigned(_with_rows(evidence, _other_seed), signer)
        assert _failed(seeded, bundle, judges) == ["seeds"]
        rewarded = _resigned(_with_rows(evidence, _raise_reward), signer)
        assert "rewards" in _failed(rewarded, bundle, judges)
        lied = _resigned(evidence, signer, gain=0.9)
        assert _failed(lied, bundle, judges) == ["verdict"]
        unsigned = lied.model_copy(
            update={"statement": lied.statement.model_copy(update={"body": evidence.statement.body})}
        )
        assert _failed(unsigned, bundle, None) == ["signature"]
        fewer = evidence.model_copy(update={"rows": evidence.rows[:-1]})
        assert "rows" in _failed(fewer, bundle, None)
    finally:
        judges.close()
