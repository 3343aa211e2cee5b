"""Explaining: where a hotkey's submission is, when it is judged, what it earned, and who signed for that.

`agon-miner status --explain` prints it. A validator's live answers are its word; what it signed in the
statement of a round is held against them here, and its key against the chain's list of permits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from miner.status.api_client import ask_for
from shared.errors import AgonError
from shared.protocol.api import CompetitionView, Leaderboard, RecordView, SubmissionPage, SubmissionView
from shared.protocol.statement import Signed, SlotReport, StatementBody
from shared.protocol.wire import Wire
from shared.settings import Settings
from shared.types import Hotkey, RoundNumber

if TYPE_CHECKING:
    from shared.chain.records import Neuron

MOST_PROOFS = 5
"""Newest settled submissions whose statements are fetched."""
UNDER_WAY = frozenset({"waiting", "slotted", "admitted", "dueling", "parked"})


class Proof(Wire):
    """A signed statement that tells the same of a submission as the API does."""

    round: RoundNumber
    author: Hotkey
    permit: bool | None
    """Whether the author may validate, by the chain; none when the chain was not asked."""
    outcome: str
    """What the statement says became of it."""
    commit_block: int


class Outlook(Wire):
    """When a submission that is under way gets its verdict."""

    queue_position: int | None
    """From 1, while it waits for a slot."""
    rounds_ahead: int
    """Rounds that close before the one that can give it a slot."""
    round: RoundNumber
    """The round that it competes in, at the earliest."""
    verdict_block: int
    """Block at which the verdict of that round is open at the latest, unless the duel is carried."""
    blocks: int
    """Blocks until then."""
    seconds: float | None
    """The same in time; none when the chain was not asked."""


class Earnings(Wire):
    """What the hotkey has from its records."""

    records: tuple[RecordView, ...]
    gain: float
    """Sum of the proven gains, undecayed."""
    share: float | None
    """Share of the validator's newest weights."""
    incentive: float | None
    """Incentive of its UID on chain; none when the chain was not asked or it is not registered."""
    emission_rao: int | None
    """Alpha of the last epoch."""


class Explanation(Wire):
    """Everything that `--explain` adds."""

    outlook: Outlook | None
    """None when nothing is under way."""
    earnings: Earnings
    proofs: tuple[Proof, ...]
    chain: str
    """What the chain was asked."""


async def explain(settings: Settings, api: str, hotkey: Hotkey) -> Explanation:
    """Read API and, where network and subnet are named, the chain; verify what is signed.

    Raises AgonError `signature_invalid` for a statement that is not its author's, whose author holds no
    permit, or that says something else than the API does; `no_data`, and TransientError.
    """
    view = ask_for(api, "/v1/competition", CompetitionView)
    page = ask_for(api, f"/v1/submissions/{hotkey}", SubmissionPage)
    neurons, block_time_s = await _ask_chain(settings)
    permits = None if neurons is None else {row.hotkey for row in neurons if row.validator_permit}
    return Explanation(
        outlook=outlook_of(page.items, view, block_time_s),
        earnings=_earnings_of(api, hotkey, neurons),
        proofs=verify_proofs(api, page.items, permits),
        chain="permits and incentive are the chain's"
        if neurons is not None
        else "not asked: --network and --netuid add permits and incentive",
    )


def outlook_of(
    items: Sequence[SubmissionView], view: CompetitionView, block_time_s: float | None
) -> Outlook | None:
    """When the newest submission under way is judged; none without one or before the first round."""
    item = next((item for item in items if item.state in UNDER_WAY), None)
    if item is None or view.round is None:
        return None
    schedule = view.rules.schedule
    ahead = 0 if item.queue_position is None else (item.queue_position - 1) // schedule.slots
    fighting = max([item.round or 0, *(duel.round for duel in item.duels)])
    number = RoundNumber(fighting if item.round is not None else view.round + ahead)
    verdict_block = schedule.close(RoundNumber(number + 1))
    blocks = max(0, verdict_block - view.head)
    return Outlook(
        queue_position=item.queue_position,
        rounds_ahead=ahead,
        round=number,
        verdict_block=verdict_block,
        blocks=blocks,
        seconds=None if block_time_s is None else blocks * block_time_s,
    )


def verify_proofs(
    api: str, items: Sequence[SubmissionView], permits: set[Hotkey] | None
) -> tuple[Proof, ...]:
    """A proof for each of the newest settled submissions whose statement is open. Raises as `explain`."""
    settled = [item for item in items if item.settled_round is not None][:MOST_PROOFS]
    proofs = []
    for item in settled:
        proof = _verify(api, item, permits)
        if proof is not None:
            proofs.append(proof)
    return tuple(proofs)


def _verify(api: str, item: SubmissionView, permits: set[Hotkey] | None) -> Proof | None:
    from shared.signing import verify

    number = item.settled_round
    assert number is not None
    path = f"/v1/rounds/{number}/statement?competition={item.competition}"
    try:
        signed = ask_for(api, path, Signed)
    except AgonError as error:
        if error.code == "no_data":
            return None
        raise
    verify(signed)
    if permits is not None and signed.author not in permits:
        raise AgonError("signature_invalid", f"{signed.author} signed round {number} without a permit")
    slot = _slot_in(signed, item, number)
    _require_agreement(item, slot)
    return Proof(
        round=number,
        author=signed.author,
        permit=None if permits is None else True,
        outcome=slot.outcome,
        commit_block=item.commit_block,
    )


def _slot_in(signed: Signed, item: SubmissionView, number: RoundNumber) -> SlotReport:
    """What a signed statement says of a submission."""
    try:
        body = StatementBody.model_validate(signed.body)
    except ValidationError as error:
        raise AgonError("signature_invalid", f"what {signed.author} signed is no statement") from error
    if (body.round, body.competition) != (number, item.competition):
        raise AgonError("signature_invalid", f"the statement served is of round {body.round}, not {number}")
    key = (item.hotkey, item.commit_block)
    found = next((slot for slot in body.slots if (slot.hotkey, slot.commit_block) == key), None)
    if found is None:
        raise AgonError("signature_invalid", f"the signed statement of round {number} leaves it out")
    return found


def _require_agreement(item: SubmissionView, slot: SlotReport) -> None:
    """Raises AgonError `signature_invalid` when the API tells another outcome than its signer did."""
    newest = item.duels[-1] if item.duels else None
    told: str = item.state
    if item.state == "settled" and newest is not None and newest.verdict is not None:
        told = newest.verdict.outcome
        same_verdict = slot.verdict == newest.verdict
    else:
        same_verdict = True
    if told != slot.outcome or not same_verdict:
        message = f"the API says {told} of the commit in block {item.commit_block}; signed is {slot.outcome}"
        raise AgonError("signature_invalid", message)


def _earnings_of(api: str, hotkey: Hotkey, neurons: Sequence[Neuron] | None) -> Earnings:
    mine = None if neurons is None else next((row for row in neurons if row.hotkey == hotkey), None)
    try:
        standings = ask_for(api, "/v1/leaderboard", Leaderboard).standings
    except AgonError as error:
        if error.code != "no_data":
            raise
        standings = ()
    held = next((row for row in standings if row.hotkey == hotkey), None)
    return Earnings(
        records=held.records if held else (),
        gain=held.gain if held else 0.0,
        share=held.share if held else None,
        incentive=mine.incentive if mine else None,
        emission_rao=mine.emission_rao if mine else None,
    )


async def _ask_chain(settings: Settings) -> tuple[list[Neuron] | None, float | None]:
    """The metagraph and the block time, where network and subnet are named."""
    if settings.network is None or settings.netuid is None:
        return None, None
    from shared.chain.connect import connect

    async with connect(settings) as chain:
        return await chain.neurons(settings.netuid), await chain.block_time_s()


def shown_explanation(found: Explanation) -> dict[str, str]:
    """The explanation as aligned lines for people."""
    lines: dict[str, str] = {}
    if found.outlook is not None:
        look = found.outlook
        time = "" if look.seconds is None else f", about {look.seconds / 60:.0f} min"
        place = "" if look.queue_position is None else f"position {look.queue_position}, "
        lines["outlook"] = (
            f"{place}round {look.round} at the earliest; verdict by block {look.verdict_block},"
            f" {look.blocks} blocks from now{time}"
        )
    for record in found.earnings.records:
        lines[f"record of round {record.round}"] = f"gain {record.gain:.4f}, duel {record.duel}"
    share = found.earnings.share
    lines["share of weights"] = "none yet" if share is None else f"{share:.4f}"
    if found.earnings.incentive is not None:
        alpha = (found.earnings.emission_rao or 0) / 1e9
        lines["incentive"] = f"{found.earnings.incentive:.4f} on chain, {alpha:.6f} alpha in the last epoch"
    for proof in found.proofs:
        permit = {True: "holds a permit", None: "permit not checked", False: "no permit"}[proof.permit]
        lines[f"signed, round {proof.round}"] = f"{proof.outcome}, by {proof.author} ({permit})"
    lines["chain"] = found.chain
    return lines
