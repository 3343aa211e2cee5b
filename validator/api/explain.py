"""Explanations: why a submission stands where it stands, in one or two sentences a miner can act on.

The API and `agon-validator explain` use the same words. Sentences are made from stored facts and the
rules alone; nothing here reads the ledger or decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.protocol.api import DuelSummary, ErrorBody, SubmissionView
from shared.protocol.competition import Competition
from shared.protocol.verdict import Verdict
from shared.stats.power import provable


@dataclass(frozen=True)
class Case:
    """The facts about one submission that its explanation rests on."""

    state: str
    round: int | None = None
    rank: int | None = None
    queue_position: int | None = None
    next_try_block: int | None = None
    problem: ErrorBody | None = None
    duel: DuelSummary | None = None
    """Its newest duel."""
    crowned: bool = False


def explain(case: Case, rules: Competition) -> str:
    """Why the submission stands where it stands."""
    if case.state in {"rejected", "withheld", "parked"}:
        return _explain_problem(case)
    if case.duel is not None:
        return explain_duel(case.duel, rules, crowned=case.crowned)
    if case.state == "waiting":
        return _explain_queue(case, rules)
    retry = f"; {case.problem.message}, tried again" if case.problem else ""
    sentences = {
        "slotted": f"holds slot {(case.rank or 0) + 1} of round {case.round}: its files are fetched and"
        f" checked first{retry}",
        "admitted": "passed every check; its duel starts with the duels of its round",
        "expired": "left the queue before it got a slot: the hotkey committed again or left the subnet",
    }
    return sentences.get(case.state, f"is {case.state}")


def explain_duel(duel: DuelSummary, rules: Competition, *, crowned: bool) -> str:
    """How far a duel is or how it ended."""
    if duel.opens_at_block is not None:
        sealed = f"its evidence opens at block {duel.opens_at_block}, or when the round is settled before"
        return f"duels the champion, {duel.prompts} prompts so far; {sealed}"
    if duel.verdict is not None:
        return explain_verdict(duel.verdict, rules, crowned=crowned)
    if duel.state == "carried":
        return f"undecided after {duel.prompts} prompts: carried into the next round with its evidence"
    if duel.state == "ended":
        return f"its duel ended without a verdict after {duel.prompts} prompts: the champion changed"
    return f"duels the champion, {duel.prompts} prompts so far"


def explain_verdict(verdict: Verdict, rules: Competition, *, crowned: bool) -> str:
    """The verdict as a sentence with its interval."""
    level = f"{100 * (1 - verdict.alpha):.4g}%"
    interval = f"[{verdict.lower:+.3f}, {verdict.upper:+.3f}]"
    seen = f"mean difference {verdict.mean:+.3f}, {level} interval {interval}, {verdict.prompts} prompts"
    if verdict.outcome == "won":
        after = "crowned" if crowned else "not crowned: a winner of earlier priority goes first"
        bound = f"at least {verdict.gain_bound:+.3f}" if verdict.gain_bound is not None else "proven"
        return f"won and {after}; improvement {bound} on this pool, gain {verdict.gain:.3f} ({seen})"
    return f"{verdict.outcome}: {_reason(verdict, rules)} ({seen})"


def needed_to_win(verdict: Verdict | None, rules: Competition) -> str | None:
    """What a win would have taken; none for a win or without a verdict."""
    if verdict is None or verdict.outcome == "won":
        return None
    duel, margin = rules.duel, f"{rules.duel.margin:+.3f}"
    budget = rules.judging.kl_budget
    special: dict[str, str] = {
        "indistinguishable": "different answers: these are token for token the champion's",
        "slice_worse": f"every slice's lower bound at or above {-duel.slice_tolerance:+.3f} on fresh prompts",
        "fresh_judge": "a positive mean difference under the freshest judge alone",
        "length": "a positive mean difference at equal length",
        "kl_budget": f"a KL to the base of at most {budget:.3g} nats per completion",
        "gain_below_margin": f"a 90% lower bound above {margin} on {duel.prompts.gain} fresh prompts",
    }
    usual = (
        f"a lower bound above {margin} and a confirmation on fresh prompts; a true difference of"
        f" {provable(rules).with_carries:+.3f} or more is found with probability 0.8"
    )
    return special.get(verdict.reason, usual)


def text_of(view: SubmissionView) -> str:
    """The submission as lines for a terminal."""
    lines = [
        f"submission  {view.digest or 'malformed'}",
        f"hotkey      {view.hotkey}, committed at block {view.commit_block}",
        f"state       {view.state}" + (f", round {view.round}" if view.round is not None else ""),
    ]
    if view.model is not None:
        lines.append(f"model       {view.model}")
    lines.extend(f"duel        {duel.id}: {_duel_line(duel)}" for duel in view.duels)
    if view.problem is not None:
        lines.append(f"problem     {view.problem.code} (fault: {view.problem.fault})")
        lines.append(f"help        {view.problem.help}")
    lines.append(f"why         {view.explanation}")
    if view.to_win is not None:
        lines.append(f"to win      {view.to_win}")
    return "\n".join(lines)


def _duel_line(duel: DuelSummary) -> str:
    if duel.verdict is None:
        return f"{duel.state}, {duel.prompts} prompts"
    wealth = f"log wealth {duel.verdict.log_wealth:.2f} of {duel.threshold:.2f}"
    return f"{duel.verdict.outcome} ({duel.verdict.reason}), {wealth}, {duel.prompts} prompts"


def _explain_problem(case: Case) -> str:
    message = case.problem.message if case.problem else "no reason was stored"
    if case.state != "parked":
        return f"{case.state}: {message}"
    whose = case.problem.fault if case.problem else "validator"
    again = f"; tried again from block {case.next_try_block}" if case.next_try_block else ""
    return f"parked for a fault of the {whose}: {message}; it keeps its place{again}"


def _explain_queue(case: Case, rules: Competition) -> str:
    slots = rules.schedule.slots
    place = f"waits for a slot: position {case.queue_position} in the queue, {slots} slots a round"
    ahead = ((case.queue_position or 1) - 1) // slots
    when = "in the next round to give slots" if ahead == 0 else f"after {ahead} more round(s)"
    return f"{place}, so at the earliest {when}; a hotkey that rests after a duel is passed over"


def _reason(verdict: Verdict, rules: Competition) -> str:
    duel = rules.duel
    bound = "unknown" if verdict.gain_bound is None else f"{verdict.gain_bound:+.3f}"
    worse = [part.name for part in verdict.slices if part.lower < -duel.slice_tolerance]
    sentences: dict[str, str] = {
        "confirmed": "confirmed on fresh prompts",
        "worse": "proven worse than the champion",
        "futile": f"an improvement of {duel.planning_effect:+.3f} is ruled out",
        "indistinguishable": "its answers are token for token the champion's",
        "exhausted": f"no proof after {duel.prompts.carried_rounds} carried rounds",
        "gain_below_margin": f"fresh prompts bear out only {bound}, not {duel.margin:+.3f}",
        "slice_worse": f"not proven to be no worse on {', '.join(worse) or 'a slice'}",
        "fresh_judge": "not better under the freshest judge alone",
        "length": "not better once length is accounted for",
        "kl_budget": f"too far from the base: {verdict.kl:.3g} nats, allowed {rules.judging.kl_budget:.3g}",
    }
    return sentences[verdict.reason]
