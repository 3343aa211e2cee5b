"""Opponents: the checkpoint that a dry run plays against, and the terms that the next duel would have.

`base` is in the bundle, the champion is fetched from where its author published it and verified byte by
byte, and anything else is a directory of one's own. Terms come from a validator's API where one is
given, and are assumed openly where none is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from miner.status.api_client import ask_for
from shared.chain.commitment import parse_locator
from shared.checkpoints.bundle import Bundle
from shared.checkpoints.download import download
from shared.checkpoints.stores import open_store
from shared.errors import AgonError
from shared.protocol.api import Champion, CompetitionView, Leaderboard, RoundView, SubmissionPage
from shared.protocol.competition import Competition
from shared.settings import Settings
from shared.types import RoundNumber

MOST_ROUNDS = 64
"""Closed rounds that are asked for the newest trial of the reign."""


@dataclass(frozen=True)
class Conditions:
    """What decides a duel's share of the error budget."""

    trial: int
    """Round of the reign with slots, from 1."""
    slots: int
    source: str
    """Where the two come from, in words."""


def find_opponent(settings: Settings, bundle: Bundle, against: str, api: str | None) -> Path:
    """Directory of the checkpoint that `against` names: `base`, `champion` or a directory.

    Raises AgonError `usage` for anything else, `no_data` for a champion that nobody serves, and what the
    download raises.
    """
    if against == "base":
        return bundle.base
    if against == "champion":
        if api is None:
            raise AgonError("usage", "the champion is known to a validator only: pass its address as --api")
        return fetch_champion(settings, bundle, api)
    path = Path(against)
    if not path.is_dir():
        raise AgonError("usage", f"--against takes base, champion or a directory, not {against}")
    return path


def champion_of(api: str) -> Champion:
    """The champion as the validator at `api` knows it."""
    return ask_for(api, "/v1/leaderboard", Leaderboard).champion


def fetch_champion(settings: Settings, bundle: Bundle, api: str) -> Path:
    """The champion's checkpoint, downloaded once and verified against its digest."""
    champion = champion_of(api)
    if champion.model == bundle.rules.base.digest:
        return bundle.base
    page = ask_for(api, f"/v1/submissions/{champion.model}", SubmissionPage)
    places = [item.locator for item in page.items if item.locator and item.hotkey == champion.hotkey]
    if not places:
        raise AgonError("no_data", f"{api} names no place of the champion {champion.model}")
    fetched = download(
        open_store(parse_locator(places[0]), settings),
        binds=lambda digest: digest == champion.model,
        limits=bundle.rules.architecture.limits,
        cache=settings.state / "cache",
    )
    return fetched.path


def assumed_conditions(rules: Competition, *, trial: int | None, slots: int | None) -> Conditions:
    """The conditions given, or else the first round of a reign with every slot taken."""
    given = trial is not None and slots is not None
    source = "as given" if given else "assumed: first round of a reign, every slot taken, where not given"
    return Conditions(trial or 1, slots or rules.schedule.slots, source)


def asked_conditions(api: str, *, trial: int | None, slots: int | None) -> Conditions:
    """The conditions of the next round to close, from what the validator at `api` knows now."""
    view = ask_for(api, "/v1/competition", CompetitionView)
    found = trial or _next_trial(api, view)
    taken = slots or _next_slots(api, view.rules)
    return Conditions(found, taken, f"as {api} tells of round {view.round}; other commits may come")


def _next_trial(api: str, view: CompetitionView) -> int:
    """One more than the newest trial of this reign."""
    if view.champion is None or view.round is None:
        return 1
    first = max(view.champion.from_round, view.round - MOST_ROUNDS)
    for number in range(view.round - 1, first - 1, -1):
        trial = _trial_of(api, RoundNumber(number))
        if trial is not None:
            return trial + 1
    return 1


def _trial_of(api: str, number: RoundNumber) -> int | None:
    try:
        return ask_for(api, f"/v1/rounds/{number}", RoundView).trial
    except AgonError as error:
        if error.code == "no_data":
            return None
        raise


def _next_slots(api: str, rules: Competition) -> int:
    """Slots that the next round will give: one for us, and one for each submission that waits."""
    try:
        page = ask_for(api, "/v1/submissions?limit=100", SubmissionPage)
    except AgonError as error:
        if error.code == "no_data":
            return 1
        raise
    waiting = sum(item.state == "waiting" for item in page.items)
    return min(rules.schedule.slots, waiting + 1)
