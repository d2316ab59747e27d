"""Published numbers, moocore and formulas retyped: what every indicator must equal."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import moocore
import numpy as np
import pytest

from morl import scalarize
from morl.pareto.directions import simplex_lattice
from morl.pareto.distances import igd, igd_plus
from morl.pareto.epsilon import epsilon_additive
from morl.pareto.expected import expected_utility, maximum_utility_loss
from morl.pareto.r2 import r2, r2_exact
from morl.pareto.spread import mean_inner_product, spacing

AIM = np.array([[0.9, 0.2], [0.7, 0.65], [0.55, 0.8], [0.1, 1.0]])
WEIGHTS = np.array([[0.85, 0.15], [0.6, 0.4], [0.35, 0.65], [0.05, 0.95]])

# Ishibuchi et al. 2015, example 4 (minimised there): A dominates B.
FRONT = -np.array([[10.0, 0], [6, 1], [2, 2], [1, 6], [0, 10]])
A, B = -np.array([[4.0, 2], [3, 3], [2, 4]]), -np.array([[8.0, 2], [4, 4], [2, 8]])


exact = jax.jit(r2_exact)


def single(values):
    return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize(
    ("measure", "of_a", "of_b"),
    [(igd, 3.707092, 2.591483), (igd_plus, 1.482843, 2.260113)],
)
def test_distances_are_the_published_ones(measure, of_a, of_b):
    for points, published in ((A, of_a), (B, of_b)):
        found = measure(
            jnp.asarray(points, jnp.float32), jnp.asarray(FRONT, jnp.float32)
        )
        assert float(found) == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("points", [A, B])
def test_distances_in_float64_are_exact_to_ten_digits(points):
    with jax.enable_x64(True):
        ours = jnp.asarray(points, jnp.float64), jnp.asarray(FRONT, jnp.float64)
        plain = [math.dist(z, min(points, key=partial(math.dist, z))) for z in FRONT]
        assert float(igd(*ours)) == pytest.approx(sum(plain) / 5, rel=1e-12)
        short = lambda z, a: math.hypot(
            *(max(p - q, 0) for p, q in zip(z, a, strict=1))
        )
        plus = [min(short(z, a) for a in points) for z in FRONT]
        assert float(igd_plus(*ours)) == pytest.approx(sum(plus) / 5, rel=1e-12)


def test_igd_prefers_the_dominated_set_and_igd_plus_does_not():
    # By design: every point of B is weakly dominated by a point of A.
    a, b, front = (jnp.asarray(x, jnp.float32) for x in (A, B, FRONT))
    assert all((point <= A).all(axis=1).any() for point in B)
    assert igd(a, front) > igd(b, front)
    assert igd_plus(a, front) < igd_plus(b, front)


@pytest.mark.parametrize(("kind", "within"), [("float32", 1e-6), ("float64", 1e-10)])
def test_exact_r2_is_the_published_one(kind, within):
    with jax.enable_x64(kind == "float64"):
        points = -jnp.array([[5, 5], [4, 6], [2, 7], [7, 4]], kind)
        found = exact(points, ideal=jnp.zeros(2, kind))
        assert float(found) == pytest.approx(2.5941919191919194, abs=within)


ORACLES = {
    "igd": (igd, moocore.igd),
    "igd_plus": (igd_plus, moocore.igd_plus),
    "epsilon_additive": (epsilon_additive, moocore.epsilon_additive),
}


def cases(num, n, k, seed):
    """Half with ties, duplicates and dominated points on a grid, half without."""
    rng = np.random.default_rng(seed)
    grid = rng.integers(-3, 4, (num // 2, n, k)).astype(float)
    return np.concatenate([grid, rng.normal(size=(num - num // 2, n, k))])


@pytest.mark.parametrize(
    ("k", "kind", "within"),
    [(k, "float64", 1e-10) for k in (2, 3, 4, 5)] + [(3, "float32", 1e-6)],
)
@pytest.mark.parametrize("name", ORACLES)
def test_thousands_of_cases_agree_with_moocore(name, k, kind, within):
    measure, oracle = ORACLES[name]
    points, fronts = cases(1000, 6, k, seed=k), cases(1000, 5, k, seed=10 + k)
    mask = np.random.default_rng(k).random((1000, 6)) < 0.7
    mask[:, 0] = True
    expected = [
        oracle(p[m], ref=z, maximise=True)
        for p, z, m in zip(points, fronts, mask, strict=True)
    ]
    batched = jax.jit(jax.vmap(lambda p, z, m: measure(p, z, mask=m)))
    hidden = np.where(mask[:, :, None], points, np.nan)
    with jax.enable_x64(kind == "float64"):
        found = batched(jnp.asarray(hidden, kind), jnp.asarray(fronts, kind), mask)
    np.testing.assert_allclose(found, expected, rtol=within, atol=within)


@pytest.mark.parametrize(("kind", "within"), [("float32", 1e-6), ("float64", 1e-10)])
def test_exact_r2_agrees_with_moocore_below_the_ideal(kind, within):
    points, ideal = cases(4000, 6, 2, seed=0), np.array([4.0, 5.0])
    mask = np.random.default_rng(0).random((4000, 6)) < 0.7
    mask[:, 0] = True
    points = np.minimum(points, ideal)
    expected = [
        moocore.r2_exact(p[m], ref=ideal, maximise=True)
        for p, m in zip(points, mask, strict=True)
    ]
    with jax.enable_x64(kind == "float64"):
        one = lambda p, m: r2_exact(p, ideal=jnp.asarray(ideal, kind), mask=m)
        hidden = jnp.asarray(np.where(mask[:, :, None], points, np.nan), kind)
        found = jax.jit(jax.vmap(one))(hidden, mask)
    np.testing.assert_allclose(found, expected, rtol=within, atol=within)


def test_many_directions_approach_exact_r2():
    directions = jnp.asarray(simplex_lattice(2, 20_000), jnp.float32)
    # One point above the ideal in one objective: it counts as at the ideal there.
    points = jnp.array([[0.2, 1.3], [0.5, 0.6], [0.9, 0.3]])
    found = r2(points, directions, ideal=jnp.ones(2))
    np.testing.assert_allclose(found, r2_exact(points, ideal=jnp.ones(2)), rtol=1e-4)


def test_r2_is_its_formula_in_four_objectives():
    rng = np.random.default_rng(0)
    points, directions = rng.normal(size=(5, 4)), rng.dirichlet(np.ones(4), 7)
    ideal = points.max(0) + 0.1
    expected = np.mean(
        [
            min(
                max(w * (z - a) for w, z, a in zip(ws, ideal, p, strict=True))
                for p in points
            )
            for ws in directions
        ]
    )
    found = r2(single(points), single(directions), ideal=single(ideal))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_utilities_are_their_formulas():
    rng = np.random.default_rng(0)
    points, aim = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)) + 0.5
    weights = rng.dirichlet(np.ones(3), 6)
    best = (points @ weights.T).max(0)
    found = expected_utility(single(points), single(weights))
    np.testing.assert_allclose(found, best.mean(), rtol=1e-5)
    lost = ((aim @ weights.T).max(0) - best).max()
    found = maximum_utility_loss(single(points), single(aim), single(weights))
    np.testing.assert_allclose(found, lost, rtol=1e-5)


def test_any_scalarizer_may_be_the_utility():
    points, weights = (
        jnp.array([[1.0, 0.0], [0.4, 0.4], [0.0, 1.0]]),
        jnp.full((1, 2), 0.5),
    )
    hard = partial(scalarize.chebyshev, ideal=jnp.ones(2))
    np.testing.assert_allclose(expected_utility(points, weights, utility=hard), -0.3)
    np.testing.assert_allclose(expected_utility(points, weights), 0.5)
    loss = maximum_utility_loss(points[::2], points, weights, utility=hard)
    np.testing.assert_allclose(loss, 0.2, rtol=1e-6)


def test_masked_points_cannot_spoil_a_utility_with_a_domain():
    # log(0) would have an infinite slope at a masked row of zeros.
    log = lambda r, w: jnp.sum(w * jnp.log(r))
    points, mask = jnp.array([[1.0, 2.0], [0.0, -1.0]]), jnp.array([True, False])
    one = lambda p: expected_utility(p, jnp.full((1, 2), 0.5), utility=log, mask=mask)
    value, slope = jax.value_and_grad(one)(points)
    np.testing.assert_allclose(value, 0.5 * math.log(2), rtol=1e-6)
    np.testing.assert_allclose(slope, [[0.5, 0.25], [0, 0]], rtol=1e-6)


def test_a_reference_against_itself_loses_nothing_and_a_better_set_less_than_that():
    aim, weights = jnp.asarray(AIM, jnp.float32), jnp.asarray(WEIGHTS, jnp.float32)
    assert maximum_utility_loss(aim, aim, weights) == 0
    np.testing.assert_allclose(
        maximum_utility_loss(aim + 1, aim, weights), -1, rtol=1e-6
    )


def test_mean_inner_product_rewards_following_the_weighting():
    points = jnp.array([[4.0, 0.0], [0.0, 2.0]])
    assert mean_inner_product(points, jnp.eye(2)) == 3
    assert mean_inner_product(points[::-1], jnp.eye(2)) == 0
    assert expected_utility(points, jnp.eye(2)) == 3
    assert expected_utility(points[::-1], jnp.eye(2)) == 3


def test_even_spacing_is_zero_and_spacing_is_the_deviation_of_nearest_distances():
    lattice = jnp.asarray(simplex_lattice(3, 4), jnp.float32)
    assert jax.jit(spacing)(lattice) <= 1e-6
    rng = np.random.default_rng(0)
    points = rng.normal(size=(9, 3))
    table = np.abs(points[:, None] - points[None]).sum(-1) + np.diag([np.inf] * 9)
    found = jax.jit(spacing)(single(points))
    np.testing.assert_allclose(found, table.min(1).std(ddof=1), rtol=1e-5)


def test_two_points_have_spacing_zero():
    assert jax.jit(spacing)(single([[0, 4], [3, 0]])) == 0
