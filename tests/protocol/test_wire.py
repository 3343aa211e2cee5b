"""The byte form of documents: one canonical JSON, fixed by golden files that outlive any refactoring."""

import hashlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.protocol.evidence import Completion, EvidenceRow, ScoredCompletion
from shared.protocol.manifest import Lineage, Manifest, ManifestFile
from shared.protocol.prompt import Prompt
from shared.protocol.statement import SlotReport, StatementBody
from shared.protocol.verdict import SliceResult, Verdict
from shared.protocol.wire import Wire, canonical_json, checked_digest, digest_bytes, digest_of, sha256_digest
from shared.types import Digest, Hotkey, PromptId, RoundNumber, SliceName

GOLDEN = Path(__file__).parent.parent / "golden"
A, B = sha256_digest(b"a"), sha256_digest(b"b")
ALICE = Hotkey("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")

MANIFEST = Manifest(
    files=(
        ManifestFile(path="config.json", size_bytes=12, digest=A),
        ManifestFile(path="model.safetensors", size_bytes=9_007_199_254, digest=B),
    ),
    lineage=Lineage(parent=A, recipe="dpo", config=B),
)
SAMPLE = ScoredCompletion(
    completion=Completion(
        token_ids=(5, 7, 2), text="naïve “quotes” \u2028 end", finished=True, logprob=-3.25, base_logprob=-4.5
    ),
    gates=("loop", "unfinished"),
    raw={"minilm-a": 0.1},
    z={"minilm-a": -1e-07},
    u=-1e-07,
    s=0.05,
)
ROW = EvidenceRow(
    position=3,
    prompt=PromptId("instruct-1-oak"),
    slice=SliceName("instruct"),
    challenger=(SAMPLE,),
    champion=(SAMPLE, SAMPLE),
    challenger_seeds=(1,),
    champion_seeds=(1, 9_007_199_254_740_991),
    challenger_model=A,
    champion_model=B,
)
VERDICT = Verdict(
    outcome="won",
    reason="confirmed",
    prompts=192,
    mean=0.125,
    lower=0.0625,
    upper=0.1875,
    win_rate=0.5,
    gain=0.09,
    gain_bound=0.1,
    champion_mean=0.5,
    alpha=0.005,
    log_wealth=6.0,
    slices=(SliceResult(name=SliceName("instruct"), prompts=64, mean=0.1, lower=0.05),),
    kl=4.5,
    extra_tokens=-2.0,
)
STATEMENT = StatementBody(
    competition=A,
    round=RoundNumber(4),
    author=ALICE,
    previous=B,
    close_block=199,
    close_hash="0x" + "ab" * 32,
    seed=A,
    source="snapshot",
    champion=B,
    slots=(
        SlotReport(
            hotkey=ALICE, commit_block=170, digest=A, model=B, outcome="won", verdict=VERDICT, duel="d1"
        ),
    ),
    crowned=ALICE,
    next_champion=B,
    rows_root=A,
)
PROMPT = Prompt(
    id=PromptId("c-1-oak"), slice=SliceName("constraints"), cluster="c-1", text="An oak?", params={"words": 8}
)

DOCUMENTS: dict[str, Wire] = {
    "manifest": MANIFEST,
    "row": ROW,
    "verdict": VERDICT,
    "statement": STATEMENT,
    "prompt": PROMPT,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_keep_their_bytes(name: str) -> None:
    assert canonical_json(DOCUMENTS[name]) == (GOLDEN / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_survive_a_round_trip(name: str) -> None:
    document = DOCUMENTS[name]
    assert type(document).model_validate_json((GOLDEN / f"{name}.json").read_bytes()) == document


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.text()
        | st.floats(-(2.0**53) + 1, 2.0**53 - 1),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_canonical_json_depends_on_the_value_only(value: object) -> None:
    data = canonical_json(value)
    assert canonical_json(json.loads(data)) == data


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_that_is_not_finite_has_a_byte_form(number: float) -> None:
    with pytest.raises(ValueError):
        canonical_json({"x": number})
    with pytest.raises(ValidationError):
        Completion(token_ids=(), text="", finished=True, logprob=number, base_logprob=0.0)


def test_unknown_keys_are_errors() -> None:
    with pytest.raises(ValidationError):
        Prompt.model_validate({**PROMPT.model_dump(), "extra": 1})


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "G" * 64, "sha256:" + "A" * 64, "md5:" + "a" * 64]
)
def test_only_lower_case_sha256_is_a_digest(text: str) -> None:
    with pytest.raises(ValueError):
        checked_digest(text)


def test_digest_bytes_are_the_hash_itself() -> None:
    assert digest_bytes(digest_of({"a": 1})) == hashlib.sha256(b'{"a":1}').digest()


def test_a_row_is_the_difference_of_means() -> None:
    better = SAMPLE.model_copy(update={"s": 0.75})
    row = ROW.model_copy(update={"challenger": (better,)})
    assert (row.d, row.identical, row.kl) == (pytest.approx(0.7), True, 1.25)


@pytest.mark.parametrize("path", ["../up", "/abs", "a//b", "a/./b", "a\\b", "", "nul\0"])
def test_a_manifest_never_leaves_its_checkpoint(path: str) -> None:
    with pytest.raises(ValidationError):
        ManifestFile(path=path, size_bytes=1, digest=Digest(A))
