from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.spatial.distance import pdist

from morl.errors import InputError
from morl.pareto.directions import dirichlet, simplex_lattice, sobol_simplex
from morl.pareto.riesz import _log_energy_of_roots, riesz_directions

# Das-Dennis, 3 objectives: 91 for 12 divisions; the protocol's 66 for 10, 11 for two.
SIZES = {(2, 10): 11, (3, 10): 66, (3, 12): 91, (3, 6): 28, (1, 5): 1}


@pytest.mark.parametrize(("shape", "size"), SIZES.items())
def test_a_lattice_has_as_many_weightings_as_the_protocol_says(shape, size):
    assert simplex_lattice(*shape).shape == (size, shape[0])


@given(st.integers(1, 5), st.integers(1, 7))
def test_a_lattice_is_every_multiple_on_the_simplex_once(objectives, divisions):
    lattice = simplex_lattice(objectives, divisions)
    steps = lattice * divisions
    assert lattice.dtype == np.float64
    assert len(lattice) == comb(divisions + objectives - 1, objectives - 1)
    assert len(np.unique(np.round(steps), axis=0)) == len(lattice)
    assert (lattice >= 0).all()
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-12)
    np.testing.assert_allclose(lattice.sum(1), 1, atol=1e-12)


@given(st.integers(1, 6), st.integers(1, 5))
def test_every_vertex_is_in_the_lattice(objectives, divisions):
    lattice = simplex_lattice(objectives, divisions)
    for vertex in np.eye(objectives):
        assert (lattice == vertex).all(axis=1).any()


def test_the_centroid_is_in_the_lattice_when_it_divides():
    assert np.isclose(simplex_lattice(3, 12), 1 / 3).all(axis=1).any()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (12, 60)])
def test_an_impossible_or_huge_lattice_is_refused(shape):
    with pytest.raises(InputError, match="simplex_lattice"):
        simplex_lattice(*shape)


def nearest(points):
    return pdist(points).min()


# Compiled once: Dirichlet draws take seconds to compile, for each shape anew.
dirichlet_of_three = jax.jit(lambda key, alpha: dirichlet(key, 3, 4096, alpha=alpha))


def drawn(objectives, points, *, seed=0):
    assert objectives == 3
    found = dirichlet_of_three(jax.random.key(seed), jnp.ones(3))
    return np.asarray(found)[:points]


def random_points(objectives, points, seed):
    return np.random.default_rng(seed).dirichlet(np.ones(objectives), points)


@pytest.mark.parametrize(
    ("draw", "shape"),
    [(draw, n) for draw in (riesz_directions, sobol_simplex) for n in ((2, 7), (8, 20))]
    + [(drawn, (3, 12))],
)
def test_points_are_as_many_as_asked_for_and_on_the_simplex(draw, shape):
    points = draw(*shape, seed=0)
    assert points.shape == shape[::-1]
    assert (points >= 0).all()
    np.testing.assert_allclose(points.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("draw", [riesz_directions, sobol_simplex, drawn])
def test_equal_seeds_give_equal_points_and_others_other(draw):
    first = draw(3, 12, seed=1)
    np.testing.assert_array_equal(first, draw(3, 12, seed=1))
    assert np.abs(first - draw(3, 12, seed=2)).max() > 1e-3


@pytest.mark.parametrize("shape", [(2, 11), (3, 28), (3, 91), (6, 30)])
def test_riesz_and_sobol_points_are_further_apart_than_random_ones(shape):
    random = [nearest(random_points(*shape, seed)) for seed in range(5)]
    sobol = [nearest(sobol_simplex(*shape, seed=seed)) for seed in range(5)]
    assert np.mean(sobol) > 1.2 * np.mean(random)
    assert nearest(riesz_directions(*shape)) > 1.5 * max(sobol)


@pytest.mark.parametrize(("objectives", "divisions"), [(2, 10), (3, 6), (4, 5)])
def test_riesz_points_are_almost_as_far_apart_as_a_lattice(objectives, divisions):
    lattice = simplex_lattice(objectives, divisions)
    found = riesz_directions(objectives, len(lattice))
    assert nearest(found) > 0.8 * nearest(lattice)


def test_riesz_points_of_two_objectives_are_almost_evenly_spaced():
    found = np.sort(riesz_directions(2, 11)[:, 0])
    np.testing.assert_allclose(found, np.linspace(0, 1, 11), atol=2e-3)


@pytest.mark.parametrize("objectives", [2, 3, 7])
def test_every_vertex_is_a_riesz_direction(objectives):
    found = riesz_directions(objectives, objectives + 4)
    np.testing.assert_array_equal(found[:objectives], np.eye(objectives))
    vertices_alone = riesz_directions(objectives, objectives)
    np.testing.assert_array_equal(vertices_alone, np.eye(objectives))


def test_the_energy_that_riesz_points_minimise_has_the_gradient_it_says():
    vertices, start = np.eye(3), np.random.default_rng(0).normal(size=15)
    value = lambda x: _log_energy_of_roots(x, vertices)[0]
    slope = lambda x: _log_energy_of_roots(x, vertices)[1]
    assert check_grad(value, slope, start) < 1e-5
    # The formula, s = 9, each pair counted twice.
    roots = start.reshape(5, 3) ** 2
    points = np.concatenate([vertices, roots / roots.sum(1, keepdims=True)])
    energy = 2 * (pdist(points) ** -9.0).sum()
    assert value(start) == pytest.approx(np.log(energy) / 9)


def test_riesz_points_have_less_energy_than_their_start():
    energy = lambda points: np.log((pdist(points) ** -9.0).sum())
    start = np.concatenate([np.eye(3), sobol_simplex(3, 25)])
    assert energy(riesz_directions(3, 28)) < energy(start)


def test_a_longer_sobol_sequence_begins_with_the_shorter_one():
    np.testing.assert_array_equal(sobol_simplex(3, 64)[:10], sobol_simplex(3, 10))


def uniform_moments(k):
    """Each entry is Beta(1, K - 1): mean, variance, share above a half."""
    return 1 / k, (k - 1) / (k**2 * (k + 1)), 0.5 ** (k - 1)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_sobol_points_are_uniform_on_the_simplex(k):
    points = sobol_simplex(k, 4096)
    mean, variance, tail = uniform_moments(k)
    np.testing.assert_allclose(points.mean(0), mean, atol=1e-3)
    np.testing.assert_allclose(points.var(0), variance, atol=1e-3)
    error = np.sqrt(tail * (1 - tail) / 4096)
    np.testing.assert_allclose((points > 0.5).mean(0), tail, atol=error)


def test_dirichlet_points_are_uniform_on_the_simplex():
    points = np.concatenate([drawn(3, 4096, seed=seed) for seed in range(10)])
    mean, variance, tail = uniform_moments(3)
    four_errors = 4 * np.sqrt(variance / len(points))
    np.testing.assert_allclose(points.mean(0), mean, atol=four_errors)
    np.testing.assert_allclose(points.var(0), variance, atol=four_errors)
    four_errors = 4 * np.sqrt(tail * (1 - tail) / len(points))
    np.testing.assert_allclose((points > 0.5).mean(0), tail, atol=four_errors)


def test_a_single_objective_has_all_of_the_weight():
    assert (sobol_simplex(1, 3) == 1).all()


def test_the_concentration_moves_the_weightings_under_jit():
    draw, key = dirichlet_of_three, jax.random.key(0)
    heavy = draw(key, jnp.array([8.0, 1.0, 1.0]))
    np.testing.assert_allclose(heavy.mean(0), [0.8, 0.1, 0.1], atol=0.02)
    corners, middle = draw(key, jnp.full(3, 0.05)), draw(key, jnp.full(3, 50.0))
    assert corners.max(1).mean() > 0.9
    assert middle.max(1).mean() < 0.45


def test_a_float64_concentration_gives_float64_weightings():
    with jax.enable_x64(True):
        draw = lambda key, alpha: dirichlet(key, 3, 4, alpha=alpha)
        key, alpha = jax.random.key(0), jnp.ones(3, jnp.float64)
        assert jax.eval_shape(draw, key, alpha).dtype == jnp.float64


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: riesz_directions(1, 3), "riesz_directions"),
        (lambda: riesz_directions(3, 2), "riesz_directions"),
        (lambda: sobol_simplex(0, 3), "sobol_simplex"),
        (lambda: sobol_simplex(3, 0), "sobol_simplex"),
        (lambda: sobol_simplex(3, 10**7), "sobol_simplex"),
        (lambda: dirichlet(jax.random.key(0), 3, 0), "dirichlet"),
        (
            lambda: dirichlet(jax.random.key(0), 3, 2, alpha=jnp.ones(2)),
            r"dirichlet: alpha has shape \(2,\), expected a number or 3",
        ),
    ],
)
def test_impossible_numbers_of_points_are_refused(call, name):
    with pytest.raises(InputError, match=name):
        call()
