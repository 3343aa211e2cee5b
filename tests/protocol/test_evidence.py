"""Evidence keeps the order of its rounds through JSON, which sorts numbers as text."""

from __future__ import annotations

from shared.protocol.evidence import Completion, Evidence, EvidenceRow, ScoredCompletion
from shared.protocol.statement import Signed
from shared.protocol.wire import canonical_json
from shared.types import PromptId, RoundNumber, SliceName

MODEL = "sha256:" + "0a" * 32


def row(position: int) -> EvidenceRow:
    completion = Completion(token_ids=(1,), text="x", finished=True, logprob=-1.0, base_logprob=-1.0)
    one = (ScoredCompletion(completion=completion, s=0.5),)
    return EvidenceRow.model_validate(
        {
            "position": position,
            "prompt": PromptId(f"p{position}"),
            "slice": SliceName("chat"),
            "challenger": one,
            "champion": one,
            "challenger_seeds": (1,),
            "champion_seeds": (1,),
            "challenger_model": MODEL,
            "champion_model": MODEL,
        }
    )


def test_a_duel_carried_from_round_nine_to_ten_keeps_its_rows_in_order() -> None:
    written = Evidence(
        statement=Signed(body={}, author="5Grw", signature="0x00"),  # type: ignore[arg-type]
        duel="d",
        rounds={RoundNumber(9): 2, RoundNumber(10): 1},
        rows=tuple(row(position) for position in range(3)),
    )
    read = Evidence.model_validate_json(canonical_json(written))
    assert list(read.rounds) == [10, 9], "canonical JSON sorts keys as text"
    found = {number: [one.position for one in rows] for number, rows in read.by_round.items()}
    assert list(found.items()) == [(9, [0, 1]), (10, [2])]
