"""Adaptive weightings know more of an uneven front than an even lattice does."""

import numpy as np
import pytest

from morl.errors import InputError
from morl.fronts.search.adaptive import adaptive_weights, next_weights
from morl.pareto import host
from morl.pareto.directions import simplex_lattice

T = np.linspace(0, 1, 20_001)
LATTICE = simplex_lattice(3, 100)
# Fronts that bend unevenly, or whose objectives have different units.
UNEVEN = {
    "convex": np.stack([T, (1 - T**0.3) ** (1 / 0.3)], 1),
    "concave": np.stack([T, (1 - T**6) ** (1 / 6)], 1),
    "flat then steep": np.stack([1 - T, T**0.15], 1),
    "units": np.stack([T, 100 * np.sqrt(1 - T**2)], 1),
    "three": LATTICE ** np.array([[0.3, 1.0, 2.0]]),
    "three units": LATTICE**0.25 * np.array([[1.0, 10.0, 100.0]]),
}


def chebyshev(points):
    ideal = points.max(0) + 1e-3 * np.ptp(points, axis=0)
    worst = lambda w: np.max(np.maximum(w, 1e-6)[None] * (ideal[None] - points), axis=1)
    return lambda w: points[np.argmin(worst(w))]


def shares(points, *tried):
    reference = points.min(0) - 0.1 * np.ptp(points, axis=0)
    best = host.hypervolume(points, reference)
    return [host.hypervolume(each, reference) / best for each in tried]


@pytest.mark.parametrize("points", UNEVEN.values(), ids=UNEVEN.keys())
def test_it_beats_the_lattice_of_the_same_number_of_solves(points):
    solve, k = chebyshev(points), points.shape[1]
    lattice = simplex_lattice(k, 20 if k == 2 else 6)
    even = np.stack([solve(w) for w in lattice])
    found = adaptive_weights(solve, simplex_lattice(k, 2), num_solves=len(lattice))
    assert len(found.rewards) == len(lattice)
    known, guessed = shares(points, found.rewards, even)
    # What is missing of the front shrinks by a fifth at least for two objectives.
    assert 1 - known < (0.8 if k == 2 else 1) * (1 - guessed)


def test_the_interval_that_leaves_most_open_is_halved():
    tried = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    earned = np.array([[0.0, 4.0], [10.0, 0.0], [2.0, 3.0]])
    np.testing.assert_allclose(next_weights(tried, earned), [[0.75, 0.25]])
    both = next_weights(tried, earned, count=5)
    np.testing.assert_allclose(both, [[0.75, 0.25], [0.25, 0.75]])


def test_units_of_the_rewards_do_not_matter():
    tried = simplex_lattice(3, 3)
    earned = np.random.default_rng(0).normal(size=tried.shape)
    plain = next_weights(tried, earned, count=4)
    scaled = next_weights(tried, earned * [[1e-3, 1.0, 1e6]] - 5, count=4)
    np.testing.assert_allclose(scaled, plain)


def test_intervals_without_gain_or_shorter_than_the_resolution_are_left_alone():
    tried = np.array([[0.0, 1.0], [0.5, 0.5], [0.501, 0.499], [1.0, 0.0]])
    earned = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    assert next_weights(tried, earned, resolution=0.01).shape == (0, 2)
    # A front of two points: the search ends by itself at the jump between them.
    jump = lambda w: np.array([1.0, 0.0]) if w[0] > 0.3 else np.array([0.0, 1.0])
    found = adaptive_weights(jump, np.eye(2), num_solves=100)
    assert len(found.weights) < 15
    assert np.abs(found.weights[:, 0] - 0.3).min() < 1e-3


def test_new_weightings_lie_on_the_simplex_and_are_new():
    arc = lambda w: w / np.linalg.norm(w)
    found = adaptive_weights(arc, np.eye(4), num_solves=40)
    np.testing.assert_allclose(found.weights.sum(1), 1)
    assert (found.weights >= 0).all()
    assert len(np.unique(found.weights.round(9), axis=0)) == 40


def test_cells_solved_side_by_side_are_different():
    tried = simplex_lattice(3, 2)
    found = next_weights(tried, tried / np.linalg.norm(tried, axis=1)[:, None], count=9)
    assert len(found) == len(np.unique(found.round(9), axis=0)) > 2


def test_what_does_not_span_the_simplex_is_refused():
    with pytest.raises(InputError, match="span 1 dimensions, expected 2"):
        next_weights(np.eye(3)[:2], np.eye(3)[:2])
    with pytest.raises(InputError, match="equal shapes"):
        next_weights(np.eye(2), np.eye(3))
    with pytest.raises(InputError, match="NaN"):
        next_weights(np.eye(2), np.full((2, 2), np.nan))


def test_fewer_solves_than_starts_are_refused_before_the_first():
    def solve(_):
        raise AssertionError

    with pytest.raises(InputError, match="num_solves: found 1 for 2 starts"):
        adaptive_weights(solve, np.eye(2), num_solves=1)
