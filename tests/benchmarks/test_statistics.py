"""The statistics' benchmarks: their quick paths are the real rule, and the page shows what they print."""

import dataclasses
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report import PAGES, REGION, printed, replaced
from benchmarks.sim.quick import Ending, Stream, decided, finish
from benchmarks.sim.reign import ATTACKS, HONEST, Attack, reign
from benchmarks.sim.simulation import DEMO, Planned, draw
from benchmarks.sim.tilting import GRID, crossing_probabilities, null_law
from benchmarks.statistics.duels import CHALLENGERS, TERMS, rows_by_round

ROOT = Path(__file__).parents[2]
PAGE = PAGES / "results" / "statistics.md"
MARKED = [found["command"] for found in REGION.finditer(PAGE.read_text(encoding="utf-8"))]


def stream_of(mean, seed):
    rng = np.random.default_rng(seed)
    return Stream(lambda count: draw(rng, mean, count))


@pytest.mark.parametrize("mean", [-0.05, 0.0, 0.03, 0.05, 0.15])
def test_quick_duel_is_the_duel_that_decide_decides(mean):
    """Same rows, demo terms: the same reason, prompts, mean and bound."""
    terms = dataclasses.replace(DEMO, alpha=0.01)
    for seed in range(8):
        ends = [way(terms, stream_of(mean, seed)) for way in (finish, decided)]
        assert ends[0].mean == pytest.approx(ends[1].mean)
        assert ends[0].bound == pytest.approx(ends[1].bound)
        assert dataclasses.replace(ends[0], mean=0.0, bound=None) == dataclasses.replace(
            ends[1], mean=0.0, bound=None
        )


@pytest.mark.parametrize(
    "kind", [CHALLENGERS[0], CHALLENGERS[5], CHALLENGERS[-1]], ids=lambda kind: kind.name
)
def test_quick_duel_is_the_duel_under_production_terms(kind):
    quick, slow = (way(TERMS, kind.stream(np.random.default_rng(1))) for way in (finish, decided))
    assert (quick.reason, quick.test, quick.fresh) == (slow.reason, slow.test, slow.fresh)


def test_null_law_has_the_mean_it_is_asked_for():
    law = null_law(0.01)
    assert (float(law.sum()), float(law @ GRID)) == (pytest.approx(1.0), pytest.approx(0.01))
    assert math.sqrt(float(law @ GRID**2) - 0.01**2) == pytest.approx(0.26, abs=0.002)


def test_rare_crossings_are_as_frequent_as_counted_ones():
    """At alpha .3 they are common enough to count: both ways agree within four standard errors."""
    terms = dataclasses.replace(DEMO, alpha=0.3)
    rates, errors = crossing_probabilities(terms, 0.01, [0.3, 0.003], 400, np.random.default_rng(2))
    rng, runs = np.random.default_rng(3), 1500
    crossed = sum(
        finish(terms, Stream(lambda count: draw(rng, 0.01, count))).bound is not None for _ in range(runs)
    )
    spread = math.sqrt(float(errors[0]) ** 2 + crossed / runs / runs)
    assert float(rates[0]) == pytest.approx(crossed / runs, abs=4 * spread)
    assert 0.0 < float(rates[1]) < 0.003


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_attack_spends_more_than_alpha_in_a_horizon(attack):
    """However many hotkeys come, rest, withhold or are renewed: shares of 100 rounds sum to at most alpha."""
    ending = Ending("futile", 640, 0, 0.0)
    trials = reign(
        attack, 100, 16, 0.05, rng=np.random.default_rng(4), end=lambda alpha, hotkey: ending, terms=TERMS
    )
    assert sum(trial.alpha for trial in trials) <= 0.05
    assert max(sum(trial.round == number for trial in trials) for number in range(100)) <= 16


def test_a_reign_ends_with_its_crown():
    won = Ending("confirmed", 128, 128, 0.1, 0.1)
    trials = reign(
        ATTACKS[1], 100, 4, 0.05, rng=np.random.default_rng(5), end=lambda alpha, hotkey: won, terms=DEMO
    )
    assert {trial.round for trial in trials} == {0}


def test_nobody_overtakes_an_honest_commit_in_the_queue():
    """250 hotkeys commit again and again: the honest one waits for those before it and for nobody else."""
    crowd, ending = Attack("", 250, renewed=True), Ending("futile", 640, 0, 0.0)
    rng = np.random.default_rng(6)
    trials = reign(crowd, 60, 16, 0.05, rng=rng, end=lambda alpha, hotkey: ending, terms=TERMS, honest_at=10)
    assert next(trial.round for trial in trials if trial.hotkey == HONEST) <= 10 + math.ceil(250 / 16)


def test_rows_of_a_carried_duel_fall_into_their_rounds():
    assert rows_by_round(Ending("futile", 640, 0, 0.0)) == [640]
    assert rows_by_round(Ending("confirmed", 4032, 2000, 0.02, 0.01)) == [6032]
    assert rows_by_round(Ending("confirmed", 4096, 2000, 0.02, 0.01)) == [4032, 2064]
    assert rows_by_round(Ending("exhausted", 16128, 0, 0.01)) == [4032] * 4


def test_a_planned_number_is_within_its_tolerance_or_said_not_to_be():
    assert Planned("x", 0.10, 0.12, 0.02).row() == ["x", "0.1", "0.12", "0.02", "yes"]
    assert Planned("x", 0.10, 0.13, 0.02).row()[-1] == "NO"


def headers(text):
    """Titles and heads of all tables without their numbers."""
    lines = text.splitlines()
    heads = [line for line, after in itertools.pairwise(lines) if re.fullmatch(r"\|(---\|)+", after)]
    titles = [line for line in lines if line.startswith("### ")]
    return [re.sub(r"[\d.,]*\d(?:e[+-]\d+)?", "#", line) for line in (*titles, *heads)]


@pytest.mark.parametrize("script", MARKED)
def test_page_shows_the_tables_that_its_benchmark_prints(script):
    """With other numbers: a quick run has fewer duels."""
    tables = next(
        found["tables"] for found in REGION.finditer(PAGE.read_text("utf-8")) if found["command"] == script
    )
    quick = printed(ROOT / script, "--runs", "3")
    assert headers(quick) == headers(tables)
    assert len(headers(quick)) >= 4


def test_page_has_every_benchmark_of_the_statistics_once():
    assert sorted(MARKED) == [
        f"benchmarks/statistics/{name}.py" for name in ("calibration", "duels", "gains", "power", "reigns")
    ]


def test_tables_are_replaced_between_their_own_markers_only():
    one, other = (f"<!-- printed by: benchmarks/{name}.py -->\nold {name}\n<!-- end -->\n" for name in "xy")
    page = f"before\n{one}between\n{other}after\n"
    assert replaced(page, "benchmarks/x.py", "new") == page.replace("old x", "new")


def test_figures_are_those_that_the_page_shows():
    shown = set(re.findall(r"\(\.\./figures/([\w-]+\.svg)\)", PAGE.read_text(encoding="utf-8")))
    source = (ROOT / "benchmarks" / "statistics" / "figures.py").read_text(encoding="utf-8")
    assert shown == set(re.findall(r'"([\w-]+\.svg)"', source))
    assert all((PAGES / "figures" / name).is_file() for name in shown)
