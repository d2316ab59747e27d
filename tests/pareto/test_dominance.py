"""Compiled dominance against moocore; ranks and crowding in whole populations."""

import jax
import jax.numpy as jnp
import moocore
import numpy as np
import pytest

from morl.pareto import host
from morl.pareto.dominance import crowding_distance, front_rank, non_dominated


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_non_dominated_points_are_those_of_moocore(k):
    rng = np.random.default_rng(k)
    points = rng.integers(0, rng.integers(2, 9, (300, 1, 1)), (300, 12, k)).astype(
        float
    )
    actual = jax.jit(jax.vmap(non_dominated))(jnp.asarray(points))
    expected = [host.non_dominated(case) for case in points]
    np.testing.assert_array_equal(actual, expected)


def test_masked_points_may_hold_nan_dominate_nobody_and_are_never_kept():
    points = jnp.array([[1.0, 1.0], [2.0, 2.0], [jnp.nan, 3.0], [0.0, 1.0]])
    mask = jnp.array([True, False, False, True])
    kept = jax.jit(non_dominated)(points, mask=mask)
    assert kept.tolist() == [True, False, False, False]
    assert not non_dominated(points, mask=jnp.zeros(4, bool)).any()


@pytest.mark.parametrize(("k", "n"), [(1, 9), (2, 12), (3, 70), (5, 70)])
def test_ranks_of_many_sets_at_once_are_those_of_moocore(k, n):
    rng = np.random.default_rng(k)
    levels = rng.integers(2, 12, (300, 1, 1))
    points = rng.integers(0, levels, (300, n, k)).astype(float)
    mask = rng.random((300, n)) < 0.8
    holed = jnp.asarray(np.where(mask[..., None], points, np.nan))
    actual = jax.jit(jax.vmap(lambda p, m: front_rank(p, mask=m)))(holed, mask)
    for found, case, counts in zip(np.asarray(actual), points, mask, strict=True):
        # moocore wants two objectives: a constant one changes no dominance.
        case = np.column_stack([case[counts], np.zeros(counts.sum())])
        expected = moocore.pareto_rank(case, maximise=True)
        np.testing.assert_array_equal(found[counts], expected - expected.min())
        assert (found[~counts] == n).all()


def test_the_points_of_rank_zero_are_the_non_dominated():
    points = jnp.asarray(np.random.default_rng(0).integers(0, 9, (100, 3)), float)
    mask = jnp.arange(100) % 3 > 0
    rank = jax.jit(front_rank)(points, mask=mask)
    np.testing.assert_array_equal(rank == 0, non_dominated(points, mask=mask))


def test_crowding_adds_the_shares_between_neighbours():
    points = jnp.array([[0.0, 8.0], [1.0, 6.0], [2.0, 1.0], [4.0, 0.0]])
    crowding = jax.jit(crowding_distance)(points, jnp.zeros(4, int))
    assert crowding.tolist() == [np.inf, 2 / 4 + 7 / 8, 3 / 4 + 6 / 8, np.inf]


def test_of_points_that_tie_at_an_end_the_first_and_last_rows_are_infinite():
    points = jnp.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    crowding = jax.jit(crowding_distance)(points, jnp.zeros(4, int))
    # Along the first objective rows 0 and 3 are ends, along the second 3 and 2.
    assert crowding.tolist() == [np.inf, 0 + 0, np.inf, np.inf]
