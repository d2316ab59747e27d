"""Linear support finds every point that linear weightings can choose, and no other."""

from itertools import combinations

import numpy as np
import pytest

from morl.errors import InputError
from morl.fronts.search.linear_support import (
    corner_weights,
    linear_support,
    optimistic_gain,
)
from morl.pareto.coverage import convex_coverage
from morl.worlds.deep_sea import deep_sea_concave, deep_sea_convex


def best_of(rewards):
    return lambda weights: rewards[np.argmax(rewards @ weights)]


def points_on_sphere(num, k, seed=0):
    points = np.abs(np.random.default_rng(seed).normal(size=(num, k)))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def rows(points):
    return sorted(map(tuple, np.asarray(points).round(9).tolist()))


def test_nine_of_the_ten_convex_treasures_are_found():
    table = deep_sea_convex().rewards
    found = linear_support(best_of(table), 2)
    wanted = table[(table != [20.3, -14]).any(1)]
    assert len(wanted) == 9
    assert rows(found.rewards[found.kept]) == rows(wanted)
    assert found.bounds[-1] == 0
    # Two objectives: one solve for each vector and one for each corner between them.
    assert len(found.weights) <= 2 * 9 - 1


def test_only_the_ends_of_the_concave_treasures_are_found():
    found = linear_support(best_of(deep_sea_concave().rewards), 2)
    assert rows(found.rewards[found.kept]) == [(1, -1), (124, -19)]
    assert found.bounds[-1] == 0


@pytest.mark.parametrize(("num", "k"), [(25, 2), (30, 3), (12, 4)])
def test_all_vectors_of_a_convex_set_are_found(num, k):
    points = points_on_sphere(num, k)
    found = linear_support(best_of(points), k)
    assert rows(found.rewards[found.kept]) == rows(points[convex_coverage(points)])
    assert found.bounds[-1] == 0


@pytest.mark.parametrize("k", [2, 3])
def test_every_bound_holds_and_none_grows(k):
    points = points_on_sphere(20, k, seed=1)
    found = linear_support(best_of(points), k)
    draws = np.random.default_rng(2).dirichlet(np.ones(k), 2000)
    best = (draws @ points.T).max(1)
    for solves in range(k, len(found.weights) + 1):
        known = (draws @ found.rewards[:solves].T).max(1)
        assert (best - known).max() <= found.bounds[solves - 1] + 1e-6
    assert np.isinf(found.bounds[: k - 1]).all()
    assert (np.diff(found.bounds[k - 1 :]) <= 1e-6).all()


def test_it_stops_once_no_more_than_epsilon_can_be_gained():
    table = deep_sea_convex().rewards
    found = linear_support(best_of(table), 2, epsilon=1.0)
    assert 0 < found.bounds[-1] <= 1 < found.bounds[-2]
    assert found.kept.sum() < 9
    short = linear_support(best_of(table), 2, max_solves=3)
    assert len(short.weights) == 3 and short.bounds[-1] > 0


def test_units_and_origins_of_the_rewards_do_not_matter():
    points = points_on_sphere(15, 3)
    plain = linear_support(best_of(points), 3)
    moved = linear_support(best_of(1e6 * points - 7e6), 3)
    np.testing.assert_allclose(moved.weights, plain.weights, atol=1e-7)
    np.testing.assert_allclose(moved.bounds, 1e6 * plain.bounds, rtol=1e-5, atol=1)


@pytest.mark.parametrize("rewards", [[[2.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]])
def test_a_single_vector_has_no_corner_but_the_objectives(rewards):
    rewards = np.array(rewards)
    assert rows(corner_weights(rewards)) == [(0, 1), (1, 0)]
    found = linear_support(best_of(rewards), 2)
    assert rows(found.rewards[found.kept]) == rows(rewards[:1])


def test_corners_of_two_objectives_are_where_neighbours_tie():
    table = deep_sea_convex().rewards
    table = table[convex_coverage(table)]
    # Neighbours a, b tie at w1 (a1 - b1) = (1 - w1) (b2 - a2).
    steps = np.diff(table, axis=0)
    first = -steps[:, 1] / (steps[:, 0] - steps[:, 1])
    expected = np.concatenate([[0, 1], first])
    corners = corner_weights(table)
    np.testing.assert_allclose(corners[:, 0], np.sort(expected), atol=1e-9)


def test_corners_of_three_objectives_are_those_that_brute_force_finds():
    points = points_on_sphere(8, 3)
    # A vertex is where three of: u = w.r_i, w_k = 0, meet the simplex from above.
    faces = [np.append(p, -1) for p in points] + [*np.eye(4)[:3]]
    found = []
    for chosen in combinations(faces, 3):
        system = np.vstack([*chosen, [1, 1, 1, 0]])
        if abs(np.linalg.det(system)) < 1e-12:
            continue
        *w, u = np.linalg.solve(system, [0, 0, 0, 1])
        if min(w) > -1e-9 and (points @ w).max() < u + 1e-9:
            found.append(w)
    found = np.unique(np.abs(np.array(found)).round(8), axis=0)
    np.testing.assert_allclose(
        np.unique(corner_weights(points).round(8), axis=0), found, atol=2e-8
    )


@pytest.mark.parametrize("k", [2, 3, 4])
def test_tied_and_flat_vectors_do_not_crash(k):
    grid = np.random.default_rng(k).integers(0, 3, (30, k)).astype(float)
    found = linear_support(best_of(grid), k)
    draws = np.random.default_rng(0).dirichlet(np.ones(k), 500)
    kept = found.rewards[found.kept]
    np.testing.assert_allclose((draws @ kept.T).max(1), (draws @ grid.T).max(1))


def test_the_optimistic_gain_of_two_objectives_is_the_closed_form():
    # The supports w.v = u at both neighbours cross at one point, the best there may be.
    weights = np.array([[1.0, 0.0], [0.2, 0.8]])
    rewards = np.array([[10.0, 0.0], [4.0, 5.0]])
    corner = np.array([5 / 11, 6 / 11])
    crossing = np.linalg.solve(weights, [10.0, 0.2 * 4 + 0.8 * 5])
    expected = corner @ crossing - corner @ rewards[0]
    # The other objective alone, solved by a third vector, does not bind there.
    solved, known = np.vstack([weights, [0, 1]]), np.vstack([rewards, [0, 5.5]])
    np.testing.assert_allclose(
        optimistic_gain(corner, solved, known), expected, rtol=1e-9
    )


def test_what_solve_returns_is_checked():
    with pytest.raises(InputError, match="expected 2 finite rewards"):
        linear_support(lambda _: np.zeros(3), 2)
    with pytest.raises(InputError, match="expected 2 finite rewards"):
        linear_support(lambda _: np.array([0.0, np.nan]), 2)
    with pytest.raises(InputError, match="found 1, expected at least 2"):
        linear_support(lambda _: np.zeros(1), 1)
    with pytest.raises(InputError, match="max_solves: found 0, expected at least 1"):
        linear_support(lambda _: np.zeros(2), 2, max_solves=0)
