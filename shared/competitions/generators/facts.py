"""`facts-1`: which of four categories a noun belongs to, asked about nouns of the taxonomy.

The other three are categories that no reader accepts for the noun. One noun under one template is an
instance: the seed chooses the options and their order, which make no new question. Scored by `choice-1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.competitions.generators.chance import Chance
from shared.competitions.generators.generator import (
    SIDES,
    Generator,
    Side,
    Template,
    TemplateGenerator,
    Wording,
)
from shared.competitions.generators.options import OPTIONS, balance_odds, pick_wrong
from shared.competitions.generators.taxonomy import article_of, list_options, load_taxonomy

NAME = "facts-1"

TEXTS: Mapping[Side, tuple[str, ...]] = {
    "public": (
        "Is {thing} {options}? Answer in one short sentence.",
        "What is {thing}: {options}? Reply with one short sentence.",
        "What would you call {thing}? Pick from {options}, and write a short sentence.",
        "Which is true of {thing}: is it {options}? Use one short sentence.",
        "Please tell me in a sentence whether {thing} is {options}.",
        "Someone asks if {thing} is {options}. Give a short full answer.",
        "Choose the right kind for {thing} and say it in a sentence: {options}.",
        "A quiz asks what {thing} is. The choices are {options}. Say your choice as a sentence.",
    ),
    "held-out": (
        "Sort this word into its group, using a brief sentence: {noun}. The groups are {options}.",
        "Here are four labels: {options}. Only one fits {thing}; state it in a brief sentence.",
        "My daughter has to learn the word {noun}. Does it mean {options}? Explain it to her briefly.",
        "Complete the lexicon entry for {noun} with a brief sentence, deciding between {options}.",
        "Out of {options}, what does {thing} count as? One brief sentence will do.",
        "Between {options}, decide where {thing} belongs. Respond with a complete but brief sentence.",
        "Under which heading should a librarian file {noun}, if the headings are {options}? Be brief but"
        " write a sentence.",
        "Four friends disagree on {thing}: they say it is {options}. Who is right? State the fact briefly.",
    ),
}


def build() -> Generator:
    """The generator."""
    templates = {side: tuple(_template(side, text) for text in TEXTS[side]) for side in SIDES}
    content = {
        "texts": {side: list(TEXTS[side]) for side in SIDES},
        "taxonomy": load_taxonomy().model_dump(mode="json"),
        "options": OPTIONS,
    }
    return TemplateGenerator(NAME, "choice-1", content, templates)


def _template(side: Side, text: str) -> Template:
    taxonomy = load_taxonomy()
    nouns = taxonomy.nouns(side)
    odds = balance_odds([(answer, taxonomy.others(noun)) for noun, answer in nouns])

    def write(fields: Sequence[int], chance: Chance) -> Wording:
        noun, answer = nouns[fields[0]]
        options = chance.shuffle([answer, *pick_wrong(chance, taxonomy.others(noun), odds)])
        listed = list_options(tuple(f"{article_of(option)} {option}" for option in options))
        return Wording(
            text.format(thing=taxonomy.with_article(noun), noun=noun, options=listed),
            {"options": list(options), "answer": answer, "subject": noun},
        )

    return Template((len(nouns),), write)
