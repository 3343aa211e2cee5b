"""Routes: the paths of the API, their parameters and the models they answer with.

Each is a plain function, run in a worker thread, that reads once and returns; `answers.py` knows how.
Every refusal has the shape of `ErrorBody`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import AgonError
from shared.protocol.api import (
    CompetitionView,
    DuelView,
    ErrorBody,
    Leaderboard,
    RoundView,
    SubmissionPage,
    WeightsView,
)
from shared.protocol.feed import EventPage
from shared.protocol.health import Health
from shared.protocol.statement import Signed
from shared.protocol.wire import DIGEST_PATTERN
from validator.api import answers
from validator.api.health import unreadable
from validator.api.reading import Reading

LARGEST = 2**53 - 1
"""Largest integer that JSON carries exactly; no block, round or event comes near."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "Unknown name (`not_found`), or nothing yet (`no_data`)"},
    422: {"model": ErrorBody, "description": "A parameter is not well-formed (`usage`)"},
    503: {"model": ErrorBody, "description": "The ledger cannot be read (`ledger_missing`)"},
}

router = APIRouter(prefix="/v1", responses=REFUSALS)
health_router = APIRouter()


def reading_of(request: Request) -> Reading:
    """The ledger and the clock that `create_app` was given."""
    reading: Reading = request.app.state.reading
    return reading


From = Annotated[Reading, Depends(reading_of)]
Key = Annotated[
    str,
    Path(
        pattern="^[0-9A-Za-z:]{1,80}$",
        description="Committed digest or model digest (`sha256:` and 64 hex digits), or hotkey (ss58)",
    ),
]
DuelId = Annotated[str, Path(pattern="^[0-9a-f]{1,40}$", description="Identifier of a duel")]
Round = Annotated[int, Path(ge=0, le=LARGEST, description="Number of a closed round")]
InCompetition = Annotated[
    str | None, Query(pattern=DIGEST_PATTERN, description="Digest of a competition; the current one if unset")
]
Limit = Annotated[int, Query(ge=1, le=100, description="Most items of a page")]
Cursor = Annotated[
    str | None,
    Query(pattern="^[0-9]{1,15}:[0-9A-Za-z]{1,64}$", description="`next_cursor` of the page before"),
]
After = Annotated[int, Query(ge=0, le=LARGEST, description="Identifier of the last event seen")]


@health_router.get(
    "/health",
    operation_id="check_health",
    tags=["validator"],
    responses={503: {"model": Health, "description": "The validator is down; the reasons say why"}},
)
def health(reading: From, response: Response) -> Health:
    """Whether this validator does its work: 200 when ok or degraded, 503 when down."""
    now_s = reading.now_s()
    try:
        found = reading.read(answers.check_health, now_s, reading.block_time_s)
    except AgonError as error:
        found = unreadable(str(error), now_s)
    except SQLAlchemyError as error:
        found = unreadable(f"the ledger cannot be read: {type(error).__name__}", now_s)
    response.status_code = 503 if found.status == "down" else 200
    return found


@router.get("/competition", operation_id="show_competition", tags=["competition"])
def competition(reading: From) -> CompetitionView:
    """The rules in force, the round that takes commitments, and what the numbers can prove."""
    return reading.read(answers.show_competition)


@router.get("/leaderboard", operation_id="show_leaderboard", tags=["competition"])
def leaderboard(reading: From) -> Leaderboard:
    """Hotkeys with a record, ranked by their share of the newest weight vector."""
    return reading.read(answers.show_leaderboard)


@router.get("/weights", operation_id="show_weights", tags=["competition"])
def weights(reading: From) -> WeightsView:
    """The newest weight vector and how far it is on its way to the chain."""
    return reading.read(answers.show_weights)


@router.get("/submissions", operation_id="list_submissions", tags=["submissions"])
def submissions(reading: From, limit: Limit = 20, cursor: Cursor = None) -> SubmissionPage:
    """Submissions, newest commit first."""
    return reading.read(answers.list_submissions, limit, cursor)


@router.get("/submissions/{key}", operation_id="find_submissions", tags=["submissions"])
def submission(reading: From, key: Key) -> SubmissionPage:
    """Every submission with this digest, model or hotkey, with its explanation."""
    return reading.read(answers.find_submissions, key)


@router.get("/duels/{duel}", operation_id="show_duel", tags=["submissions"])
def duel(reading: From, duel: DuelId) -> DuelView:
    """One duel: verdict, interval path and aggregates. Its rows stay sealed until their judges rotate."""
    return reading.read(answers.show_duel, duel)


@router.get("/rounds/{number}", operation_id="show_round", tags=["rounds"])
def round_(reading: From, number: Round, competition: InCompetition = None) -> RoundView:
    """A closed round: its seed, its slots and, once open, their outcomes."""
    return reading.read(answers.show_round, number, competition)


@router.get("/rounds/{number}/statement", operation_id="show_statement", tags=["rounds"])
def statement(reading: From, number: Round, competition: InCompetition = None) -> Signed:
    """This validator's signed statement of the round, exactly as it was signed."""
    return reading.read(answers.show_statement, number, competition)


@router.get("/events", operation_id="list_events", tags=["validator"])
def events(reading: From, after: After = 0, limit: Limit = 100) -> EventPage:
    """The feed of what happened, after an identifier, oldest first."""
    return reading.read(answers.list_events, after, limit)
