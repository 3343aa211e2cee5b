"""Rounds of the ledger: the same slots however late they are read, and priority that nothing takes away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import AgonError, Rejection, TransientError
from shared.stats.eprocess import alpha_share
from validator.ledger import duels, rounds, settlements, submissions
from validator.ledger.tables import DuelRow, RecordRow, ReignRow, RoundRow, SubmissionRow

HOTKEYS = ("5A", "5B", "5C", "5D")
ENDS = ("rejected", "withheld", "lost", "unproven", "won")


commits = st.lists(
    st.tuples(st.sampled_from(HOTKEYS), st.integers(0, 39), st.booleans(), st.sampled_from(ENDS)), max_size=6
)


@settings(max_examples=25)
@given(history=st.lists(commits, min_size=2, max_size=5))
def test_a_validator_that_reads_late_gives_the_same_slots(
    make_book: Callable[..., Any], history: list[list[tuple[str, int, bool, str]]]
) -> None:
    early, late = make_book(repeat=False), make_book(repeat=False)
    slot: dict[str, Any] = {}
    closes, ends = [], {}
    for number, made in enumerate(history):
        for hotkey, offset, malformed, end in sorted(made, key=lambda item: item[1]):
            block = number * 40 + offset
            slot[hotkey] = (block, "no Raw field") if malformed else block
            ends[hotkey, block] = end
        closes.append(dict(slot))
    for number, live in enumerate(closes):
        early.see(number * 40 + 41)
        early.close(number, live)
        early.give_slots(number)
        early.play(number, ends)
    late.see(len(closes) * 40 + 1)
    for number, live in enumerate(closes):
        late.close(number, live)
    for number in range(len(closes)):
        late.give_slots(number)
        late.play(number, ends)
    assert facts(late) == facts(early)


def facts(book: Any) -> Any:
    """What must not depend on when a validator looked."""
    named = [
        (item.hotkey, item.commit_block, item.state, item.round, item.rank, item.settled_round, item.code)
        for item in book.all_of(SubmissionRow)
    ]
    trials = [(row.number, row.slots, row.trial, row.alpha, row.drawn) for row in book.all_of(RoundRow)]
    fights = [(duel.id, duel.round, duel.alpha, duel.state) for duel in book.all_of(DuelRow)]
    crowns = [(row.hotkey, row.round, row.gain) for row in book.all_of(RecordRow)]
    return named, trials, fights, crowns


def test_slots_are_given_oldest_commit_first_and_the_rest_keep_their_place(book: Any) -> None:
    book.close(0, {"5A": 9, "5B": 5, "5C": 7, "5D": 8})
    assert book.give_slots(0) == ["5B", "5C"]
    book.play(0, {})
    book.close(1, {"5A": 9, "5B": 5, "5C": 7, "5D": 8, "5E": 41})
    assert book.give_slots(1) == ["5D", "5A"]


def test_a_commitment_replaced_before_its_slot_expires(book: Any) -> None:
    book.close(0, {"5A": 1, "5B": 2, "5C": 3})
    assert book.give_slots(0) == ["5A", "5B"]
    book.play(0, {})
    book.close(1, {"5C": 50})
    assert book.give_slots(1) == ["5C"]
    assert [book.find(("5C", block)).state for block in (3, 50)] == ["expired", "slotted"]


def test_a_malformed_commitment_is_recorded_once_and_cools_nobody_down(book: Any) -> None:
    book.close(0, {"5A": (3, "two fields")})
    book.give_slots(0)
    book.play(0, {})
    book.close(1, {"5A": (3, "two fields")})
    (item,) = book.all_of(SubmissionRow)
    assert (item.state, item.code, item.settled_round) == ("rejected", "malformed_commitment", 0)
    assert book.give_slots(1) == []
    book.play(1, {})
    book.close(2, {"5A": 90})
    assert book.give_slots(2) == ["5A"]


@pytest.mark.parametrize(("end", "free_at"), [("lost", 2), ("rejected", 2), ("withheld", 3)])
def test_an_ended_submission_cools_its_hotkey_down(book: Any, end: str, free_at: int) -> None:
    book.close(0, {"5A": 1})
    book.give_slots(0)
    book.play(0, {("5A", 1): end})
    for number in (1, 2, 3):
        book.close(number, {"5A": 45})
        assert book.give_slots(number) == (["5A"] if number == free_at else [])
        book.play(number, {})


def test_the_earlier_commit_is_the_original_even_when_its_copy_is_fetched_first(book: Any) -> None:
    book.close(0, {"5A": 3, "5B": 4})
    book.give_slots(0)
    book.admit("5B", tensors="the same")
    book.admit("5A", tensors="the same")
    copy, original = book.find("5B"), book.find("5A")
    assert (copy.state, copy.code) == ("rejected", "duplicate")
    assert "5A at block 3" in copy.message
    assert original.state == "admitted"


def test_a_copy_fetched_second_is_rejected_and_the_same_hotkey_may_resubmit(book: Any) -> None:
    book.close(0, {"5A": 3, "5B": 4})
    book.give_slots(0)
    book.admit("5A", tensors="the same")
    book.admit("5B", tensors="the same")
    assert (book.find("5A").state, book.find("5B").code) == ("admitted", "duplicate")
    book.open_duels(0)
    book.decide("5A", "unproven")
    book.settle(0)
    for number in (1, 2):
        book.close(number, {"5A": 50})
        book.give_slots(number)
        if number == 1:
            book.play(1, {})
    book.admit("5A", tensors="the same")
    assert book.find("5A").state == "admitted"


def test_of_two_winners_the_first_in_priority_is_crowned_and_the_other_restarts(
    book: Any,
) -> None:
    book.close(0, {"5A": 3, "5B": 4})
    book.give_slots(0)
    book.admit("5A")
    book.admit("5B")
    book.open_duels(0)
    book.decide("5B", "won", 0.2)
    book.decide("5A", "won", 0.1)
    assert book.settle(0) == "5A"
    assert book.find("5B").settled_round is None
    book.close(1, {"5C": 44})
    book.give_slots(1)
    book.admit("5C")
    book.open_duels(1)
    crowned = book.find("5A").model
    again, fresh = book.duel_of("5B"), book.duel_of("5C")
    assert (again.champion, fresh.champion) == (crowned, crowned)
    assert again.alpha == fresh.alpha == alpha_share(0.05, 1, 2, 100)
    assert [duel.hotkey for duel in book.ledger.run(duels.duels_in_play, "open")] == ["5B", "5C"]
    book.decide("5C", "won", 0.3)
    book.decide("5B", "won", 0.3)
    assert book.settle(1) == "5B"
    assert [(row.hotkey, row.round) for row in book.all_of(RecordRow)] == [("5A", 0), ("5B", 1)]


def test_a_carried_duel_keeps_its_alpha_and_is_not_counted_again(book: Any) -> None:
    book.close(0, {"5A": 3})
    book.give_slots(0)
    book.admit("5A")
    book.open_duels(0)
    alpha = book.duel_of("5A").alpha
    book.ledger.run(duels.carry, book.duel_of("5A").id)
    assert book.settle(0) is None
    book.close(1, {"5B": 44})
    book.give_slots(1)
    book.admit("5B")
    book.open_duels(1)
    carried = book.duel_of("5A")
    assert (carried.round, carried.alpha, carried.state) == (1, alpha, "open")
    assert book.duel_of("5B").alpha == alpha_share(0.05, 2, 1, 100)


def test_a_slot_parked_when_the_duels_began_joins_them_with_its_share_of_alpha(book: Any) -> None:
    book.see(41)
    book.close(0, {"5A": 3, "5B": 4})
    book.give_slots(0)
    book.park("5A")
    book.admit("5B")
    book.open_duels(0)
    book.see(120)
    assert book.ledger.run(submissions.resume_parked)
    assert book.ledger.run(settlements.unfinished, 0)
    book.admit("5A")
    book.twice(duels.join_duels, book.rules.digest, 0)
    assert book.duel_of("5A").alpha == book.duel_of("5B").alpha == alpha_share(0.05, 1, 2, 100)
    book.decide("5A", "lost")
    book.decide("5B", "lost")
    assert not book.ledger.run(settlements.unfinished, 0)


def test_a_parked_submission_holds_up_a_later_crown_of_its_own_round_only(book: Any) -> None:
    book.close(0, {"5A": 3, "5B": 4})
    book.give_slots(0)
    book.park("5A")
    book.admit("5B")
    book.open_duels(0)
    book.decide("5B", "won", 0.1)
    crown = book.crown(0)
    assert book.ledger.run(settlements.held_up, 0, crown)
    assert not book.ledger.run(settlements.held_up, 1, crown)


def test_a_parked_submission_loses_neither_place_nor_standing(book: Any) -> None:
    book.see(41)
    book.close(0, {"5A": 3})
    book.give_slots(0)
    book.park("5A")
    book.open_duels(0)
    assert book.settle(0) is None
    book.see(100)
    book.close(1, {"5A": 3, "5B": 50})
    book.give_slots(1)
    assert book.ledger.run(submissions.resume_parked)
    assert book.find("5A").fetch_from == 100
    book.admit("5A")
    book.admit("5B")
    book.open_duels(1)
    assert book.duel_of("5A").alpha == book.duel_of("5B").alpha == alpha_share(0.05, 2, 2, 100)
    item = book.find("5A")
    assert (item.round, item.attempts, item.code, item.settled_round) == (0, 0, None, None)


def test_a_submission_withheld_after_it_was_parked_is_reported_and_cools_down(book: Any) -> None:
    book.close(0, {"5A": 3})
    book.give_slots(0)
    book.park("5A")
    book.open_duels(0)
    book.settle(0)
    book.see(100)
    book.close(1, {})
    book.give_slots(1)
    book.ledger.run(submissions.resume_parked)
    book.ledger.run(submissions.withhold, book.key("5A"), Rejection("withheld", "x"))
    book.open_duels(1)
    book.settle(1)
    assert book.find("5A").settled_round == 1


def test_faults_count_only_in_a_row(book: Any) -> None:
    book.close(0, {"5A": 3})
    book.give_slots(0)
    error = TransientError("store_unreachable", "no answer")
    for _ in range(submissions.MAX_ATTEMPTS - 1):
        book.ledger.run(submissions.set_back, book.key("5A"), error)
    book.admit("5A")
    item = book.find("5A")
    assert (item.attempts, item.next_try_block, item.code, item.message, item.fault) == (
        0,
        0,
        None,
        None,
        None,
    )


def test_a_second_competition_is_refused_by_the_same_ledger(book: Any) -> None:
    other = book.rules.model_copy(update={"name": "another"})
    with pytest.raises(AgonError) as caught:
        book.ledger.run(rounds.enter_competition, other, "sha256:" + "00" * 32)
    assert caught.value.code == "chain_mismatch"
    assert len(book.all_of(ReignRow)) == 1
