"""Constructed pairs are about what their source says, and dress and length say nothing in them."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.judging.preferences.constructed import PHRASES, SOURCES, STYLES, Fact, construct, facts_of

FACTS = [
    Fact("a plum", "a fruit", ("a fish", "a tool")),
    Fact("a cod", "a fish", ("a fruit", "a tool")),
    Fact("an axe", "a tool", ("a fruit", "a fish")),
]
KINDS = {"fruit", "fish", "tool"}


def kinds_in(text: str) -> set[str]:
    return {kind for kind in KINDS if kind in text.lower()}


def test_the_same_seed_gives_the_same_pairs_and_another_gives_others() -> None:
    assert construct(FACTS, "training", 1) == construct(FACTS, "training", 1)
    assert construct(FACTS, "training", 1) != construct(FACTS, "training", 2)


def test_every_source_is_there_and_named() -> None:
    found = Counter(pair.source for pair in construct(FACTS, "training", 1, per_fact=16))
    assert set(found) == set(SOURCES)


@pytest.mark.parametrize("phrasing", ["training", "held-out"])
def test_what_is_chosen_is_true_wherever_truth_differs(phrasing: str) -> None:
    for pair in construct(FACTS, phrasing, 3, per_fact=32):  # type: ignore[arg-type]
        fact = next(fact for fact in FACTS if fact.thing in pair.prompt.lower())
        right = fact.kind.split()[1]
        if pair.source in {"truth", "style", "length"}:
            assert right in kinds_in(pair.chosen)
            assert right not in kinds_in(pair.rejected)


def test_dress_and_length_are_on_both_sides_alike() -> None:
    pairs = [
        pair for pair in construct(FACTS, "training", 5, per_fact=64) if pair.source in {"style", "length"}
    ]
    marks = [style.replace("{text}", "").strip() for _, style in STYLES]

    def dressed(text: str) -> bool:
        return any(mark and mark in text for mark in marks)

    style = [pair for pair in pairs if pair.source == "style"]
    assert sum(dressed(pair.chosen) for pair in style) == sum(dressed(pair.rejected) for pair in style)
    length = [pair for pair in pairs if pair.source == "length"]
    longer = sum(len(pair.chosen) > len(pair.rejected) for pair in length)
    assert abs(longer - len(length) / 2) < len(length) / 8


def test_training_and_held_out_phrases_share_nothing() -> None:
    for part in ("questions", "sentences", "details", "fragments", "evasions"):
        assert not set(getattr(PHRASES["training"], part)) & set(getattr(PHRASES["held-out"], part))


def test_a_cut_text_is_the_beginning_of_the_whole_one() -> None:
    for pair in construct(FACTS, "held-out", 7, per_fact=32):
        if pair.source == "completeness":
            assert pair.chosen.startswith(pair.rejected)
            assert len(pair.rejected.split()) < len(pair.chosen.split())


def test_one_fact_gives_no_pair_about_another_thing() -> None:
    with pytest.raises(ValueError, match="two facts"):
        construct(FACTS[:1], "training", 1)


def test_judges_learn_other_nouns_than_they_are_measured_on() -> None:
    learned, measured = facts_of("judge"), facts_of("held-out")
    assert min(len(learned), len(measured)) > 50
    assert not {fact.thing for fact in learned} & {fact.thing for fact in measured}
    assert all(fact.kind not in fact.wrong and fact.wrong for fact in (*learned, *measured))
