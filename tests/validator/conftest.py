"""A ledger driven by hand: closes, slots, admissions, verdicts and settlements; no chain and no model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, inspect, select

from shared.chain.commitment import Commitment, Locator
from shared.errors import Rejection, TransientError
from shared.protocol.competition import Competition
from shared.protocol.loader import read_rules
from shared.protocol.manifest import Manifest, ManifestFile
from shared.protocol.statement import Signed
from shared.protocol.verdict import Verdict
from validator.ledger import duels, rounds, settlements, submissions
from validator.ledger.database import Ledger
from validator.ledger.rounds import Close, Live
from validator.ledger.settlements import Crown
from validator.ledger.tables import DuelRow, EventRow, MetaRow, SubmissionRow, Table
from validator.ledger.transitions import MOVES
from validator.stages.settle import first_crown, report_slots

RULES = Path(__file__).parents[1] / "rules.toml"

ROUND_BLOCKS = 40
Who = str | tuple[str, int]
"""A hotkey, meaning its newest submission, or the key of one."""
BASE = "sha256:" + "0b" * 32


def digest(text: str) -> Any:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def rules() -> Competition:
    """Two slots a round; round r closes at 40 r + 39."""
    pool = {"root": digest("pool"), "size": 600, "clusters": 60}
    document = read_rules(RULES)
    document["schedule"] |= {"round_blocks": ROUND_BLOCKS, "fetch_blocks": 5, "grace_blocks": 1, "slots": 2}
    document["base"]["digest"] = BASE
    document["architecture"]["table"] = digest("table")
    document["slices"][0] |= {"pool": pool, "reference": digest("reference")}
    document["duel"]["prompts"] |= {"look": 8, "min": 16, "max": 64, "gain": 64, "identity": 16}
    return Competition.model_validate(document)


def verdict(outcome: str, gain: float = 0.0) -> Verdict:
    """A verdict of this outcome, in numbers that do not matter here."""
    reasons = {"won": "confirmed", "lost": "worse", "unproven": "futile"}
    return Verdict.model_validate(
        {
            "outcome": outcome,
            "reason": reasons[outcome],
            "prompts": 64,
            "mean": 0.1,
            "lower": 0.0,
            "upper": 0.2,
            "win_rate": 0.5,
            "gain": gain,
            "alpha": 0.01,
            "log_wealth": 1.0,
            "kl": 1.0,
            "extra_tokens": 0.0,
        }
    )


class Book:
    """One validator's ledger; every method is one transition, taken twice to show that a repeat is none."""

    def __init__(self, *, repeat: bool = True) -> None:
        self.repeat = repeat
        self.rules = rules()
        self.ledger = Ledger("sqlite://")
        Table.metadata.create_all(self.ledger._engine)
        world = MetaRow(one=1, genesis_hash="0x00", netuid=1, hotkey="5V")
        self.ledger.run(lambda session: session.add(world))
        self.twice(rounds.enter_competition, self.rules, BASE)

    def twice(self, step: Callable[..., Any], *args: Any, **more: Any) -> Any:
        found = self.ledger.run(step, *args, **more)
        if not self.repeat:
            return found
        before = self.dump()
        self.ledger.run(step, *args, **more)
        assert self.dump() == before, f"{step.__name__} is not a no-op the second time"
        return found

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, the feed apart."""
        with self.ledger.session() as session:
            return {
                table.name: sorted(map(repr, session.execute(select(table))))
                for table in Table.metadata.sorted_tables
                if table.name != EventRow.__tablename__
            }

    def all_of(self, table: type[Any]) -> list[Any]:
        keys = inspect(table).primary_key
        return self.ledger.run(lambda session: list(session.scalars(select(table).order_by(*keys))))

    def see(self, block: int) -> None:
        self.ledger.run(rounds.see_head, block, 0)

    def close(self, number: int, live: Mapping[str, int | tuple[int, str]]) -> None:
        """Write a round at whose close `live` (hotkey: commit block, or block and what is wrong) stood."""
        entries = [_live(hotkey, entry) for hotkey, entry in sorted(live.items())]
        block = self.rules.schedule.close(number)
        close = Close(number, block, hex(block), hex(block + 1), digest(f"seed {number}"), "snapshot")
        self.twice(rounds.write_round, self.rules.digest, close, entries)

    def give_slots(self, number: int) -> list[str]:
        """The hotkeys that got the round's slots, in priority order."""
        self.twice(rounds.give_slots, self.rules, number)
        return [item.hotkey for item in self.slots(number)]

    def slots(self, number: int) -> list[SubmissionRow]:
        mine = [item for item in self.all_of(SubmissionRow) if item.round == number]
        return sorted(mine, key=lambda item: item.rank)

    def find(self, who: Who) -> SubmissionRow:
        """The submission of this key, or a hotkey's newest."""
        items = self.all_of(SubmissionRow)
        return [item for item in items if who in {item.hotkey, (item.hotkey, item.commit_block)}][-1]

    def key(self, who: Who) -> tuple[str, int]:
        item = self.find(who)
        return item.hotkey, item.commit_block

    def admit(self, who: Who, tensors: str | None = None) -> None:
        key = self.key(who)
        file = ManifestFile(path="model.safetensors", size_bytes=1, digest=digest(str(key)))
        self.ledger.run(submissions.admit, key, Manifest(files=(file,)), digest(tensors or str(key)))

    def end(self, who: Who, how: str) -> None:
        """Reject or withhold a submission."""
        step = submissions.reject if how == "rejected" else submissions.withhold
        self.ledger.run(step, self.key(who), Rejection("too_large", "for a test"))

    def park(self, who: Who) -> None:
        """Fail a step of a submission until it is set aside."""
        for _ in range(submissions.MAX_ATTEMPTS):
            error = TransientError("store_unreachable", "no answer")
            self.ledger.run(submissions.set_back, self.key(who), error)

    def open_duels(self, number: int) -> None:
        self.twice(duels.open_duels, self.rules, number)

    def duel_of(self, who: Who) -> DuelRow | None:
        """The duel that a submission is in."""
        found = [duel for duel in self.all_of(DuelRow) if duel.state in {"open", "carried"}]
        return next((duel for duel in found if (duel.hotkey, duel.commit_block) == self.key(who)), None)

    def decide(self, who: Who, outcome: str, gain: float = 0.0) -> None:
        duel = self.duel_of(who)
        assert duel is not None
        self.ledger.run(duels.close_duel, duel.id, verdict(outcome, gain))

    def play(self, number: int, ends: Mapping[tuple[str, int], str]) -> str | None:
        """Take every slot of a round to its end (lost, unless `ends` says otherwise) and settle it."""
        for item in self.slots(number):
            end = ends.get((item.hotkey, item.commit_block), "lost")
            if end in {"rejected", "withheld"}:
                self.end((item.hotkey, item.commit_block), end)
            else:
                self.admit((item.hotkey, item.commit_block))
        self.open_duels(number)
        for duel in self.all_of(DuelRow):
            if duel.state == "open":
                key = (duel.hotkey, duel.commit_block)
                self.decide(key, ends.get(key, "lost"), 0.05)
        return self.settle(number)

    def crown(self, number: int) -> Crown | None:
        """Who would be crowned if the round were settled now."""
        return first_crown(self.ledger.run(report_slots, number))

    def settle(self, number: int) -> str | None:
        """Settle a round as the loop does; the crowned hotkey."""
        reports = self.ledger.run(report_slots, number)
        crown = first_crown(reports)
        statement = Signed(body={"round": number}, author="5V", signature="0x00")
        self.twice(
            settlements.settle_round, self.rules, number, reports=reports, crown=crown, statement=statement
        )
        return crown.hotkey if crown else None


def _live(hotkey: str, entry: int | tuple[int, str]) -> Live:
    if isinstance(entry, tuple):
        return Live(hotkey, entry[0], Rejection("malformed_commitment", entry[1]))
    return Live(hotkey, entry, Commitment(digest(f"{hotkey} {entry}"), Locator("file", hotkey)))


@pytest.fixture(scope="session")
def make_book() -> Callable[..., Book]:
    """Empty ledgers of one competition."""
    return Book


@pytest.fixture
def book() -> Book:
    """An empty ledger."""
    return Book()


@pytest.fixture(scope="session", autouse=True)
def _only_moves_of_the_table() -> Iterator[None]:
    """No submission ever changes its state in a way that the table does not name."""

    def check(_submission: SubmissionRow, value: str, old: Any, _initiator: Any) -> None:
        if isinstance(old, str) and old != value:
            assert value in MOVES[old], f"{old} -> {value}"

    event.listen(SubmissionRow.state, "set", check)
    yield
    event.remove(SubmissionRow.state, "set", check)
