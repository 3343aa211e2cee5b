"""Any order of events: one reign is open, money is bounded, rows of the ledger keep their invariants."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.stats.payout import RecordTerm, live_weights
from validator.ledger import duels, settlements, submissions
from validator.ledger.tables import DuelRow, RecordRow, ReignRow, RoundRow, StatementRow, SubmissionRow

HOTKEYS = ("5A", "5B", "5C")
UNDER_WAY = frozenset({"slotted", "admitted", "dueling", "parked"})
STEPS = ("admit", "reject", "withhold", "park", "resume", "won", "lost", "unproven", "carry")


@settings(max_examples=40)
@given(data=st.data())
def test_the_ledger_keeps_its_invariants_under_any_history(
    make_book: Callable[..., Any], data: st.DataObject
) -> None:
    book, slot, block = make_book(repeat=False), {}, 0
    for number in range(data.draw(st.integers(1, 4), label="rounds")):
        for hotkey in data.draw(st.lists(st.sampled_from(HOTKEYS), unique=True), label="commits"):
            block += 1
            slot[hotkey] = number * 40 + block % 40
        book.see(number * 40 + 41)
        book.close(number, slot)
        book.give_slots(number)
        play_at_random(book, number, data)
        book.see(number * 40 + 79)
        finish(book, number)
        book.settle(number)
        check(book, number)


def play_at_random(book: Any, number: int, data: st.DataObject) -> None:
    """Steps that the loop could take in this state, in any order; the duels begin somewhere among them."""
    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=8), label="steps"):
        take(book, step)
        if not book.ledger.run(submissions.in_slots, number, "slotted"):
            book.open_duels(number)
            book.ledger.run(duels.join_duels, book.rules.digest, number)


def take(book: Any, step: str) -> None:
    """Take the step for the first submission or duel that it fits; nothing when it fits none."""
    items = book.all_of(SubmissionRow)
    slotted = [(item.hotkey, item.commit_block) for item in items if item.state == "slotted"]
    dueling = [(item.hotkey, item.commit_block) for item in items if item.state == "dueling"]
    fighting = [key for key in dueling if (duel := book.duel_of(key)) and duel.state == "open"]
    if step == "resume":
        book.ledger.run(submissions.resume_parked)
    elif step == "park" and slotted + fighting:
        book.park((slotted + fighting)[-1])
    elif step == "admit" and slotted:
        book.admit(slotted[0])
    elif step in {"reject", "withhold"} and slotted:
        book.end(slotted[0], {"reject": "rejected", "withhold": "withheld"}[step])
    elif step in {"won", "lost", "unproven"} and fighting:
        book.decide(fighting[-1], step, 0.06)
    elif step == "carry" and fighting:
        book.ledger.run(duels.carry, book.duel_of(fighting[0]).id)


def finish(book: Any, number: int) -> None:
    """Bring the round to where it can be settled."""
    while book.ledger.run(submissions.in_slots, number, "slotted"):
        take(book, "withhold")
    book.open_duels(number)
    book.ledger.run(duels.join_duels, book.rules.digest, number)
    while book.ledger.run(settlements.unfinished, number):
        take(book, "lost")


def check(book: Any, number: int) -> None:
    reigns, records = book.all_of(ReignRow), book.all_of(RecordRow)
    assert [reign.to_round is None for reign in reigns] == [False] * (len(reigns) - 1) + [True]
    for before, after in pairwise(reigns):
        assert after.from_round == before.to_round + 1
    assert len({record.round for record in records}) == len(records) == len(reigns) - 1
    duel_of = {duel.id: duel for duel in book.all_of(DuelRow)}
    for record in records:
        assert duel_of[record.duel].verdict["outcome"] == "won"
    submitted = [(duel_of[record.duel].hotkey, duel_of[record.duel].commit_block) for record in records]
    assert len(set(submitted)) == len(submitted), "paid twice"
    terms = [RecordTerm(record.hotkey, record.gain, number - record.round) for record in records]
    assert sum(live_weights(terms, 0.1, 5).shares.values()) <= 1.0 + 1e-12
    under_way = [item.hotkey for item in book.all_of(SubmissionRow) if item.state in UNDER_WAY]
    assert len(set(under_way)) == len(under_way)
    for row in book.all_of(RoundRow):
        spent = [duel.alpha for duel in duel_of.values() if duel.alpha == row.alpha]
        assert sum(spent) <= 0.05, "more than the whole budget in one round"
    assert len(book.all_of(StatementRow)) == number + 1
    ended = [item for item in book.all_of(SubmissionRow) if item.state in {"settled", "rejected", "withheld"}]
    assert all(item.settled_round is not None for item in ended), "an end that no statement tells of"
