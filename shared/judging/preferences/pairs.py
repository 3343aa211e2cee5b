"""Preference pairs: two completions of one prompt, the chosen one preferred to the rejected one.

Training and measuring read them from JSON lines, plain or gzipped, and split them here by prompt. A file
is right as a whole or refused with the number of its first bad line. `read_lines` reads other JSON lines too.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import AgonError
from shared.protocol.wire import sha256_digest
from shared.types import Digest

ASSISTANT = "\n\nAssistant:"
HUMAN = "\n\nHuman:"
"""How transcripts mark whose turn it is."""
LEAST_HELD = 2
"""Prompts held out at least: fewer give no interval."""


@dataclass(frozen=True)
class PreferencePair:
    """Two completions of one prompt, as text."""

    prompt: str
    chosen: str
    rejected: str
    source: str = ""
    """What the pair is about: where it comes from, or how the rejected side was made."""

    @property
    def cluster(self) -> str:
        """Key of the prompt: pairs that share it are not independent, and never on both sides of a split."""
        return " ".join(self.prompt.lower().split())


Sides = tuple[tuple[PreferencePair, ...], tuple[PreferencePair, ...]]
"""Training pairs and held-out pairs."""


@dataclass(frozen=True)
class PairFile:
    """The pairs of one file."""

    pairs: tuple[PreferencePair, ...]
    digest: Digest
    """Of the file's bytes."""
    dropped: int
    """Lines with an empty side or twice the same one: they state no preference."""


def read_pairs(path: Path) -> PairFile:
    """Pairs of `{"prompt","chosen","rejected"}` lines, or of `{"chosen","rejected"}` transcripts.

    A field is a text or a list of one message with `content`; `source` may name what a pair is about. A
    transcript has turns after `\\n\\nHuman:` and `\\n\\nAssistant:`; what both share up to the last
    `Assistant:` is the prompt. Raises AgonError `data_invalid` naming the first bad line.
    """
    data = _read_bytes(path)
    parsed = [_parse_pair(line) for line in _split_lines(data, path)]
    pairs = tuple(pair for pair in parsed if pair is not None)
    if not pairs:
        message = f"{path} holds no pair"
        if parsed:
            message += f": each of its {len(parsed)} lines has an empty side or twice the same one"
        raise AgonError("data_invalid", message)
    return PairFile(pairs, sha256_digest(data), len(parsed) - len(pairs))


def split_pairs(pairs: Sequence[PreferencePair], holdout: float, seed: int) -> Sides:
    """(training pairs, held-out pairs): `holdout` is the share of prompts held out, by hash of the prompt.

    A prompt keeps its side when pairs are added. Only where the share would leave fewer than one prompt to
    train on or `LEAST_HELD` to measure on are these taken, in order of the hash. Raises AgonError
    `data_invalid` with fewer than three prompts.
    """

    def place(cluster: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{seed}|{cluster}".encode()).digest()[:8], "big")

    places = {cluster: place(cluster) for cluster in {pair.cluster for pair in pairs}}
    if len(places) <= LEAST_HELD:
        message = f"{len(pairs)} pairs of {len(places)} prompts cannot be split: it takes three prompts"
        help_line = "bring more prompts: one to train on and two to measure on at least"
        raise AgonError("data_invalid", message, help=help_line)
    below = sum(value < int(holdout * 2**64) for value in places.values())
    count = min(max(below, LEAST_HELD), len(places) - 1)
    held = set(sorted(places, key=lambda cluster: (places[cluster], cluster))[:count])
    return (
        tuple(pair for pair in pairs if pair.cluster not in held),
        tuple(pair for pair in pairs if pair.cluster in held),
    )


@dataclass(frozen=True)
class Line:
    """One JSON object of a file, and where it stands."""

    place: str
    """File and line number, for messages."""
    row: Mapping[str, Any]

    def fail(self, reason: str) -> AgonError:
        """The error that names this line."""
        return AgonError("data_invalid", f"{self.place}: {reason}")

    def text(self, name: str) -> str:
        """The text of a required field. Raises AgonError `data_invalid`."""
        return self._as_text(self.row.get(name), name)

    def message(self, name: str) -> str:
        """The same, of a field that may also be a list of one message. Raises AgonError `data_invalid`."""
        value = self.row.get(name)
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            value = value[0].get("content")
        return self._as_text(value, name)

    def _as_text(self, value: object, name: str) -> str:
        if not isinstance(value, str):
            raise self.fail(f"{name!r} is missing or not a text")
        return value


def read_lines(path: Path) -> Iterator[Line]:
    """Every line that is not blank, of a plain or gzipped file.

    Raises AgonError `data_invalid` for a file that cannot be read, a broken gzip stream, broken UTF-8 or
    anything but JSON objects.
    """
    return _split_lines(_read_bytes(path), path)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AgonError("data_invalid", f"cannot read {path}: {error.strerror}") from error


def _split_lines(data: bytes, path: Path) -> Iterator[Line]:
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise AgonError("data_invalid", f"{path} is not readable text: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _parse_line(line, f"{path}, line {number}")


def _parse_line(text: str, place: str) -> Line:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AgonError("data_invalid", f"{place}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise AgonError("data_invalid", f"{place}: not a JSON object")
    return Line(place, row)


def _parse_pair(line: Line) -> PreferencePair | None:
    """The pair of a line, or None for one that states no preference."""
    chosen, rejected = line.message("chosen"), line.message("rejected")
    if "prompt" in line.row:
        prompt = line.message("prompt")
    else:
        prompt, chosen, rejected = _cut(chosen, rejected, line)
    if not prompt.strip():
        raise line.fail("the prompt is empty")
    source = line.row.get("source")
    pair = PreferencePair(
        prompt.strip(), chosen.strip(), rejected.strip(), source if isinstance(source, str) else ""
    )
    states_preference = pair.chosen and pair.rejected and pair.chosen != pair.rejected
    return pair if states_preference else None


def _cut(chosen: str, rejected: str, line: Line) -> tuple[str, str, str]:
    """Shared prompt and the two rests of two transcripts; one human turn alone loses its mark."""
    place = chosen.rfind(ASSISTANT)
    while place >= 0 and not rejected.startswith(chosen[: place + len(ASSISTANT)]):
        place = chosen.rfind(ASSISTANT, 0, place)
    if place < 0:
        raise line.fail("no 'prompt', and the texts are not two transcripts with one beginning")
    prompt, end = chosen[:place], place + len(ASSISTANT)
    if prompt.count(HUMAN) == 1 and ASSISTANT not in prompt:
        prompt = prompt.replace(HUMAN, "", 1)
    return prompt, chosen[end:], rejected[end:]
