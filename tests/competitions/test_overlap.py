"""Overlap: a prompt that differs from an open one only in its nouns is found, with the pair."""

from __future__ import annotations

from collections.abc import Sequence

from shared.competitions.overlap import check_overlap
from shared.protocol.prompt import Prompt
from shared.types import PromptId, SliceName


def prompts(kind: str, cluster: str, texts: Sequence[str], **params: str) -> list[Prompt]:
    return [
        Prompt(
            id=PromptId(f"{kind}-{cluster}-{number}"),
            slice=SliceName("s"),
            cluster=cluster,
            text=text,
            params=dict(params),
        )
        for number, text in enumerate(texts)
    ]


OPEN = prompts("open", "a", ["Tell me in one short sentence what a plum is used for."])


def test_another_noun_in_an_open_template_is_a_copy() -> None:
    (finding,) = check_overlap(
        prompts("held", "a", ["Tell me in one short sentence what an owl is used for."]), OPEN
    )
    assert (finding.kind, finding.held_out, finding.open) == ("copy", "held-a-0", "open-a-0")
    assert "an owl" in finding.message and "a plum" in finding.message


def test_a_noun_that_only_the_parameters_tell_is_no_disguise() -> None:
    text = "Tell me in one short sentence what a flugelhorn is used for."
    assert check_overlap(prompts("held", "a", [text], topic="flugelhorn"), OPEN)


def test_unknown_nouns_are_seen_by_the_cluster_that_they_differ_in() -> None:
    nouns = ["sextant", "abacus", "gargoyle"]
    texts = [f"Describe the {noun} slowly and the way the {noun} works" for noun in nouns]
    findings = check_overlap(
        prompts("held", "a", texts),
        prompts(
            "open",
            "a",
            [
                text.replace("the", "the ", 1).replace(noun, noun[::-1])
                for text, noun in zip(texts, nouns, strict=True)
            ],
        ),
    )
    assert {finding.kind for finding in findings} == {"copy"} and len(findings) == 3


def test_numbers_lists_and_names_are_no_wording() -> None:
    one = ["On Monday Ada has 12 apples, 3 pears and an owl. How many things does she have there?"]
    other = ["On Friday Kurt has 7 pears and a hammer. How many things does he have there?"]
    assert [each.kind for each in check_overlap(prompts("h", "a", other), prompts("o", "a", one))] == ["copy"]


def test_an_own_wording_is_no_copy_even_about_the_same_noun() -> None:
    held_out = prompts(
        "held", "a", ["Which purpose does a plum serve? Use few words to explain it to a child."]
    )
    assert check_overlap(held_out, OPEN) == []


def test_sharing_only_an_instruction_is_no_copy() -> None:
    held_out = prompts(
        "held",
        "a",
        ["How do people in the far north keep warm all winter long? Tell me in one short sentence."],
    )
    assert check_overlap(held_out, OPEN) == []


def test_short_prompts_are_compared_as_a_whole() -> None:
    assert check_overlap(prompts("h", "a", ["What is a plum?"]), prompts("o", "a", ["What is an owl?"]))
    assert not check_overlap(prompts("h", "a", ["What is a plum?"]), prompts("o", "a", ["Define an owl."]))


def test_clusters_of_one_prompt_each_are_mere_labels() -> None:
    texts = ["How do bees find their way home?", "Write me a poem on rain."]
    held_out = [prompt for number, text in enumerate(texts) for prompt in prompts("h", str(number), [text])]
    assert [finding.kind for finding in check_overlap(held_out, [])] == ["labels"]


def test_a_cluster_without_common_wording_is_a_mere_label() -> None:
    real = prompts("h", "real", [f"Say what {noun} is good for today." for noun in ("an axe", "a bench")])
    false = prompts("h", "false", ["How do bees find their way home?", "Write me a poem on rain."])
    findings = check_overlap(real + false, [])
    assert [(finding.kind, finding.held_out) for finding in findings] == [("labels", "false")]
