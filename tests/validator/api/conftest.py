"""A ledger as the loop would leave it: three closed rounds, one of them still sealed, written by hand.

Prompts, completions and per-sample scores carry markers that no answer may contain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bittensor.sp_core import Keypair
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from shared.protocol.competition import Competition
from shared.protocol.loader import parse_competition, read_rules
from shared.protocol.statement import SlotReport, StatementBody
from shared.protocol.verdict import Verdict
from shared.protocol.wire import digest_of
from shared.signing import sign
from validator.api.app import create_app
from validator.ledger.tables import (
    CompetitionRow,
    CompletionRow,
    DuelPromptRow,
    DuelRow,
    EventRow,
    MetaRow,
    RecordRow,
    ReignRow,
    RoundRow,
    StatementRow,
    SubmissionRow,
    Table,
    WeightSetRow,
)

RULES = Path(__file__).parents[2] / "rules.toml"

NOW_S = 1_700_000_012
HEAD = 230
ROWS = 32


def digest(seed: int) -> str:
    return "sha256:" + f"{seed:02x}" * 32


@pytest.fixture
def rules() -> Competition:
    """Two slices, one scored by a judge; round r closes at 139 + 40 r."""
    pool = {"root": digest(1), "size": 600, "clusters": 60}
    document = read_rules(RULES)
    document["schedule"]["start_block"] = 100
    document["base"]["digest"] = digest(2)
    document["architecture"]["table"] = digest(3)
    words = document["slices"][0] | {"pool": pool, "reference": digest(5)}
    chat = {"name": "chat", "kind": "judges", "weight": 3, "pool": pool, "reference": digest(4)}
    document["slices"] = [chat, words]
    document["judges"] = [{"name": "first", "digest": digest(6), "from_round": 0}]
    document["duel"]["prompts"] = {
        "look": 8,
        "min": 16,
        "max": 256,
        "carried_rounds": 2,
        "gain": 128,
        "identity": 32,
    }
    return parse_competition(document, source="test")


WON = Verdict.model_validate(
    {
        "outcome": "won",
        "reason": "confirmed",
        "prompts": 160,
        "mean": 0.2,
        "lower": 0.05,
        "upper": 0.35,
        "win_rate": 0.75,
        "gain": 0.08,
        "gain_bound": 0.0775,
        "champion_mean": 0.5,
        "alpha": 0.015625,
        "log_wealth": 5.5,
        "slices": [{"name": "chat", "prompts": 96, "mean": 0.123456, "lower": 0.054321}],
        "kl": 2.5,
        "extra_tokens": -0.5,
    }
)
LOST = Verdict.model_validate(
    {
        "outcome": "lost",
        "reason": "worse",
        "prompts": 32,
        "mean": -0.4,
        "lower": -0.7,
        "upper": -0.05,
        "win_rate": 0.25,
        "alpha": 0.015625,
        "log_wealth": -3.0,
        "kl": 2.0,
        "extra_tokens": 0.0,
    }
)


def secret_d(position: int) -> float:
    """Differences that no aggregate equals."""
    return 0.2003703 + 0.0071301 * (position % 5) - 0.013717 * (position % 3)


def duel_rows(duel: str, round_number: int) -> list[Table]:
    """Rows of `ROWS` prompts and the scored completions behind them."""
    made: list[Table] = []
    for position in range(ROWS):
        prompt = f"SECRET-PROMPT-{duel}-{position}"
        d = secret_d(position)
        row = DuelPromptRow(
            duel=duel,
            position=position,
            round=round_number,
            prompt=prompt,
            slice="words" if position % 4 == 3 else "chat",
            challenger_seeds=[770_001 + position],
            champion_seeds=[770_001 + position],
            s_challenger=0.3123 + d,
            s_champion=0.3123,
            d=d,
            d_fresh=d,
            extra_tokens=1.0,
            kl=2.0,
            identical=False,
            leaf="00" * 32,
        )
        body = {"completion": {"text": "SECRET-COMPLETION"}, "raw": {"first": 0.777123}, "s": 0.3123 + d}
        made += [row, CompletionRow(model=digest(20), prompt=prompt, seed=770_001 + position, body=body)]
    return made


def submission(name: str, commit_block: int, state: str, competition: str, **more: Any) -> SubmissionRow:
    plain = {"digest": digest(commit_block), "locator": f"file:{name}", "seen_round": 0}
    if state in {"dueling", "settled", "admitted"}:
        plain["model"] = digest(commit_block + 1)
    return SubmissionRow(
        hotkey=name, commit_block=commit_block, competition=competition, state=state, **{**plain, **more}
    )


def duel(name: str, item: SubmissionRow, champion: str, round_number: int, **more: Any) -> DuelRow:
    return DuelRow(
        id=name,
        hotkey=item.hotkey,
        commit_block=item.commit_block,
        challenger=item.model,
        champion=champion,
        round=round_number,
        alpha=0.015625,
        **more,
    )


def closed_round(number: int, rules: Competition, **more: Any) -> RoundRow:
    return RoundRow(
        competition=rules.digest,
        number=number,
        close_block=139 + 40 * number,
        close_hash=f"0x{number:064x}",
        next_hash=f"0x{number + 1:064x}",
        seed=digest(30 + number),
        source="snapshot",
        **more,
    )


def statement(
    rules: Competition, number: int, signer: Keypair, slots: tuple[SlotReport, ...]
) -> StatementRow:
    body = StatementBody.model_validate(
        {
            "competition": rules.digest,
            "round": number,
            "author": signer.ss58_address,
            "previous": None,
            "close_block": 139 + 40 * number,
            "close_hash": f"0x{number:064x}",
            "seed": digest(30 + number),
            "source": "snapshot",
            "champion": rules.base.digest,
            "slots": slots,
            "crowned": "Ann" if number == 0 else None,
            "next_champion": digest(111),
            "rows_root": digest(40),
        }
    )
    signed = sign(body, signer)
    return StatementRow(
        author=signed.author,
        competition=rules.digest,
        round=number,
        digest=digest_of(signed.body),
        body=signed.body,
        signature=signed.signature,
    )


def fill(session: Session, rules: Competition, signer: Keypair) -> None:
    """Ann won round 0, Bob lost it, Cat was refused; round 2 still duels; two wait."""
    base, key = rules.base.digest, rules.digest
    ann = submission("Ann", 110, "settled", key, round=0, rank=0, settled_round=0)
    bob = submission("Bob", 112, "settled", key, round=0, rank=1, settled_round=0)
    refused = {"code": "dtype_forbidden", "message": "model.safetensors: F64", "fault": "miner", "round": 0}
    cat = submission("Cat", 114, "rejected", key, rank=2, settled_round=0, **refused)
    eve = submission("Eve", 190, "dueling", key, seen_round=2, round=2, rank=0)
    held = {"code": "store_unreachable", "message": "no answer", "fault": "network", "round": 2}
    fay = submission("Fay", 192, "parked", key, seen_round=2, rank=1, attempts=5, next_try_block=240, **held)
    gil = submission("Gil", 220, "waiting", key, seen_round=2)
    hal = submission("Hal", 225, "waiting", key, seen_round=2)
    session.add_all([ann, bob, cat, eve, fay, gil, hal])
    session.add(CompetitionRow(digest=key, rules=rules.model_dump(mode="json"), created_block=101))
    session.add_all(
        [
            closed_round(0, rules, state="settled", slots=3, trial=1, champion=base),
            closed_round(1, rules, state="settled", slots=0),
            closed_round(2, rules, state="dueling", slots=2, trial=1, champion=ann.model),
            ReignRow(seq=0, competition=key, model=base, hotkey=None, from_round=0, to_round=0),
            ReignRow(seq=1, competition=key, model=ann.model or "", hotkey="Ann", from_round=1),
            duel("d0", ann, base, 0, state="closed", verdict=WON.model_dump(mode="json")),
            duel("d1", bob, base, 0, state="closed", verdict=LOST.model_dump(mode="json")),
            duel("d2", eve, ann.model or "", 2, state="closed", verdict=WON.model_dump(mode="json")),
        ]
    )
    session.flush()
    for name, number in (("d0", 0), ("d1", 0), ("d2", 2)):
        session.add_all(duel_rows(name, number))
    session.add(RecordRow(duel="d0", hotkey="Ann", model=ann.model or "", round=0, gain=0.08))
    slots = (
        SlotReport.model_validate(
            {
                "hotkey": "Ann",
                "commit_block": 110,
                "digest": digest(110),
                "model": digest(111),
                "outcome": "won",
                "code": "confirmed",
                "verdict": WON,
                "duel": "d0",
                "rows_root": digest(50),
            }
        ),
    )
    session.add_all([statement(rules, 0, signer, slots), statement(rules, 2, signer, ())])
    session.add(
        WeightSetRow(
            round=1,
            vector={"Ann": 0.625, "Owner": 0.375},
            uids={"0": 39321, "3": 65535},
            state="confirmed",
            since_block=150,
            done_block=185,
            created_block=181,
        )
    )
    session.flush()
    closing = {"duel": "d2", "hotkey": "Eve", "reason": "confirmed", "prompts": 160, "gain": 0.08}
    for block, kind, body in (
        (140, "round.closed", {"round": 0, "live": 3, "rows": ["SECRET-PROMPT"]}),
        (150, "verdict.won", {**closing, "duel": "d0", "hotkey": "Ann"}),
        (185, "weights.confirmed", {"round": 1, "reason": None}),
        (228, "verdict.won", closing),
    ):
        session.add(EventRow(kind=kind, body=body, created_block=block))
        session.flush()


@pytest.fixture
def signer() -> Keypair:
    """The validator's hotkey."""
    return Keypair.create_from_uri("//Validator")


Change = Callable[[Session], None]


@pytest.fixture
def empty(tmp_path: Path, signer: Keypair) -> Iterator[SimpleNamespace]:
    """A new ledger that knows its world and has seen one block: `url` and `change(step)`."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    engine = create_engine(url)
    Table.metadata.create_all(engine)

    def change(step: Change) -> None:
        with Session(engine) as session, session.begin():
            step(session)

    meta = MetaRow(
        one=1, genesis_hash="0x00", netuid=2, hotkey=signer.ss58_address, head=HEAD, head_time=NOW_S - 12
    )
    change(lambda session: session.add(meta))
    yield SimpleNamespace(url=url, change=change, path=tmp_path / "ledger.db")
    engine.dispose()


@pytest.fixture
def ledger(empty: SimpleNamespace, rules: Competition, signer: Keypair) -> SimpleNamespace:
    """The ledger of three rounds."""
    empty.change(lambda session: fill(session, rules, signer))
    return empty


@pytest.fixture
def client(ledger: SimpleNamespace) -> Iterator[TestClient]:
    """The API over the ledger of three rounds."""
    with TestClient(create_app(ledger.url, clock=lambda: NOW_S)) as started:
        yield started


@pytest.fixture
def empty_client(empty: SimpleNamespace) -> Iterator[TestClient]:
    """The API over the new ledger."""
    with TestClient(create_app(empty.url, clock=lambda: NOW_S)) as started:
        yield started
