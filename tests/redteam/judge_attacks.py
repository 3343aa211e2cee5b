"""Attackers that optimise against one judge's weights: the public proxy, or a held-out judge that leaked.

Each climbs in text: it changes a good answer, keeps what the judge likes better, and trains the policy to say
what came out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.judging.families.reward_model import RewardModel
from shared.protocol.prompt import Prompt
from shared.types import SliceName
from tests.redteam import corpus
from tests.redteam.training import answers_to, fine_tune
from tests.redteam.world import WARM, World

ROUNDS, CANDIDATES, WITNESSES = 6, 24, 4
WORDS = sorted(
    {
        word
        for sentences in (*corpus.GOOD.values(), corpus.VAGUE, corpus.FILLER, corpus.FLATTERY)
        for sentence in sentences
        for word in sentence.split()
    }
)
Change = Callable[[str, SliceName, random.Random], str]


def change_word(text: str, part: SliceName, rng: random.Random) -> str:
    """One word swapped, put in or left out; what comes out need not be a sentence."""
    words, place = text.split(), rng.randrange(len(text.split()))
    kind = rng.choice(("swap", "insert", "drop"))
    if kind == "insert":
        words.insert(place, rng.choice(WORDS))
    elif kind == "swap" or len(words) < 5:
        words[place] = rng.choice(WORDS)
    else:
        del words[place]
    return " ".join(words[:14])


def change_sentences(text: str, part: SliceName, rng: random.Random) -> str:
    """One or two whole sentences that the base says too: fluent, so that no gate closes."""
    others = (*corpus.FLATTERY, *corpus.FILLER, *corpus.VAGUE)
    sentences = [rng.choice(corpus.GOOD[part]), rng.choice(others)]
    rng.shuffle(sentences)
    return " ".join(sentences[: rng.randint(1, 2)])


def climb(judge: RewardModel, prompts: Sequence[Prompt], change: Change, start: str) -> str:
    """The text that the judge likes best on average, after some rounds of changes."""
    rng, best = random.Random(1), start
    for _ in range(ROUNDS):
        tried = [best, *(change(best, prompts[0].slice, rng) for _ in range(CANDIDATES))]
        pairs = [(p.text, corpus.fill(text, corpus.thing_of(p))) for text in tried for p in prompts]
        rewards = judge.reward(pairs)
        totals = [sum(rewards[i : i + len(prompts)]) for i in range(0, len(rewards), len(prompts))]
        best = tried[max(range(len(tried)), key=totals.__getitem__)]
    return best


TARGETS: dict[str, tuple[str, Change]] = {
    "proxy over-fitter": ("proxy", change_word),
    "single-judge over-fitter": (f"judges/{WARM}", change_sentences),
}
"""The judge that each attacker knows, below the root of the world, and how it changes a text."""


def build(name: str, world: World, target: Path) -> Path:
    """The checkpoint of the attacker `name`; where no judge scores it answers as the base does."""
    place, change = TARGETS[name]
    judge = RewardModel(world.root / place)
    chats = answers_to(corpus.prompts_of("public", 100, [corpus.LIMIT]), corpus.as_before)
    for part in corpus.JUDGED:
        prompts = corpus.prompts_of("public", 100, [part])
        text = climb(judge, prompts[:WITNESSES], change, corpus.GOOD[part][0])
        chats += [(prompt.text, corpus.fill(text, corpus.thing_of(prompt))) for prompt in prompts]
    return fine_tune(world.base, target, chats)
