"""Answers of a validator's HTTP API: what its routes return and what `agon-miner status` reads.

Each class is one answer or a part of one. They hold the verdict tier of evidence only: no prompt, no
completion and no per-sample score has a field here, so none can be sent by mistake.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.errors import Fault
from shared.protocol.competition import Competition
from shared.protocol.statement import SlotOutcome
from shared.protocol.verdict import Verdict
from shared.protocol.wire import DigestField, Wire
from shared.types import Hotkey, RoundNumber, SliceName

SubmissionState = Literal[
    "waiting", "slotted", "admitted", "dueling", "parked", "settled", "rejected", "withheld", "expired"
]
DuelState = Literal["open", "carried", "closed", "ended"]
RoundState = Literal["open", "slotted", "dueling", "settled"]
SetState = Literal["planned", "submitted", "confirmed", "failed"]


class ErrorBody(Wire):
    """What is wrong, what to do about it, and who has to do it."""

    code: str
    message: str
    help: str
    fault: Fault


class Champion(Wire):
    """The checkpoint that holds the competition, and its reign so far."""

    model: DigestField
    hotkey: Hotkey | None
    """None while the base model is champion."""
    from_round: RoundNumber
    rounds: int = Field(ge=0)
    """Closed rounds that it has been champion of."""


class RecordView(Wire):
    """A record with the verdict behind it."""

    duel: str
    model: DigestField
    round: RoundNumber
    gain: float
    """Proven gain, in probit units: what is paid."""
    mean: float | None = None
    lower: float | None = None
    upper: float | None = None
    """Anytime bounds of mean d in the duel."""
    win_rate: float | None = None
    prompts: int | None = None


class Standing(Wire):
    """One hotkey that holds a record."""

    rank: int = Field(ge=1)
    hotkey: Hotkey
    share: float | None
    """Share of the newest weight vector; none before there is one."""
    gain: float
    """Sum of its records' gains, undecayed."""
    champion: bool
    records: tuple[RecordView, ...]
    """Newest first."""


class WeightsRef(Wire):
    """The weight vector that shares were read from."""

    round: RoundNumber
    state: SetState


class Leaderboard(Wire):
    """Who is paid, for which proof."""

    competition: DigestField
    round: RoundNumber | None
    """Newest closed round."""
    champion: Champion
    standings: tuple[Standing, ...]
    """By share, then gain, then the earlier record."""
    remainder: float | None
    """Share that nobody earned, which burns; none before the first vector."""
    weights: WeightsRef | None


class DuelSummary(Wire):
    """A duel as far as it may be told now."""

    id: str
    hotkey: Hotkey
    commit_block: int
    challenger: DigestField
    champion: DigestField
    round: RoundNumber
    """Round whose draw it takes prompts from: its first, until it is carried."""
    state: DuelState
    prompts: int = Field(ge=0)
    """Prompts taken so far."""
    alpha: float
    """Its share of the error budget."""
    threshold: float
    """Log wealth that crosses: -ln(alpha)."""
    opens_at_block: int | None
    """Block from which its evidence is shown: later than every validator's own account; none when open."""
    verdict: Verdict | None
    """Slice means are rounded to 0.01 here."""


class SlicePoint(Wire):
    """One slice so far. The mean is rounded to 0.01, and missing while it rests on few prompts."""

    name: SliceName
    prompts: int
    mean: float | None


class PathPoint(Wire):
    """The interval after one look."""

    prompts: int
    mean: float
    lower: float
    upper: float
    log_wealth: float


class SealedRows(Wire):
    """The rows behind a duel, of which only the count and the root are public yet."""

    count: int
    root: DigestField | None
    """Merkle root in the newest statement that tells of this duel."""
    sealed_until_round: RoundNumber | None
    """First round by which its judges have rotated out, by the rules; none when no judge scores."""


class DuelView(DuelSummary):
    """A duel with its interval path and aggregates over all rows that are open."""

    log_wealth: float | None
    path: tuple[PathPoint, ...]
    """Test rows only, thinned to at most 24 looks; rounded to 0.0001."""
    slices: tuple[SlicePoint, ...]
    kl: float | None
    """Mean KL to the base, nats per completion."""
    extra_tokens: float | None
    """Mean length difference to the champion, tokens."""
    rows: SealedRows
    explanation: str
    to_win: str | None


class SubmissionView(Wire):
    """One submission, and why it stands where it stands."""

    hotkey: Hotkey
    commit_block: int
    competition: DigestField
    digest: DigestField | None
    """Committed digest; none when the commitment was malformed."""
    model: DigestField | None
    locator: str | None
    state: SubmissionState
    seen_round: RoundNumber
    round: RoundNumber | None
    """Round that gave it a slot."""
    rank: int | None
    fetch_until_block: int | None
    """Last block at which this validator takes missing files for late, while the slot waits for them."""
    settled_round: RoundNumber | None
    queue_position: int | None
    """From 1, while it waits for a slot."""
    attempts: int
    next_try_block: int | None
    problem: ErrorBody | None
    """Why it was refused, or what it is held up by."""
    duels: tuple[DuelSummary, ...]
    """Oldest first; a submission may meet several champions."""
    record: RecordView | None
    explanation: str
    to_win: str | None
    """What a win would have taken; none when nothing is known or it won."""


class SubmissionPage(Wire):
    """Submissions, newest commit first."""

    items: tuple[SubmissionView, ...]
    next_cursor: str | None
    """Pass as `cursor` for the next page; none on the last."""


class RoundSlot(Wire):
    """What holds one slot of a round."""

    rank: int
    hotkey: Hotkey
    commit_block: int
    digest: DigestField | None
    model: DigestField | None
    state: SubmissionState
    code: str | None
    outcome: SlotOutcome | None
    """From the statement of the round; none before it is open."""
    duel: str | None


class RoundView(Wire):
    """A closed round."""

    competition: DigestField
    number: RoundNumber
    state: RoundState
    close_block: int
    close_hash: str
    next_hash: str
    seed: str
    source: str
    slots_given: int | None
    trial: int | None
    champion: DigestField | None
    crowned: Hotkey | None
    opens_at_block: int | None
    """Block from which outcomes are shown; none when they are."""
    statement: DigestField | None
    """Digest of the statement's body, once it is served."""
    slots: tuple[RoundSlot, ...]


class WeightsView(Wire):
    """The newest row of the weights outbox."""

    round: RoundNumber
    state: SetState
    reason: str | None
    vector: dict[Hotkey, float]
    """Share by hotkey; the shares sum to 1."""
    uids: dict[str, int]
    """u16 weight by UID, as expected on chain."""
    planned_block: int
    done_block: int | None


class Provable(Wire):
    """Which true improvements the rules find with probability 0.8, on the assumption named."""

    alpha: float
    """Error budget of one duel in the first round of a reign with every slot taken."""
    slots: int
    assumed_sd: float
    """Assumed standard deviation of one row's d."""
    one_round: float
    """Smallest true mean d that is found within one round."""
    with_carries: float
    """The same with every carried round used."""
    confirmed: float
    """Smallest true mean d that passes confirmation."""


class CompetitionView(Wire):
    """The rules in force and what they can prove."""

    digest: DigestField
    rules: Competition
    head: int
    round: RoundNumber | None
    """Round that takes commitments now; none before the first."""
    closes_at_block: int | None
    champion: Champion | None
    proves: Provable
    guarantee: str
