"""Which language a text is in, for `constraints-1`: by its script, else by its commonest words. Pure.

A rule and no model: it is right about sentences and knows nothing of single words.
"""

from __future__ import annotations

import unicodedata

from shared.judging.verifiers.words import words_of

SCRIPTS = {
    "ar": ("ARABIC",), "el": ("GREEK",), "he": ("HEBREW",), "hi": ("DEVANAGARI",), "ko": ("HANGUL",),
    "ru": ("CYRILLIC",), "th": ("THAI",), "zh": ("CJK",), "ja": ("HIRAGANA", "KATAKANA", "CJK"),
}  # fmt: skip
"""Language to the first words of its letters' Unicode names. Other languages of these scripts pass too."""
STOP_WORDS = {
    "en": "the a an of and to in is are it that with for on as was by from this they you have can not",
    "de": "der die das und ist ein eine nicht zu den von mit sich auf für im es dem auch sie wie sind",
    "fr": "le la les des et est un une dans que qui pour pas du au sur ce il elle sont avec nous vous on",
    "es": "el la los las de y es un una en que por con para se del al no su lo como más son pero",
    "it": "il lo la gli le di e è un una che in per con non del della si al sono come più anche nel",
    "pt": "o a os as de e é um uma que em para com não do da no na se por mais são como dos",
    "nl": "de het een en van is in dat op te zijn met voor niet aan er om ook als door bij wordt naar die",
}
"""Language to its commonest words."""
LANGUAGES = frozenset(SCRIPTS) | frozenset(STOP_WORDS)
SHARE = 0.6
"""Least share of a text's letters in the language's script."""
WORDS_A_HIT = 12
"""A text has at least one common word of its language in so many words."""


def is_language(text: str, code: str) -> bool:
    """Whether a text is in a language of `LANGUAGES`."""
    names = [unicodedata.name(sign, "").split(" ")[0].split("-")[0] for sign in text if sign.isalpha()]
    scripts = SCRIPTS.get(code, ("LATIN",))
    if not names or sum(name in scripts for name in names) < SHARE * len(names):
        return False
    if code == "ja":
        return any(name in {"HIRAGANA", "KATAKANA"} for name in names)
    return code in SCRIPTS or _speaks(words_of(text), code)


def _speaks(words: list[str], code: str) -> bool:
    hits = {name: sum(word in set(common.split()) for word in words) for name, common in STOP_WORDS.items()}
    others = max(count for name, count in hits.items() if name != code)
    return hits[code] > others and hits[code] * WORDS_A_HIT >= len(words)


SAMPLES = {
    "ar": "هذا بيت كبير",
    "el": "Αυτό είναι ένα σπίτι",
    "he": "זה בית גדול",
    "hi": "यह एक घर है",
    "ko": "이것은 집입니다",
    "ru": "Это большой дом",
    "th": "นี่คือบ้าน",
    "zh": "这是一座房子",
    "ja": "これは家です",
    "en": "This is the house that they have",
    "de": "Das ist ein Haus und es ist nicht alt",
    "fr": "Les maisons sont dans une ville avec nous",
    "es": "Los perros son más que una casa y el sol",
    "it": "Gli uomini sono nel giardino della casa e non più",
    "pt": "Os homens são mais que uma casa e não dos",
    "nl": "Het is een huis dat niet van ons wordt",
}
"""A sentence of each language, for owners' examples."""
