"""Golden tables of the reference chain's epoch tests, and properties of `run_yuma`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from localnet.yuma import U16_MAX, Inputs, Outputs, Rules, run_yuma


def make_inputs(stake, weights, bonds, *, last_epoch=0, permits=None, owner=None, listed=None) -> Inputs:
    n = len(stake)
    return Inputs(
        stake=np.asarray(stake, dtype=np.float64),
        weights=np.asarray(weights, dtype=np.float64),
        bonds=np.asarray(bonds, dtype=np.float64),
        permits=np.ones(n, dtype=np.bool_) if permits is None else permits,
        active=np.ones(n, dtype=np.bool_),
        last_update=np.full(n, 10, dtype=np.int64),
        registered_at=np.zeros(n, dtype=np.int64),
        last_epoch=last_epoch,
        owner=owner,
        listed=listed,
    )


def row(n: int, entries: dict[int, int]) -> list[int]:
    return [entries.get(uid, 0) for uid in range(n)]


SPREAD = {4: 16383, 5: 32767, 6: 49149, 7: 65535}


def run_table_a() -> list[Outputs]:
    """Table A: classic Yuma, eight neurons, four validators that drop out one after another."""
    rules = Rules(kappa=0.5, bonds_moving_average=0.9, bonds_penalty=1.0, yuma3=False)
    stake = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]
    permits = np.array([True] * 4 + [False] * 4)
    weights = [row(8, SPREAD) for _ in range(4)] + [row(8, {}) for _ in range(4)]
    changes = [None, (0, {0: 65535}), (1, {1: 65535}), (2, {2: 65535}), (2, {7: 65535}), None, None]
    bonds, results = np.zeros((8, 8)), []
    for change in changes:
        if change is not None:
            weights[change[0]] = row(8, change[1])
        result = run_yuma(rules, make_inputs(stake, weights, bonds, permits=permits))
        bonds = result.bonds
        results.append(result)
    return results


def test_classic_first_epoch_matches_the_reference():
    first = run_table_a()[0]
    np.testing.assert_allclose(first.dividends[:4], [0.1, 0.2, 0.3, 0.4], atol=1e-4)
    np.testing.assert_allclose(first.consensus[4:], [0.0999976, 0.2000012, 0.2999927, 0.4000085], atol=1e-4)
    np.testing.assert_allclose(first.incentive[4:], [0.0999976, 0.2000012, 0.2999927, 0.4000085], atol=1e-4)
    np.testing.assert_allclose(first.bonds[:4, 4], [16383, 32767, 49151, 65535], atol=1)
    paid = first.validator_share[:4] * 1e9
    np.testing.assert_allclose(paid, [49999998, 99999999, 150000000, 200000001], rtol=1e-6)
    served = first.server_share[4:] * 1e9
    np.testing.assert_allclose(served, [49998779, 100000610, 149996337, 200004272], rtol=1e-6)


def test_classic_validators_that_leave_lose_bonds_and_dividends():
    results = run_table_a()
    dividends = [result.dividends[:4] for result in results]
    np.testing.assert_allclose(dividends[1], [0.0899967, 0.2022211, 0.3033344, 0.4044477], atol=1e-4)
    np.testing.assert_allclose(dividends[2], [0.080994, 0.182000, 0.315859, 0.421148], atol=1e-4)
    np.testing.assert_array_equal(dividends[3], [0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(dividends[4], [0.0728875, 0.1637973, 0.3271310, 0.4361843], atol=1e-4)
    np.testing.assert_allclose(results[1].bonds[:4, 4], [14582, 32767, 49151, 65535], atol=1)
    np.testing.assert_allclose(results[2].bonds[:4, 4], [12603, 28321, 49151, 65535], atol=1)
    np.testing.assert_allclose(results[3].bonds[:4, 7], [12602, 28320, 49150, 65535], atol=1)
    np.testing.assert_allclose(results[4].bonds[:4, 7], [10951, 24609, 49150, 65535], atol=1)
    np.testing.assert_allclose(results[5].bonds[:2, 7], [9559, 21482], atol=1.5)
    np.testing.assert_allclose(results[6].bonds[:2, 7], [8376, 18824], atol=1.5)


def test_without_consensus_the_stake_is_paid():
    fourth = run_table_a()[3]
    paid = fourth.validator_share[:4] * 1e9
    np.testing.assert_allclose(paid, [99999999, 199999999, 299999999, 399999999], rtol=1e-6)
    assert fourth.incentive.sum() == 0


YUMA3_BONDS = [
    [[0.1013, 0], [0.1013, 0], [0.1013, 0]],
    [[0.0908, 0.1013], [0.3697, 0], [0.3697, 0]],
    [[0.0815, 0.1924], [0.3170, 0.1013], [0.5580, 0]],
    [[0.0731, 0.2742], [0.2765, 0.1924], [0.4306, 0.1013]],
    [[0.0656, 0.3478], [0.2435, 0.2742], [0.3589, 0.1924]],
    [[0.0588, 0.4139], [0.2157, 0.3478], [0.3089, 0.2742]],
]
YUMA3_DIVIDENDS = [
    [0.8, 0.1, 0.1],
    [1, 0, 0],
    [0.9382, 0.0618, 0],
    [0.8819, 0.0773, 0.0407],
    [0.8564, 0.0844, 0.0592],
    [0.8418, 0.0884, 0.0697],
]


def test_yuma3_pays_the_validator_that_moved_first():
    """Table B: Yuma3 with liquid alpha; A moves to the second miner first, then B, then C."""
    rules = Rules(
        kappa=0.5,
        bonds_moving_average=0.975,
        bonds_penalty=0.0,
        liquid_alpha=True,
        alpha_low=0.1,
        alpha_high=0.3,
        alpha_sigmoid_steepness=10.0,
    )
    bonds = np.zeros((5, 5))
    for epoch in range(6):
        weights = np.zeros((5, 5))
        for validator in range(3):
            weights[validator, 4 if epoch > validator else 3] = U16_MAX
        permits = np.array([True, True, True, False, False])
        listed = np.zeros((5, 5), dtype=np.bool_)
        listed[:3, 3:] = True
        inputs = make_inputs([8, 1, 1, 0, 0], weights, bonds, permits=permits, listed=listed)
        result = run_yuma(rules, inputs)
        bonds = result.bonds
        np.testing.assert_allclose(bonds[:3, 3:] / U16_MAX, YUMA3_BONDS[epoch], atol=2e-4)
        np.testing.assert_allclose(result.dividends[:3], YUMA3_DIVIDENDS[epoch], atol=2e-4)


def test_liquid_alpha_drops_the_bond_of_a_miner_left_out_of_the_row():
    rules = Rules(liquid_alpha=True)
    weights, bonds = np.zeros((3, 3)), np.zeros((3, 3))
    weights[0, 2] = U16_MAX
    bonds[0, 1] = 30_000
    result = run_yuma(rules, make_inputs([1, 0, 0], weights, bonds))
    assert result.bonds[0, 1] == 0


def test_yuma3_without_liquid_alpha_is_a_moving_average():
    rules = Rules(kappa=0.5, bonds_moving_average=0.975, bonds_penalty=0.0)
    weights = np.zeros((4, 4))
    weights[:3, 3] = U16_MAX
    bonds, seen = np.zeros((4, 4)), []
    for _ in range(3):
        permits = np.array([True, True, True, False])
        bonds = run_yuma(rules, make_inputs([33, 33, 34, 0], weights, bonds, permits=permits)).bonds
        seen.append(bonds[0, 3] / U16_MAX)
    np.testing.assert_allclose(seen, [0.0250, 0.0494, 0.0731], atol=1e-4)


def test_only_the_owner_may_weigh_itself():
    weights = np.eye(2) * U16_MAX
    plain = run_yuma(Rules(), make_inputs([1, 1], weights, np.zeros((2, 2))))
    owned = run_yuma(Rules(), make_inputs([2, 1], weights, np.zeros((2, 2)), owner=0))
    assert (plain.incentive.sum(), owned.incentive.tolist()) == (0.0, [1.0, 0.0])


def test_weights_older_than_a_registration_are_ignored():
    weights = np.array([[0.0, 1.0], [0.0, 0.0]])
    inputs = make_inputs([1, 0], weights, np.zeros((2, 2)))
    renewed = Inputs(**{**vars(inputs), "registered_at": np.array([0, 10])})
    assert run_yuma(Rules(), inputs).incentive.tolist() == [0.0, 1.0]
    assert run_yuma(Rules(), renewed).incentive.tolist() == [0.0, 0.0]


def test_non_finite_inputs_are_refused():
    inputs = make_inputs([float("nan"), 1], np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="finite"):
        run_yuma(Rules(), inputs)


@st.composite
def worlds(draw) -> tuple[Rules, Inputs]:
    n = draw(st.integers(1, 8))
    u16 = st.integers(0, U16_MAX).map(float)
    blocks = st.integers(0, 30)
    rules = Rules(
        kappa=draw(st.floats(0, 1)),
        bonds_moving_average=draw(st.floats(0, 1)),
        bonds_penalty=draw(st.floats(0, 1)),
        yuma3=draw(st.booleans()),
        liquid_alpha=draw(st.booleans()),
        alpha_low=draw(st.floats(0, 1)),
        alpha_high=draw(st.floats(0, 1)),
        alpha_sigmoid_steepness=draw(st.floats(-330, 330)),
        stake_threshold=draw(st.floats(0, 1e12)),
        max_validators=draw(st.integers(0, 8)),
    )
    inputs = Inputs(
        stake=draw(arrays(np.float64, n, elements=st.floats(0, 1e18))),
        weights=draw(arrays(np.float64, (n, n), elements=u16)),
        bonds=draw(arrays(np.float64, (n, n), elements=u16)),
        permits=draw(arrays(np.bool_, n)),
        active=draw(arrays(np.bool_, n)),
        last_update=draw(arrays(np.int64, n, elements=blocks)),
        registered_at=draw(arrays(np.int64, n, elements=blocks)),
        last_epoch=draw(blocks),
        owner=draw(st.none() | st.integers(0, n - 1)),
    )
    return rules, inputs


@settings(max_examples=150)
@given(worlds())
def test_every_output_is_finite_and_every_share_sums_to_one_or_zero(world):
    result = run_yuma(*world)
    assert all(np.isfinite(values).all() for values in vars(result).values())
    for share in (result.stake_share, result.incentive, result.dividends):
        assert (share >= 0).all()
        assert share.sum() == pytest.approx(1) or share.sum() == 0
    emission = (result.server_share + result.validator_share).sum()
    assert emission == pytest.approx(1) or emission == 0
    assert ((result.bonds >= 0) & (result.bonds <= U16_MAX)).all()
