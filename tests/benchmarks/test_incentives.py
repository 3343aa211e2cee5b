"""The pay game decides as the stepper does, and its attacks earn what the page says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.incentives import incentives, yuma
from benchmarks.incentives.incentives import ME, WORLD
from benchmarks.incentives.yuma import play
from benchmarks.sim.game import Bout, Game
from benchmarks.sim.simulation import DEMO, PLAN
from benchmarks.sim.strategies import Pack, Ring, Steps, every
from benchmarks.sim.world import Entry, Policy, View, World
from localnet.yuma import Rules
from shared.protocol.verdict import Verdict
from shared.stats.duel import Carry, decide
from shared.stats.eprocess import alpha_share
from shared.stats.payout import lifetime_pay
from shared.stats.rows import Batch, Row
from shared.types import Hotkey
from validator.owner.preflight import LEAST_RECORD_PAY

NAMES = [name for name, count in PLAN for _ in range(count)]


class Idle:
    """A miner that never commits."""

    owner = "idle"

    def enter(self, view: View) -> list[Entry]:
        return []


@pytest.mark.parametrize("quality", [0.0, 0.03, 0.06, 0.15])
def test_a_duel_of_the_game_ends_as_the_stepper_ends_it(quality):
    """Same rows, carried rounds included: the same kind of ending and the same gain, to the last bit."""
    kinds = set()
    for seed in range(6):
        game = Game(World(terms=DEMO), [Idle()], seed)
        bout = Bout(Entry(Hotkey("a-0"), Policy(quality)), (0, 0), alpha=0.01)
        terms, rounds = replace(DEMO, alpha=0.01), []
        for game.round in range(DEMO.carried_rounds + 1):
            count = DEMO.max + DEMO.gain
            rows = zip(
                game.scores("a", "a-0", Policy(quality), count).tolist(),
                game.scores("a", "champion", game.champion, count).tolist(),
                strict=True,
            )
            drawn = Batch.split(
                PLAN,
                [Row(NAMES[i % 8], a - b, a - b, 0.0, 1.0, False, b) for i, (a, b) in enumerate(rows)],
            )
            step = decide(terms, [*rounds, drawn])
            ending = game.duel(bout)
            game.turns["a"] += 1
            kinds.add(ending.kind)
            if not isinstance(step, Carry):
                break
            assert ending.kind == "carried"
            rounds.append(drawn[: DEMO.max // 8])
        assert isinstance(step, Verdict)
        assert (ending.kind, ending.gain) == ("won" if step.outcome == "won" else "ended", step.gain)
    assert kinds & {"won", "ended"}


def test_drips_of_a_large_step_pay_only_where_age_alone_wears_gains_off():
    for seed in range(2):
        at_once, drips = ([(0, 0.30)], every(20, 0.075, 0, 4))
        for ages_only in (False, True):
            world = replace(WORLD, ages_only=ages_only)
            whole, parts = (Game(world, [Steps(ME, plan)], seed).play()[ME] for plan in (at_once, drips))
            assert (parts > whole) == ages_only
            assert whole > 70.0


def test_the_game_is_played_under_rules_that_a_build_accepts():
    world = World()
    assert lifetime_pay(world.terms.margin, world.full_gain, world.half_life) <= LEAST_RECORD_PAY


def test_a_ring_lives_by_rotations_and_a_cap_ends_it():
    """Its policies' true level is .05, and .08 where judges favour one: 31.6 round-emissions in all."""
    pay = {}
    for name, changes in (
        ("lasting", {"set_rounds": WORLD.rounds}),
        ("free", {}),
        ("live", {"cap": "live"}),
        ("possible", {"cap": "possible"}),
        ("proven", {"cap": "proven"}),
    ):
        pay[name] = Game(replace(WORLD, active=44, **changes), [Ring(ME, 0.05, 0.03)], 0).play()[ME]
    assert 20.0 < pay["lasting"] < 36.0 and pay["free"] > 5 * pay["lasting"]
    assert pay["free"] > pay["live"] > pay["possible"] > pay["proven"]
    assert pay["possible"] < 1.5 * 31.6 and pay["proven"] < 1.25 * 31.6


def test_withheld_slots_stay_counted_and_rest_ever_longer():
    """One published, three withheld: alpha is that of four slots, and rests are 2, 4, 8, 16 rounds."""
    game = Game(replace(WORLD, active=2), [Pack(ME, 0.02, 1, decoys=3)], 0)
    seen = []
    finish = game.duel
    game.duel = lambda bout: (seen.append(bout.alpha), finish(bout))[1]
    game.play()
    assert seen[:4] == [alpha_share(0.05, 1, 4, 100)] * 4
    long = Game(replace(WORLD, active=36), [Pack(ME, 0.0, 0, decoys=1)], 0)
    rounds = []
    long.duel = lambda bout: (rounds.append(long.round), finish(bout))[1]
    assert long.play() == {ME: 0.0}
    assert rounds == [0, 3, 8, 17, 34]


@pytest.mark.parametrize("rules", [Rules(), Rules(yuma3=False)])
def test_less_than_half_of_the_stake_cannot_pay_a_miner_that_earned_nothing(rules):
    weak, strong = play(0.49, 0.0, 1.0, rules), play(0.51, 0.0, 1.0, rules)
    assert (weak.own, weak.dividends, weak.trust) == (0.0, 0.0, 0.0)
    assert weak.best == pytest.approx(0.6)
    assert (strong.own, strong.trust) == (1.0, 1.0)


@pytest.mark.parametrize("stake", [0.1, 0.3, 0.49])
@pytest.mark.parametrize("earned", [0.05, 0.4, 0.7])
def test_a_weak_liar_moves_incentive_only_by_voting_for_nobody_else(stake, earned):
    """Its excess is clipped; what is left is its stake missing from the others' columns, and its trust."""
    lied, told = play(stake, earned, 1.0, Rules()), play(stake, earned, earned, Rules())
    assert lied.own == pytest.approx(earned / (earned + (1 - earned) * (1 - stake)))
    assert (lied.trust, told.trust) == (pytest.approx(earned), pytest.approx(1.0))
    assert lied.dividends < told.dividends == pytest.approx(stake)


def test_benchmark_prints_its_tables(monkeypatch, capsys):
    """Every line and table, in a world of few rounds."""
    short = {"active": 6, "rounds": 12}
    monkeypatch.setattr(incentives, "WORLD", replace(WORLD, **short))
    cases = tuple(replace(case, world=replace(case.world, **short)) for case in incentives.CASES)
    monkeypatch.setattr(incentives, "CASES", cases)
    monkeypatch.setattr(yuma, "EPOCHS", 2)
    monkeypatch.setattr("sys.argv", ["incentives", "--runs", "2"])
    incentives.main()
    tables = capsys.readouterr().out.split("\n## ")[1:]
    assert len(tables) == 7
    assert all(table.count("\n|") >= 4 for table in tables)
