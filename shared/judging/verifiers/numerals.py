"""Numerals of running text: how people and models write numbers, read as exact fractions. Pure.

`read_numerals` is what `exact-answer-3` sees. `number_of`, `NUMBER` and `plain` are older and must not
change.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
LONGEST = 400
"""Characters of the longest numeral that is read, and the largest exponent: a value must stay cheap."""
MEASURES = re.compile(
    r"(?:kg|mg|g|lbs?|oz|km|cm|mm|nm|m|ft|in|mi|yd|mph|kph|hrs?|h|mins?|s|secs?|ms|ml|cl|dl|l|kwh|kw|am|pm|gb|mb|kb)"
    r"(?![\w-])",
    re.IGNORECASE,
)
"""Units that may stand right behind a numeral: `5kg` is 5, while `5x` and `3D` hold no number."""


class Numeral(NamedTuple):
    """A number in a text."""

    start: int
    end: int
    value: Fraction | None
    """None where it is too long or too large to be read."""


_DECIMAL = r"""(?>[0-9]{1,3}(?:,[0-9]{3})++(?!,?[0-9])(?:\.[0-9]++)?
    |[0-9]{1,3}(?:[ ][0-9]{3})++(?![0-9])(?:\.[0-9]++)?
    |[0-9]++(?:\.[0-9]++)?
    |\.[0-9]++)"""
_RAISED = r"(?:\^|\*\*)[ ]?(?:[{(][ ]?)?(?P<%s>[-+]?[0-9]++)(?:[ ]?[})])?"
_NUMERAL = re.compile(
    rf"""(?<![\w.#±])(?<![^\W\d_]-)(?<![0-9][:/^*])
    (?P<sign>(?<![)\]%-])[-+])?
    (?:(?P<whole>[0-9]++)[ ](?=[0-9]+/[0-9]))?
    (?P<number>{_DECIMAL})
    (?:[eE](?P<e>[-+]?[0-9]++))?
    (?:[ ]?[*×·xX][ ]?10[ ]?{_RAISED % "ten"}|[ ]?{_RAISED % "power"})?
    (?:[ ]?/[ ]?(?P<below>{_DECIMAL}))?""",
    re.VERBOSE,
)
"""A sign, a mixed number's whole part, digits, exponents, and what they are divided by."""
_NAME_GOES_ON = re.compile(r"\w|\.[0-9]|[ ]?[/:][ ]?[0-9]|\^|\*\*|-[^\W\d_](?![a-z])")
"""What may not follow a numeral: it is part of a name, a date, a time or a version then."""


def read_numerals(text: str) -> list[Numeral]:
    """The numerals of a text that `clean_text` prepared, from left to right.

    Digits that touch a letter or belong to a name are none: `B-12`, `x1`, `3D`, `12:30`, `1/2/2024`, `1.2.3`.
    """
    found = []
    for match in _NUMERAL.finditer(text):
        goes_on = _NAME_GOES_ON.match(text, match.end())
        if not goes_on or MEASURES.match(text, match.end()):
            found.append(Numeral(match.start(), match.end(), _value(match)))
    return found


def _value(match: re.Match[str]) -> Fraction | None:
    parts = {name: part for name, part in match.groupdict().items() if part}
    if len(match.group()) > LONGEST or any(
        abs(int(parts[name])) > LONGEST for name in ("e", "ten", "power") if name in parts
    ):
        return None
    value = _decimal(parts["number"]) * _tenfold(parts.get("e", "0")) * _tenfold(parts.get("ten", "0"))
    try:
        value = value ** int(parts.get("power", "1"))
        value /= _decimal(parts.get("below", "1"))
    except ZeroDivisionError:
        return None
    value += int(parts.get("whole", "0"))
    return -value if parts.get("sign") == "-" else value


def _tenfold(exponent: str) -> Fraction:
    return Fraction(10) ** int(exponent)


def _decimal(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").replace(" ", ""))


_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f\t"), " ")
_MINUS = dict.fromkeys(map(ord, "\u2212\ufe63\uff0d\u2010\u2011\u2012\u2013"), "-")
_GONE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"), "")
_SIGNS = str.maketrans({**_SPACES, **_MINUS, **_GONE})
_RAISED_SIGNS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_LOWERED = str.maketrans(_RAISED_SIGNS, "0123456789-")
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2"),
        (r"\\(?:times|cdot)\b", "×"),
        (r"\{,\}", ","),
        (r"\\(?:text|mathrm|mathbf)\{([^{}]*)\}", r" \1 "),
        (r"\\[()\[\],;!: ]", ""),
        (r"\\(?=[%$])", ""),
        (r"(?<=[^\W\d_])[$£€¥]", " "),
        (r"[$£€¥]", ""),
        (r"(?<![0-9])\*\*|\*\*(?![0-9])", " "),
        (r"(?<==)[ ]*-[ ]+(?=[0-9.])", " -"),
        (r"\b(?<![0-9] )(?:[Mm]inus|[Nn]egative) (?=[0-9.])", "-"),
    )
)


def clean_text(text: str) -> str:
    """A text with one kind of space and of minus, and without markup and currency signs."""
    plain_text = text.translate(_SIGNS)
    for pattern, new in _REWRITES:
        plain_text = pattern.sub(new, plain_text)
    plain_text = re.sub("[¼-¾⅐-⅞]", _written_out, plain_text)
    return re.sub(
        f"(?<=[0-9])[{_RAISED_SIGNS}]+", lambda run: f"^{run.group().translate(_LOWERED)}", plain_text
    )


def _written_out(sign: re.Match[str]) -> str:
    before = sign.string[sign.start() - 1 : sign.start()]
    return (" " if before.isdecimal() else "") + unicodedata.normalize("NFKC", sign.group()).replace("⁄", "/")


def value_of_text(text: str) -> Fraction | None:
    """The value of a text that is one numeral and nothing else but a percent sign, as a gold answer is."""
    cleaned = clean_text(text).strip().removesuffix("%").rstrip()
    numerals = read_numerals(cleaned)
    whole = len(numerals) == 1 and (numerals[0].start, numerals[0].end) == (0, len(cleaned))
    return numerals[0].value if whole else None


def number_of(text: str) -> Decimal | None:
    """The value of a text that is one decimal number, with or without thousands separators."""
    bare = text.strip().replace(",", "")
    return Decimal(bare) if NUMBER.fullmatch(bare) else None


def plain(text: str) -> str:
    """A text without case, doubled spaces and final stops."""
    return " ".join(text.lower().split()).strip(" .!?")
