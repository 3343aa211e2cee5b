"""Reading an owner's prompt files: one JSON object a line, every fault of every line told at once.

The build reads held-out, reference and public prompts with it, and nothing else does: a bundle's own files
are written by us and read by `shared/checkpoints/bundle.py`. A byte order mark and blank lines are no faults.
It writes nothing and loads no model.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.errors import AgonError
from shared.protocol.loader import field_errors
from shared.protocol.prompt import Prompt
from shared.protocol.wire import canonical_json
from shared.types import SliceName

SHOWN = 20
"""Faults that a message lists; the others are counted."""
NAMED_CHARACTERS = 300
"""Most characters of one fault."""
SMALL_POOL = 16
"""Pools up to this size may hold prompts that all differ."""
LOOKED_AT = 512
"""Prompts of a pool that are compared with each other."""
ALIKE = 0.6
"""Least share of common words (of all words of both) at which two prompts come from one template."""


@dataclass(frozen=True)
class PromptFiles:
    """Every prompt that an owner brought."""

    pools: Mapping[SliceName, tuple[Prompt, ...]]
    reference: tuple[Prompt, ...]
    public: tuple[Prompt, ...]

    def every(self) -> Iterator[Prompt]:
        """All of them, held-out ones first."""
        for prompts in self.pools.values():
            yield from prompts
        yield from self.reference
        yield from self.public


@dataclass(frozen=True)
class _Line:
    place: str
    prompt: Prompt


def read_prompt_files(
    pools: Mapping[SliceName, Path], reference: Path, public: Path, slices: Collection[SliceName]
) -> PromptFiles:
    """The prompts of all files, `slices` being the rules'.

    Raises AgonError `prompts_invalid` with the faults of all lines of all files: no JSON, fields missing,
    unknown or of another type, another slice, an identifier or a held-out text that occurs twice, a held-out
    text that is open too, a slice without a reference prompt.
    """
    faults: list[str] = []
    held_out = {name: _read(path, {name}, faults) for name, path in pools.items()}
    asked, open_lines = _read(reference, slices, faults), _read(public, slices, faults)
    every_held_out = [line for lines in held_out.values() for line in lines]
    for lines in (every_held_out, asked, open_lines):
        faults += _repeated_ids(lines)
    faults += _repeated_texts(every_held_out)
    faults += _leaked(every_held_out, [*asked, *open_lines])
    covered = {line.prompt.slice for line in asked}
    # a file that cannot be read says so once
    if asked:
        faults += [f"{reference}: no prompt of slice {name!r}" for name in slices if name not in covered]
    if faults:
        raise faults_error(faults)
    return PromptFiles(
        {name: _prompts(lines) for name, lines in held_out.items()}, _prompts(asked), _prompts(open_lines)
    )


def read_prompts(path: Path, slices: Collection[SliceName]) -> tuple[Prompt, ...]:
    """The prompts of one file. Raises AgonError `prompts_invalid` with the faults of all its lines."""
    faults: list[str] = []
    lines = _read(path, slices, faults)
    faults += _repeated_ids(lines)
    if faults:
        raise faults_error(faults)
    return _prompts(lines)


def faults_error(faults: Sequence[str]) -> AgonError:
    """One `prompts_invalid` for all faults: at most `SHOWN` of them by line, the others as a count."""
    shown = [fault[:NAMED_CHARACTERS] for fault in faults[:SHOWN]]
    rest = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return AgonError("prompts_invalid", "\n  ".join([f"{count} in the prompts", *shown, *rest]))


def check_clusters(name: SliceName, prompts: Sequence[Prompt]) -> AgonError | None:
    """Whether a pool's clusters group prompts of one template; what an owner should know when they may not.

    Every prompt in a cluster of its own is right for questions that people wrote one by one, so it is told
    and not refused. It is wrong for prompts of common templates: the rows of a batch then depend on each
    other, and nothing shows it. Raises AgonError `prompts_invalid` when most prompts have a twin.
    """
    sizes = Counter(prompt.cluster for prompt in prompts)
    if len(prompts) <= SMALL_POOL or max(sizes.values()) > 1:
        return None
    looked_at = prompts[:LOOKED_AT]
    twins = [pair for pair in _twins(looked_at) if pair[1] is not None]
    if 2 * len(twins) > len(looked_at):
        one, other = twins[0]
        assert other is not None
        raise faults_error(
            [
                f"slice {name!r}: each of {len(prompts)} prompts is a cluster of its own, but {len(twins)} of"
                f" {len(looked_at)} share a template with another one, such as {one.id} and {other.id}:"
                " give prompts of one template one cluster"
            ]
        )
    message = f"slice {name!r}: each of {len(prompts)} prompts is a cluster of its own"
    return AgonError(
        "prompts_invalid", message, help="give prompts that share a template or a source one cluster"
    )


def _twins(prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, Prompt | None]]:
    """Each prompt with the first other one that has most of its words; none when there is no such."""
    words = [frozenset(re.findall(r"\w+", prompt.text.lower())) for prompt in prompts]
    for i, ours in enumerate(words):
        alike = (
            j for j, theirs in enumerate(words) if i != j and len(ours & theirs) >= ALIKE * len(ours | theirs)
        )
        found = next(alike, None)
        yield prompts[i], None if found is None else prompts[found]


def _read(path: Path, slices: Collection[SliceName], faults: list[str]) -> list[_Line]:
    try:
        data = path.read_bytes()
    except OSError as error:
        faults.append(f"{path}: {error.strerror or error}")
        return []
    lines = []
    for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        if not raw.strip():
            continue
        place = f"{path} line {number}"
        try:
            prompt = Prompt.model_validate_json(raw)
            canonical_json(prompt)  # what the pool's root is made of
        except ValidationError as error:
            faults.append(f"{place}: {field_errors(error)}")
            continue
        except ValueError as error:
            faults.append(f"{place}: no canonical form: {error}")
            continue
        if prompt.slice not in slices:
            wanted = " or ".join(repr(str(name)) for name in sorted(slices))
            faults.append(f"{place}: slice: it is {prompt.slice!r}, not {wanted}")
        if not prompt.text.strip():
            faults.append(f"{place}: text: it is blank")
        lines.append(_Line(place, prompt))
    # faults of lines were told one by one; a file without any line has none
    if not data.strip():
        faults.append(f"{path}: it holds no prompt")
    return lines


def _repeated_ids(lines: Iterable[_Line]) -> Iterator[str]:
    first: dict[str, str] = {}
    for line in lines:
        known = first.setdefault(line.prompt.id, line.place)
        if known != line.place:
            yield f"{line.place}: id: {line.prompt.id} is that of {known} already"


def _repeated_texts(lines: Iterable[_Line]) -> Iterator[str]:
    first: dict[tuple[str, str], str] = {}
    for line in lines:
        known = first.setdefault((line.prompt.slice, _wording(line.prompt)), line.place)
        if known != line.place:
            yield f"{line.place}: text: it is that of {known} already"


def _leaked(held_out: Iterable[_Line], known: Iterable[_Line]) -> Iterator[str]:
    open_texts = {_wording(line.prompt): line.place for line in known}
    for line in held_out:
        place = open_texts.get(_wording(line.prompt))
        if place is not None:
            yield f"{line.place}: text: it is held out and stands in {place} too"


def _wording(prompt: Prompt) -> str:
    return " ".join(prompt.text.lower().split())


def _prompts(lines: Iterable[_Line]) -> tuple[Prompt, ...]:
    return tuple(line.prompt for line in lines)
