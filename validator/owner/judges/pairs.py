"""Human preference pairs: two answers to one prompt, the first one preferred by people.

Training and measuring read them from JSON lines, plain or gzipped, and split them here by prompt. A file
is right as a whole or refused with the number of its first bad line.
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


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, as text."""

    prompt: str
    chosen: str
    rejected: str

    @property
    def cluster(self) -> str:
        """Key of the prompt: pairs that share it are not independent, and never on both sides of a split."""
        return " ".join(self.prompt.lower().split())


@dataclass(frozen=True)
class PairFile:
    """The pairs of one file."""

    pairs: tuple[Pair, ...]
    digest: Digest
    """Of the file's bytes."""
    dropped: int
    """Lines with an empty answer or twice the same one: they state no preference."""


def read_pairs(path: Path) -> PairFile:
    """Pairs of `{"prompt","chosen","rejected"}` lines, or of `{"chosen","rejected"}` transcripts.

    A transcript has turns after `\\n\\nHuman:` and `\\n\\nAssistant:`; what both share up to the last
    `Assistant:` is the prompt. Raises AgonError `data_invalid` naming the first bad line.
    """
    data = read_bytes(path)
    parsed = [_parse(line) for line in read_lines(path)]
    pairs = tuple(pair for pair in parsed if pair is not None)
    if not pairs:
        raise AgonError("data_invalid", f"{path} holds no pair")
    return PairFile(pairs, sha256_digest(data), len(parsed) - len(pairs))


def split_pairs(
    pairs: Sequence[Pair], holdout: float, seed: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """(training pairs, held-out pairs): `holdout` is the share of prompts held out, by hash of the prompt.

    A prompt keeps its side when pairs are added. Raises AgonError `data_invalid` when a side is empty.
    """
    limit = int(holdout * 2**64)
    held = {
        pair.cluster
        for pair in pairs
        if int.from_bytes(hashlib.sha256(f"{seed}|{pair.cluster}".encode()).digest()[:8], "big") < limit
    }
    sides = (
        tuple(pair for pair in pairs if pair.cluster not in held),
        tuple(pair for pair in pairs if pair.cluster in held),
    )
    if not all(sides):
        message = f"{len(pairs)} pairs cannot be split with a share of {holdout:g} held out"
        raise AgonError("data_invalid", message, help="bring more prompts, or change --holdout")
    return sides


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises AgonError `data_invalid`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise AgonError("data_invalid", f"cannot read {path}: {error.strerror}") from error


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
        value = self.row.get(name)
        if not isinstance(value, str):
            raise self.fail(f"{name!r} is missing or not a text")
        return value


def read_lines(path: Path) -> Iterator[Line]:
    """Every line that is not blank, of a plain or gzipped file.

    Raises AgonError `data_invalid` for a broken gzip stream, broken UTF-8 or anything but JSON objects.
    """
    data = read_bytes(path)
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


def _parse(line: Line) -> Pair | None:
    chosen, rejected = line.text("chosen"), line.text("rejected")
    if "prompt" in line.row:
        prompt = line.text("prompt")
    else:
        prompt, chosen, rejected = _cut(chosen, rejected, line)
    if not prompt.strip():
        raise line.fail("the prompt is empty")
    chosen, rejected = chosen.strip(), rejected.strip()
    states_preference = chosen and rejected and chosen != rejected
    return Pair(prompt.strip(), chosen, rejected) if states_preference else None


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
