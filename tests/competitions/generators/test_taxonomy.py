"""The taxonomy: a fixed split by hash, words that read as English, and options that exclude each other."""

from __future__ import annotations

import hashlib

import pytest

from shared.competitions.generators.taxonomy import NounSide, Taxonomy, load_taxonomy

SIDES: tuple[NounSide, ...] = ("public", "judge", "held-out")


def test_the_split_of_each_category_is_by_hash() -> None:
    for name, category in load_taxonomy().categories.items():
        nouns = [noun for side in SIDES for noun in category.nouns.of(side)]
        order = sorted(nouns, key=lambda noun: hashlib.sha256(f"taxonomy-1/{name}/{noun}".encode()).digest())
        first, second = round(0.40 * len(order)), round(0.64 * len(order))
        parts = order[:first], order[first:second], order[second:]
        assert [sorted(part) for part in parts] == [list(category.nouns.of(side)) for side in SIDES]


def test_the_sides_have_about_40_24_and_36_percent() -> None:
    counts = {side: len(load_taxonomy().nouns(side)) for side in SIDES}
    shares = [counts[side] / sum(counts.values()) for side in SIDES]
    assert shares == pytest.approx([0.40, 0.24, 0.36], abs=0.01)


def test_nouns_have_their_articles_and_plurals() -> None:
    taxonomy = load_taxonomy()
    articles = ["a plum", "an owl", "a ukulele", "a eucalyptus", "an orchid", "copper", "Kenya", "broccoli"]
    assert [taxonomy.with_article(article.split()[-1]) for article in articles] == articles
    nouns = [
        "plum",
        "goose",
        "scarf",
        "wolf",
        "cherry",
        "radish",
        "sheep",
        "copper",
        "bus",
        "donkey",
        "piano",
    ]
    plurals = "plums geese scarves wolves cherries radishes sheep copper buses donkeys pianos".split()  # noqa: SIM905
    assert [taxonomy.plural(noun) for noun in nouns] == plurals


def test_no_noun_says_its_category_and_all_are_one_word() -> None:
    taxonomy = load_taxonomy()
    for side in SIDES:
        for noun, _ in taxonomy.nouns(side):
            assert noun.isalpha()
            assert not [name for name in taxonomy.categories if name.split()[-1] in noun] or noun == "stool"


def test_other_categories_leave_out_what_a_reader_could_accept() -> None:
    taxonomy = load_taxonomy()
    assert not {"fruit", "vegetable", "color", "tree", "bird"} & set(taxonomy.others("kiwi"))
    assert not {"tool", "weapon"} & set(taxonomy.others("axe"))
    assert not {"bird", "fish"} & set(taxonomy.others("penguin"))
    assert all(len(taxonomy.others(noun)) >= 15 for side in SIDES for noun, _ in taxonomy.nouns(side))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"also": {"pike": ["weapon"]}}, "unknown nouns"),
        ({"left_out": {"plum": "a color"}}, "left out and in"),
        ({"apart": [["fruit", "mineral"]]}, "unknown categories"),
    ],
)
def test_a_taxonomy_that_contradicts_itself_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Taxonomy.model_validate({**load_taxonomy().model_dump(mode="json"), **change})
