"""The polar estimate against exact volumes and the scalarization it is the mean of."""

from math import gamma, pi

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from morl.errors import InputError
from morl.pareto import host
from morl.pareto.directions import sobol_sphere
from morl.pareto.polar import polar_hypervolume
from morl.scalarize import hypervolume_scalarization

estimate = jax.jit(polar_hypervolume)
# The table of the docstring, as shares: 1,024 and 8,192 rays.
ERRORS = {
    2: (4e-5, 1e-6),
    3: (6e-4, 5e-5),
    4: (3e-3, 4e-4),
    5: (6e-3, 1.6e-3),
    6: (1.4e-2, 3e-3),
    7: (2.2e-2, 6e-3),
    8: (3.5e-2, 1.1e-2),
}


def rays(k, m=1024, seed=0):
    return jnp.asarray(sobol_sphere(k, m, seed=seed), jnp.float32)


def root_mean_square(points, m):
    """Of the relative errors of many sets, each with rays of its own."""
    k = points.shape[-1]
    exact = np.array([host.hypervolume(each, np.zeros(k)) for each in points])
    many = jax.jit(jax.vmap(polar_hypervolume, (0, None, 0)))
    sets = jnp.stack([rays(k, m, seed) for seed in range(len(points))])
    found = many(jnp.asarray(points, jnp.float32), jnp.zeros(k), sets)
    return np.sqrt(np.mean((found / exact - 1) ** 2))


@pytest.mark.parametrize(
    "k", [pytest.param(k, marks=pytest.mark.slow if k > 3 else ()) for k in ERRORS]
)
def test_the_error_is_what_the_table_says(k):
    cube = np.random.default_rng(0).random((40, 20, k))
    sphere = np.abs(np.random.default_rng(0).normal(size=(40, 20, k)))
    sphere /= np.linalg.norm(sphere, axis=-1, keepdims=True)
    for m, most in zip((1024, 8192), ERRORS[k], strict=True):
        assert most / 3 < root_mean_square(cube, m) < most
        assert root_mean_square(sphere, m) < 2 * most


@pytest.mark.parametrize("k", [2, 3, 4, 6, 8])
def test_sets_with_ties_copies_masked_and_low_points_have_their_volume(k):
    rng = np.random.default_rng(k)
    points = rng.integers(-2, 7, (60, 9, k)).astype(float)
    points[:, 8] = points[:, 0]
    reference = rng.integers(-2, 0, (60, k)).astype(float)
    mask = rng.random((60, 9)) < 0.8
    holed = np.where(mask[..., None], points, np.nan)
    masked = lambda p, z, m: polar_hypervolume(p, z, rays(k, 4096), mask=m)
    found = jax.jit(jax.vmap(masked))(*map(jnp.asarray, (holed, reference, mask)))
    exact = np.array(
        [
            host.hypervolume(p[m], z)
            for p, z, m in zip(points, reference, mask, strict=True)
        ]
    )
    assert (np.asarray(found)[exact == 0] == 0).all()
    some = exact > 0
    assert some.sum() > 10
    error = np.abs(np.asarray(found)[some] / exact[some] - 1)
    assert np.median(error) < ERRORS[k][0]
    # Four of its root mean squares: a set of one long box is the worst.
    assert error.max() < 4 * ERRORS[k][0]


def test_one_objective_is_exact():
    points = np.random.default_rng(1).random((6, 1))
    found = estimate(jnp.asarray(points, jnp.float32), jnp.zeros(1), rays(1, 4))
    np.testing.assert_allclose(found, points.max(), rtol=1e-6)


@pytest.mark.parametrize("k", [2, 5])
def test_units_of_the_objectives_change_the_unit_of_the_volume_alone(k):
    points = jnp.asarray(np.random.default_rng(k).random((7, k)), jnp.float32)
    units = jnp.asarray(np.geomspace(1e-3, 1e3, k), jnp.float32)
    found = estimate(points * units[None], jnp.zeros(k), rays(k))
    expected = estimate(points, jnp.zeros(k), rays(k)) * jnp.prod(units)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_points_times_the_gradient_are_the_estimate_for_each_objective():
    # Euler: the estimate has degree K in all coordinates together.
    points = jnp.asarray(np.random.default_rng(0).random((7, 4)), jnp.float32)
    fn = lambda p: polar_hypervolume(p, jnp.zeros(4), rays(4, 64))
    value, slope = jax.jit(jax.value_and_grad(fn))(points)
    np.testing.assert_allclose(jnp.sum(points * slope), 4 * value, rtol=1e-5)
    assert (slope >= 0).all()


def test_the_extents_of_the_front_are_constants_of_the_gradient():
    points = jnp.asarray(np.random.default_rng(4).random((7, 5)), jnp.float32) + 0.1
    fn = lambda p, units: polar_hypervolume(p, jnp.zeros(5), rays(5, 32), units=units)
    both = jax.jit(jax.value_and_grad(fn))
    found, expected = both(points, None), both(points, jnp.max(points, axis=0))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-6)


def test_in_given_units_no_set_has_less_than_one_it_dominates():
    points = np.random.default_rng(5).random((200, 6, 4))
    higher = points + np.random.default_rng(6).random((200, 6, 4)) * 0.1
    given = lambda p: polar_hypervolume(p, jnp.zeros(4), rays(4, 64), units=jnp.ones(4))
    many = jax.jit(jax.vmap(given))
    assert (many(jnp.asarray(higher)) > many(jnp.asarray(points))).all()


def test_it_is_the_mean_of_the_hypervolume_scalarization():
    points, reference = np.random.default_rng(3).random((7, 4)) + 0.2, jnp.full(4, 0.1)
    # Extents of 1, by which the estimate divides first.
    points = jnp.asarray(points / points.max(axis=0) * 1.1)
    directions = rays(4, 64)
    utility = lambda r, w: hypervolume_scalarization(r, w, reference=reference)
    table = jax.vmap(jax.vmap(utility, (0, None)), (None, 0))(points, directions)
    expected = pi**2 / (16 * gamma(3)) * np.mean(np.max(table, axis=1))
    found = estimate(points, reference, directions)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_gradients_are_finite_differences(k):
    with jax.enable_x64(True):
        points = jnp.asarray(np.random.default_rng(k).random((6, k))) + 0.2
        directions = jnp.asarray(sobol_sphere(k, 16))
        units = jnp.asarray(np.linspace(0.5, 2, k))
        fn = lambda p, z: polar_hypervolume(p, z, directions, units=units)
        # Few rays and small steps: no quotient crosses from one point to another.
        check_grads(jax.jit(fn), (points, jnp.zeros(k)), 1, eps=1e-6)


def test_the_gradient_is_near_that_of_the_volume():
    points = jnp.array([[3.0, 1.0], [1.0, 2.0]])
    fn = lambda p: polar_hypervolume(p, jnp.zeros(2), rays(2, 8192))
    np.testing.assert_allclose(jax.jit(jax.grad(fn))(points), [[1, 2], [1, 1]], 0.01)


def test_dominated_masked_and_low_points_change_nothing_and_have_no_gradient():
    points = jnp.array([[2, 2, 1], [2, 1, 1], [jnp.nan] * 3, [-1, 9, 9.0]])
    mask, reference = jnp.arange(4) != 2, jnp.zeros(3)
    fn = lambda p: polar_hypervolume(p, reference, rays(3), mask=mask)
    value, slope = jax.jit(jax.value_and_grad(fn))(points)
    np.testing.assert_allclose(value, estimate(points[:1], reference, rays(3)), 1e-6)
    assert (slope[0] > 0).all()
    assert (slope[1:] == 0).all()


def test_equal_points_share_the_gradient_of_one():
    fn = jax.jit(jax.grad(lambda p: polar_hypervolume(p, jnp.zeros(3), rays(3))))
    point = jnp.array([[2.0, 1.0, 3.0]])
    np.testing.assert_allclose(fn(jnp.tile(point, (2, 1)))[0], fn(point)[0] / 2, 1e-6)


def test_a_ray_along_an_axis_has_a_finite_value_and_gradient():
    points, axes = jnp.array([[1.0, 2.0], [3.0, 0.0]]), jnp.eye(2)
    fn = lambda p: polar_hypervolume(p, jnp.zeros(2), axes)
    value, slope = jax.jit(jax.value_and_grad(fn))(points)
    # The second point covers no area, whatever its length along an axis.
    np.testing.assert_allclose(value, pi / 4 * 2, rtol=1e-6)
    np.testing.assert_allclose(slope, [[pi / 2, pi / 4], [0, 0]], rtol=1e-6)


def test_no_points_have_no_volume_and_a_nan_that_counts_is_not_hidden():
    points = jnp.full((2, 3), jnp.nan)
    fn = lambda p: polar_hypervolume(p, jnp.zeros(3), rays(3), mask=jnp.zeros(2, bool))
    value, slope = jax.jit(jax.value_and_grad(fn))(points)
    assert value == 0
    assert (slope == 0).all()
    assert jnp.isnan(estimate(points.at[0].set(1), jnp.zeros(3), rays(3)))


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_extreme_rewards_have_finite_estimates_and_gradients(size):
    points = jnp.array([[1.0, 2.0], [2.0, 1.0]]) * jnp.array([[size, 1.0]])
    fn = lambda p: polar_hypervolume(p, jnp.zeros(2), rays(2))
    value, slope = jax.jit(jax.value_and_grad(fn))(points)
    np.testing.assert_allclose(value, 3 * size, rtol=1e-3)
    assert jnp.isfinite(slope).all()


def test_blocks_of_rays_give_the_estimate_and_gradient_of_all_at_once(monkeypatch):
    points = jnp.asarray(np.random.default_rng(2).random((6, 3)), jnp.float32)
    fn = lambda p: polar_hypervolume(p, jnp.zeros(3), rays(3, 100))
    value, slope = jax.value_and_grad(fn)(points)
    monkeypatch.setattr("morl.pareto.polar.GRID_CELLS", 6 * 3 * 16)
    in_blocks, other = jax.value_and_grad(fn)(points)
    np.testing.assert_allclose(in_blocks, value, rtol=1e-6)
    np.testing.assert_allclose(other, slope, rtol=1e-5)


def test_memory_of_the_gradient_does_not_grow_with_the_rays():
    fn = jax.jit(jax.grad(lambda p, w: polar_hypervolume(p, jnp.zeros(6), w)))
    asked = fn.lower(jnp.ones((100, 6)), jnp.ones((200_000, 6))).compile()
    memory = asked.memory_analysis()
    # All rays at once would take 200,000 x 100 x 6 numbers several times over.
    assert memory is not None and memory.temp_size_in_bytes < 100e6


def test_float64_stays_and_half_precision_is_widened():
    ask = lambda kind: jax.eval_shape(
        polar_hypervolume, jnp.ones((2, 3), kind), jnp.zeros(3, kind), rays(3, 4)
    )
    assert ask(jnp.bfloat16).dtype == jnp.float32
    with jax.enable_x64(True):
        assert ask(jnp.float64).dtype == jnp.float64


@pytest.mark.parametrize("k", [2, 3, 6])
def test_directions_are_uniform_on_the_positive_sphere(k):
    found = sobol_sphere(k, 4096)
    assert (found >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-12)
    # Squares have mean 1/K and second moment 3 / (K (K + 2)), products 1 / (K (K + 2)).
    squares = found**2
    second = squares.T @ squares / len(squares)
    expected = (1 + 2 * np.eye(k)) / (k * (k + 2))
    np.testing.assert_allclose(squares.mean(0), 1 / k, rtol=2e-3)
    np.testing.assert_allclose(second, expected, rtol=1e-2)


def test_directions_repeat_with_their_seed_and_differ_between_seeds():
    np.testing.assert_array_equal(
        sobol_sphere(3, 5, seed=1), sobol_sphere(3, 5, seed=1)
    )
    assert not np.allclose(sobol_sphere(3, 5, seed=1), sobol_sphere(3, 5, seed=2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="found 3 and 2 objectives"):
        polar_hypervolume(jnp.ones((2, 3)), jnp.zeros(3), rays(2, 4))
    with pytest.raises(InputError, match="found 3 and 2 objectives"):
        polar_hypervolume(jnp.ones((2, 3)), jnp.zeros(3), rays(3, 4), units=jnp.ones(2))
    with pytest.raises(InputError, match="found 0 objectives"):
        sobol_sphere(0, 4)
