"""The arithmetic of the model benchmarks finds what was put into made-up samples."""

import math
from itertools import combinations

import numpy as np
import pytest

from benchmarks.sim.components import Sides, components, resampled_components, tie_share
from benchmarks.sim.gao import Curve, best_of_n, best_of_n_kl, fit


def test_best_of_n_is_the_mean_over_all_subsets():
    rng = np.random.default_rng(0)
    judge, values = rng.normal(size=(2, 3, 6))
    for n in (1, 2, 3, 6):
        chosen = [
            [row[max(subset, key=lambda i: judge[p, i])] for subset in combinations(range(6), n)]
            for p, row in enumerate(values)
        ]
        assert best_of_n(judge, values, n) == pytest.approx(np.mean(chosen, axis=1))


def test_divergence_of_best_of_n_is_that_of_a_race_of_uniforms():
    assert best_of_n_kl(1) == 0
    # density n x^(n-1) of the best rank x against the uniform one
    x = (np.arange(200_000) + 0.5) / 200_000
    assert best_of_n_kl(4) == pytest.approx(float(np.mean(4 * x**3 * np.log(4 * x**3))), abs=1e-6)


@pytest.mark.parametrize("form", ["best-of-n", "rl"])
def test_fit_finds_the_curve_it_was_drawn_from(form):
    d = np.array([0.0, 0.3, 0.8, 1.4, 2.0, 3.1])
    true = Curve(form, 0.9, 0.3)
    found = fit(form, d, np.array([0.0, *true.at(d[1:])]))
    assert (found.alpha, found.beta) == (pytest.approx(0.9), pytest.approx(0.3))
    near = true.at(np.array([found.peak * 0.99, found.peak, found.peak * 1.01]))
    assert near.argmax() == 1


def test_a_curve_that_never_bends_has_no_peak():
    assert math.isinf(Curve("rl", 1.0, -0.1).peak)


def test_variance_parts_are_those_that_were_drawn():
    rng = np.random.default_rng(1)
    prompts, samples = 4000, 4
    shared = rng.normal(0, 0.1, (prompts, samples))
    effect = rng.normal(0.1, 0.2, (prompts, 1))
    ours = effect + shared + rng.normal(0, 0.3, (prompts, samples))
    theirs = shared + rng.normal(0, 0.1, (prompts, samples))
    sides = Sides(np.array(["a", "b"] * (prompts // 2)), ours, theirs)
    found = components(sides)
    assert float(found.prompt) == pytest.approx(0.04, abs=0.005)
    assert float(found.challenger) == pytest.approx(0.10, abs=0.005)
    assert float(found.champion) == pytest.approx(0.02, abs=0.002)
    assert float(found.shared) == pytest.approx(0.01, abs=0.002)
    for design in ((1, 1), (1, 2), (2, 4)):
        d = ours[:, : design[0]].mean(1) - theirs[:, : design[1]].mean(1)
        assert float(found.variance(*design)) == pytest.approx(float(d.var()), rel=0.05)


def test_bootstrap_surrounds_the_estimate():
    rng = np.random.default_rng(2)
    sides = Sides(np.array(["a"] * 20 + ["b"] * 20), *rng.normal(size=(2, 40, 4)))
    low, high = np.quantile(resampled_components(sides, 200).variance(1, 2), [0.025, 0.975])
    assert low < float(components(sides).variance(1, 2)) < high


def test_ties_are_counted_per_design():
    sides = Sides(
        np.array(["a", "a"]), np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[1.0, 1.0], [0.5, 0.2]])
    )
    assert (tie_share(sides, 1, 1), tie_share(sides, 1, 2)) == (1.0, 0.5)
