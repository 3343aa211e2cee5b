"""The stepper: what stops a duel, that batching changes nothing, and that gain comes from fresh rows only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.protocol.competition import Competition
from shared.protocol.verdict import Verdict
from shared.stats.duel import Carry, Look, More, Terms, decide, look_at
from shared.stats.eprocess import confidence_sequence, log_wealth
from shared.stats.payout import probit_gain
from shared.stats.rows import Batch

SIZE = 4


def play(terms, stream):
    """Run a duel to its end as a driver does; the decisions on the way and the rounds taken."""
    rounds, taken = [[]], []
    while True:
        step = decide(terms, rounds)
        taken.append(step)
        if isinstance(step, Verdict):
            return taken, rounds
        if isinstance(step, Carry):
            rounds.append([])
        else:
            assert step.batches > 0
            rounds[-1].extend(next(stream) for _ in range(step.batches))


@pytest.fixture
def stream(draw, make_batches):
    def make(mean, seed=0, **changes):
        rng = np.random.default_rng(seed)
        while True:
            yield from make_batches(draw(rng, mean, 64), **changes)

    return make


def test_a_clear_improvement_wins_with_a_gain_from_fresh_rows(make_terms, stream):
    terms = make_terms()
    _, rounds = play(terms, stream(0.15))
    verdict = decide(terms, rounds)
    rows = [row for batch in rounds[0] for row in batch.rows]
    test, fresh = rows[:-128], rows[-128:]
    d = np.array([row.d for row in test])
    means = np.array([row.d for row in fresh]).reshape(-1, SIZE).mean(axis=1)
    bound = means.mean() - 1.2816 * means.std(ddof=1) / np.sqrt(32)
    lower, upper = confidence_sequence(d, 0.01)
    assert (verdict.outcome, verdict.reason, verdict.prompts) == ("won", "confirmed", len(rows))
    assert verdict.gain_bound == pytest.approx(bound)
    assert verdict.gain == pytest.approx(probit_gain(bound, 0.5))
    assert (verdict.mean, verdict.lower, verdict.upper) == pytest.approx((d.mean(), lower, upper))
    assert verdict.log_wealth == pytest.approx(log_wealth(d, 0.01))
    assert verdict.lower > 0.01
    assert [(part.name, part.prompts) for part in verdict.slices] == [
        ("chat", 64),
        ("words", 32),
        ("sums", 32),
    ]


def test_identical_completions_end_the_duel_before_the_minimum(make_terms, stream):
    taken, rounds = play(make_terms(identity=8), stream(0.0, identical=True))
    assert [type(step) for step in taken] == [More, Verdict]
    assert taken[0] == More(2)
    assert (taken[1].outcome, taken[1].reason, taken[1].prompts) == ("unproven", "indistinguishable", 8)
    assert sum(len(batch.rows) for batch in rounds[0]) == 8


def test_copy_with_equal_samples_earns_nothing(make_terms, make_batches):
    batches = make_batches(np.zeros(256), identical=True)
    verdict = decide(make_terms(), [batches])
    assert (verdict.outcome, verdict.reason, verdict.gain, verdict.win_rate) == (
        "unproven", "indistinguishable", 0.0, 0.5,
    )  # fmt: skip


def test_one_differing_row_prevents_the_identity_stop(make_terms, make_row, make_batches):
    batches = list(make_batches(np.zeros(64), identical=True))
    rows = [*batches[7].rows[:3], make_row(0.0, "sums", identical=False)]
    batches[7] = Batch.of(batches[7].plan, rows)
    assert isinstance(decide(make_terms(), [batches]), More)


def test_identity_counts_the_first_prompts_only(make_terms, make_batches):
    batches = [*make_batches(np.zeros(32), identical=True), *make_batches(np.full(400, 0.5))]
    assert decide(make_terms(), [batches]).reason == "indistinguishable"


def test_near_copy_is_futile_and_costs_little(make_terms, stream):
    verdicts = [play(make_terms(), stream(0.0, seed))[0][-1] for seed in range(30)]
    assert {verdict.outcome for verdict in verdicts} <= {"unproven", "lost"}
    assert sum(verdict.reason == "futile" for verdict in verdicts) >= 20


def test_a_policy_whose_upper_bound_is_below_zero_loses(make_terms, stream):
    verdict = play(make_terms(), stream(-0.9))[0][-1]
    assert (verdict.outcome, verdict.reason, verdict.gain, verdict.gain_bound) == ("lost", "worse", 0.0, None)
    assert verdict.upper < 0.0


def test_a_policy_that_only_misses_the_planned_effect_is_futile_not_lost(make_terms, stream):
    verdict = play(make_terms(), stream(-0.1))[0][-1]
    assert (verdict.outcome, verdict.reason, verdict.gain_bound) == ("unproven", "futile", None)
    assert verdict.upper >= 0.0


def test_an_open_duel_is_carried_and_then_exhausted(make_terms, stream):
    terms = make_terms(alpha=1e-12, beta=1e-12)
    taken, rounds = play(terms, stream(0.03))
    assert [len(batches) * SIZE for batches in rounds] == [256, 256, 256]
    assert sum(isinstance(step, Carry) for step in taken) == 2
    assert (taken[-1].outcome, taken[-1].reason, taken[-1].prompts) == ("unproven", "exhausted", 768)


def test_a_carried_duel_keeps_its_wealth(make_terms, make_batches):
    terms = make_terms(alpha=1e-4)
    first, second = make_batches([0.5, -0.4] * 128), make_batches([0.5, -0.4] * 64)
    assert decide(terms, [first]) == Carry()
    d = np.tile([0.5, -0.4], 192)
    lower, upper = confidence_sequence(d, 1e-4)
    assert look_at(terms, [first, second]) == Look(
        384, pytest.approx(0.05), lower, upper, log_wealth(d, 0.01)
    )


def test_a_carried_duel_is_confirmed_in_the_round_of_its_crossing(make_terms, make_batches):
    terms = make_terms(alpha=1e-4)
    first = make_batches([0.5, -0.4] * 128)
    fresh = make_batches([0.2, 0.1] * 64)
    second = [*make_batches([0.9] * 48), *fresh]
    assert decide(terms, [first]) == Carry()
    assert decide(terms, [first, second[:12]]) == More(32)
    verdict = decide(terms, [first, second])
    assert (verdict.outcome, verdict.prompts) == ("won", 256 + 48 + 128)
    assert verdict.gain_bound == pytest.approx(0.15)


def test_a_gain_refused_at_confirmation_is_not_paid(make_terms, make_batches):
    verdict = decide(make_terms(), [[*make_batches([0.9] * 64), *make_batches([0.5, 0.5, 0.5, -0.3] * 32)]])
    assert (verdict.outcome, verdict.reason, verdict.gain) == ("unproven", "slice_worse", 0.0)
    assert verdict.gain_bound == pytest.approx(0.3)


def test_no_crown_before_the_minimum(make_terms, make_batches):
    assert decide(make_terms(), [make_batches(np.full(48, 0.9))]) == More(4)
    assert decide(make_terms(), [make_batches(np.full(64, 0.9))]) == More(32)


def test_confirmation_may_run_beyond_the_maximum_in_its_own_round(make_terms, make_batches):
    terms = make_terms(min=256)
    batches = make_batches([0.3, 0.1] * 192)
    assert decide(terms, [batches[:64]]) == More(32)
    assert decide(terms, [batches]).prompts == 384
    with pytest.raises(ValueError, match="finishes in the round"):
        decide(terms, [batches[:70], batches[70:]])


def test_the_bound_never_depends_on_the_rows_that_led_to_the_stop(make_terms, make_batches, draw):
    """Any test rows that cross at the same look give the same gain, slices and champion mean."""
    terms, rng = make_terms(), np.random.default_rng(7)
    fresh = make_batches(draw(rng, 0.12, 128), s_champion=0.6)
    verdicts = [
        decide(terms, [[*make_batches(test, s_champion=0.1), *fresh]])
        for test in (np.full(64, 0.9), np.full(64, 0.6), rng.uniform(0.3, 1.0, 64))
    ]
    assert all(verdict.outcome == "won" for verdict in verdicts)
    assert len({(v.gain, v.gain_bound, v.champion_mean, v.slices) for v in verdicts}) == 1


def test_a_lucky_stop_is_not_confirmed(make_terms, make_batches):
    verdict = decide(make_terms(), [[*make_batches(np.full(64, 0.9)), *make_batches([0.3, -0.3] * 64)]])
    assert (verdict.outcome, verdict.reason, verdict.gain) == ("unproven", "gain_below_margin", 0.0)


@settings(max_examples=40, derandomize=True)
@given(
    mean=st.sampled_from([-0.2, 0.0, 0.03, 0.1, 0.2]),
    seed=st.integers(0, 10_000),
    cut=st.integers(0, 500),
    identical=st.booleans(),
)
def test_batching_never_changes_the_verdict(*, make_terms, draw, make_batches, mean, seed, cut, identical):
    terms = make_terms()
    rng = np.random.default_rng(seed)
    batches = [list(make_batches(draw(rng, mean, 384), identical=identical)) for _ in range(3)]
    _, rounds = play(terms, (batch for part in batches for batch in part[:64]))
    stepwise = decide(terms, rounds)
    prefix = rounds[-1][: cut % max(1, len(rounds[-1]))]
    assert not isinstance(decide(terms, [*rounds[:-1], prefix]), Verdict)
    extended = [*rounds[:-1], [*rounds[-1], *batches[0]]]
    if stepwise.reason != "exhausted":
        assert decide(terms, extended) == stepwise


def test_rounds_that_cannot_have_been_are_refused(make_terms, make_row, make_batches):
    terms = make_terms(alpha=1e-12, beta=1e-12)
    full, short = make_batches([0.1, -0.05] * 128), make_batches([0.1, -0.05] * 64)
    for rounds in ([short, full], [full, full, full, full]):
        with pytest.raises(ValueError, match="used up"):
            decide(terms, rounds)
    with pytest.raises(ValueError, match="another plan"):
        decide(terms, [[Batch.of((("chat", 1),), [make_row(0.0)])]])


def test_a_duel_without_rows_asks_for_its_first_look(make_terms):
    assert decide(make_terms(), []) == decide(make_terms(), [[]]) == More(4)
    assert look_at(make_terms(), []) == Look(0, 0.0, -1.0, 1.0, 0.0)


SENSELESS = [
    {"look": 6}, {"min": 8}, {"max": 100}, {"gain": 4}, {"gain": 0}, {"identity": 0}, {"plan": ()},
    {"carried_rounds": -1}, {"alpha": 0.0}, {"alpha": float("nan")}, {"beta": 1.0}, {"margin": 0.06},
    {"margin": float("nan")},
]  # fmt: skip


@pytest.mark.parametrize("change", SENSELESS)
def test_terms_that_make_no_sense_are_refused(make_terms, change):
    with pytest.raises(ValueError):
        make_terms(**change)


def test_terms_are_read_from_the_competition(make_terms):
    digest = "sha256:" + "0" * 64
    counts = {"look": 16, "min": 64, "max": 256, "carried_rounds": 2, "gain": 128, "identity": 32}
    rules = Competition.model_validate({
        "name": "tiny",
        "schedule": {"start_block": 0, "round_blocks": 40, "fetch_blocks": 10, "grace_blocks": 5, "slots": 4},
        "base": {"digest": digest},
        "architecture": {
            "family": "LlamaForCausalLM", "dtypes": ["float32"], "table": digest,
            "limits": {"bytes": 1, "files": 1, "max_abs": 1.0, "norm_ratio": 2.0},
        },
        "sampling": {
            "limits": {"prompt_tokens": 8, "new_tokens": 8}, "temperature": 1.0,
            "samples": {"challenger": 1, "champion": 2},
            "engine": {"threads": 1, "batch": 1}, "stop_ids": [0],
        },
        "slices": [
            {"name": name, "kind": "verifier:x", "weight": weight, "reference": digest,
             "pool": {"root": digest, "size": 100, "clusters": 50}}
            for name, weight in (("chat", 2), ("words", 1), ("sums", 1))
        ],
        "judging": {"disagreement_penalty": 0.0, "gated_percentile": 0.05, "nll_quantile": 0.99,
                    "kl_budget": 10.0, "judge_set_rounds": 2},
        "duel": {"alpha": 0.05, "beta": 0.05, "horizon_rounds": 100, "margin": 0.01, "planning_effect": 0.05,
                 "prompts": counts, "slice_tolerance": 0.15},
        "payout": {"full_gain": 0.1, "half_life_rounds": 5.0, "rebase_at": 0.75},
    })  # fmt: skip
    assert Terms.of(rules, alpha=0.01) == make_terms()
