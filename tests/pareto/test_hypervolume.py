"""Compiled hypervolume and contributions against published numbers and moocore."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from morl.errors import InputError
from morl.pareto import host
from morl.pareto.contributions import exclusive, hypervolume_contributions
from morl.pareto.hypervolume import hypervolume
from morl.pareto.hypervolume import volume as union
from morl.pareto.sweep import fits, in_slices
from morl.worlds import deep_sea_concave, deep_sea_convex, dtlz2, zdt1, zdt2

FIVE = [(8.5, 3), (8.5, 3.5), (5, 5), (9, 1), (4, 5)]
# The examples of pymoo, moocore and of the deep-sea benchmark, signs turned to rewards.
PUBLISHED = [
    ([(5, 5), (4, 6), (2, 7), (7, 4)], (0, 0), 39),
    ([(-5, -5), (-4, -6), (-2, -7), (-7, -4)], (-10, -10), 38),
    ([(-1, 0, -1), (0, -1, 0)], (-2, -2, -2), 5),
    ([(1, 2, 3)], (1, 2, 3), 0),
    (FIVE, (0, 0), 37.75),
    (FIVE, (1, 0.5), 28.75),
    (deep_sea_convex().rewards, deep_sea_convex().reference, 401.8),
    (deep_sea_concave().rewards, deep_sea_concave().reference, 1155),
]
volume, contributions = jax.jit(hypervolume), jax.jit(hypervolume_contributions)
slope_of = jax.jit(jax.grad(hypervolume))
masked_slope = jax.jit(jax.grad(lambda p, z, m: hypervolume(p, z, mask=m)))
# Compiling a gradient takes seconds.
DEEP = [1, 2, 3, *(pytest.param(k, marks=pytest.mark.slow) for k in (4, 5))]
COUNTS = {2: 9, 3: 8, 4: 7, 5: 5}


@pytest.mark.parametrize(("points", "reference", "expected"), PUBLISHED)
def test_published_volumes_are_met_in_both_types(points, reference, expected):
    single = volume(jnp.array(points, jnp.float32), jnp.array(reference, jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, expected, rtol=1e-6)
    with jax.enable_x64(True):
        double = volume(jnp.array(points, float), jnp.array(reference, float))
        assert double.dtype == jnp.float64
        np.testing.assert_allclose(double, expected, rtol=1e-10)


def cases(k, num_cases=1000):
    """Few levels, so that ties, copies, dominated and low points abound."""
    rng = np.random.default_rng(k)
    shape = (num_cases, COUNTS[k], k)
    points = rng.integers(-2, rng.integers(2, 9, (num_cases, 1, 1)), shape)
    mask = rng.random(shape[:2]) < 0.8
    reference = rng.integers(-1, 2, (num_cases, k))
    return points.astype(float), reference.astype(float), mask


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_volumes_are_those_of_moocore_with_ties_copies_and_low_points(k):
    points, reference, mask = cases(k)
    holed = np.where(mask[..., None], points, np.nan)
    both = jax.vmap(lambda p, z, m: hypervolume(p, z, mask=m))
    actual = jax.jit(both)(*map(jnp.asarray, (holed, reference, mask)))
    expected = [
        host.hypervolume(p[m], z)
        for p, z, m in zip(points, reference, mask, strict=True)
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_contributions_are_those_of_moocore_with_ties_copies_and_low_points(k):
    points, reference, mask = cases(k)
    holed = np.where(mask[..., None], points, np.nan)
    each = jax.vmap(lambda p, z, m: hypervolume_contributions(p, z, mask=m))
    actual = jax.jit(each)(*map(jnp.asarray, (holed, reference, mask)))
    expected = np.zeros(mask.shape)
    for row, (p, z, m) in enumerate(zip(points, reference, mask, strict=True)):
        expected[row, m] = host.hypervolume_contributions(p[m], z)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize(("k", "n"), [(3, 1200), (4, 150), (5, 102)])
def test_large_sets_in_and_beyond_one_grid_have_the_volume_of_moocore(k, n):
    rng = np.random.default_rng(n)
    points = np.abs(rng.normal(size=(n, k)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    actual = volume(jnp.asarray(points, jnp.float32), jnp.zeros(k))
    expected = host.hypervolume(points, np.zeros(k))
    np.testing.assert_allclose(actual, expected, rtol=5e-6)
    assert fits(jnp.asarray(points)) == (k < 5)


@pytest.mark.parametrize("k", DEEP[2:4])
def test_slices_and_one_sweep_agree_in_value_and_gradient(k):
    with jax.enable_x64(True):
        extents = jnp.asarray(np.random.default_rng(k).random((9, k)))
        whole, slope = jax.jit(jax.value_and_grad(union))(extents)
        sliced, other = jax.jit(jax.value_and_grad(partial(in_slices, union)))(extents)
        apart = jax.jit(partial(in_slices, exclusive))(extents)
        np.testing.assert_allclose(apart, jax.jit(exclusive)(extents), atol=1e-13)
    np.testing.assert_allclose(sliced, whole, rtol=1e-13)
    np.testing.assert_allclose(other, slope, atol=1e-13)


def spread(k, n=6):
    rng = np.random.default_rng(k)
    return rng.permuted(np.tile(np.arange(n) / n, (k, 1)), axis=1).T + 0.1


@pytest.mark.parametrize("k", DEEP)
def test_gradients_are_finite_differences(k):
    with jax.enable_x64(True):
        # Coordinates differ by 1/6 at least: no difference quotient crosses a tie.
        points, reference = jnp.asarray(spread(k)), jnp.zeros(k)
        check_grads(volume, (points, reference), 1, eps=1e-4)


def test_the_gradient_of_two_points_is_the_length_of_their_edges():
    points = jnp.array([[3.0, 1.0], [1.0, 2.0]])
    slope = slope_of(points, jnp.zeros(2))
    np.testing.assert_array_equal(slope, [[1, 2], [1, 1]])


@pytest.mark.parametrize("k", DEEP)
def test_dominated_masked_and_low_points_have_no_gradient(k):
    points = np.tile(spread(k, 4), (2, 1))
    best = host.non_dominated(points[:4])
    # The copies are lower in one objective alone: they tie in all others.
    points[4:, k - 1] -= 0.05
    points = np.concatenate([points, np.full((1, k), np.nan), np.full((1, k), 9.0)])
    points[-1, 0] = -1
    mask = jnp.arange(10) != 8
    slope = masked_slope(jnp.asarray(points, jnp.float32), jnp.zeros(k), mask)
    slope = np.asarray(slope)
    assert (slope[:4][best] > 0).all()
    assert (slope[:4][~best] == 0).all()
    assert (slope[4:] == 0).all()


@pytest.mark.parametrize("k", DEEP)
def test_equal_points_share_the_gradient_of_one(k):
    points = jnp.asarray(np.tile(spread(k, 5), (2, 1)), jnp.float32)
    alone = masked_slope(points, jnp.zeros(k), jnp.arange(10) < 5)[:5]
    twice = masked_slope(points, jnp.zeros(k), jnp.ones(10, bool))
    assert (alone > 0).any()
    np.testing.assert_allclose(twice, jnp.tile(alone / 2, (2, 1)), atol=1e-6)


def test_a_set_that_is_all_masked_has_no_volume_and_no_gradient():
    empty = partial(hypervolume, mask=jnp.zeros(3, bool))
    points = jnp.full((3, 3), jnp.nan)
    value, slope = jax.jit(jax.value_and_grad(empty))(points, jnp.zeros(3))
    assert value == 0
    assert (slope == 0).all()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_nan_that_counts_is_not_hidden(k):
    points = jnp.ones((3, k)).at[1, 0].set(jnp.nan)
    assert jnp.isnan(volume(points, jnp.zeros(k)))
    assert jnp.isnan(contributions(points, jnp.zeros(k))).all()


def test_half_precision_is_accumulated_in_single():
    points = jnp.array(FIVE, jnp.bfloat16)
    value = volume(points, jnp.zeros(2, jnp.bfloat16))
    assert value.dtype == jnp.float32
    assert value == 37.75


def test_the_small_contribution_of_a_far_point_keeps_its_digits():
    # 1e-3 of 1e6: the difference of the two volumes would keep no digit of float32,
    # and the difference of the point's own box and what others cover of it three.
    points = jnp.array([[1000.0, 1000.0], [1000.5, 0.002]])
    found = contributions(points, jnp.zeros(2))
    np.testing.assert_allclose(found[1], 0.5 * 0.002, rtol=1e-6)


@pytest.mark.parametrize(("k", "n"), [(2, 1000), (3, 200), (4, 60), (5, 25)])
def test_contributions_of_large_sets_are_those_of_moocore(k, n):
    points = np.abs(np.random.default_rng(n).normal(size=(n, k)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = points.astype(np.float32)
    actual = contributions(jnp.asarray(points), jnp.zeros(k))
    expected = host.hypervolume_contributions(points, np.zeros(k))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-9)


def test_contributions_from_a_hundred_thousand_cells_a_step_keep_their_digits():
    points = np.abs(np.random.default_rng(50).normal(size=(50, 5)))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype("f4")
    found = contributions(jnp.asarray(points), jnp.zeros(5))
    expected = host.hypervolume_contributions(points, np.zeros(5))
    assert np.max(np.abs(found - expected)) < 2e-5 * np.max(expected)


@pytest.mark.parametrize("k", DEEP)
def test_gradients_of_contributions_are_finite_differences(k):
    with jax.enable_x64(True):
        points, reference = jnp.asarray(spread(k)), jnp.zeros(k)
        check_grads(contributions, (points, reference), 1, ["rev"], eps=1e-4)


def test_contributions_are_the_published_ones_in_both_types():
    points = -np.array([(5, 5), (4, 6), (2, 7), (7, 4)])
    for kind, rtol in ((jnp.float32, 1e-6), (jnp.float64, 1e-10)):
        with jax.enable_x64(True):
            found = contributions(jnp.asarray(points, kind), jnp.full(2, -10, kind))
            assert found.dtype == kind
            np.testing.assert_allclose(found, (2, 1, 6, 3), rtol=rtol)


@pytest.mark.parametrize("n", [1, 10, 100])
def test_the_best_linear_front_has_its_closed_form(n):
    # x + y = 1, minimised, reference 1.1: 0.72 n / (n + 1), each point the same part.
    x = 1.1 - 1.2 * np.arange(1, n + 1) / (n + 1)
    with jax.enable_x64(True):
        points, reference = -jnp.stack([x, 1 - x], axis=1), jnp.full(2, -1.1)
        value = volume(points, reference)
        apart = contributions(points, reference)
    np.testing.assert_allclose(value, 0.72 * n / (n + 1), rtol=1e-10)
    np.testing.assert_allclose(apart, 1.44 / (n + 1) ** 2, rtol=1e-10)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [(zdt1(), 120 + 2 / 3), (zdt2(), 120 + 1 / 3), (dtlz2(2), 0.4246018366)],
)
def test_dense_fronts_tend_to_the_analytic_volume(problem, expected):
    front = jnp.asarray(problem.front(4000), jnp.float32)
    value = volume(front, jnp.asarray(problem.reference, jnp.float32))
    assert 0 < expected - value < 1e-3


@pytest.mark.parametrize("fn", [hypervolume, hypervolume_contributions])
def test_what_cannot_be_computed_is_refused_with_a_way_out(fn):
    with pytest.raises(InputError, match=rf"morl\.pareto\.host\.{fn.__name__}"):
        fn(jnp.ones((3, 6)), jnp.zeros(6))
    with pytest.raises(InputError, match=r"morl\.pareto\.polar_hypervolume"):
        fn(jnp.ones((3, 6)), jnp.zeros(6))
    with pytest.raises(InputError, match="found 3 and 2 objectives"):
        fn(jnp.ones((3, 3)), jnp.zeros(2))
    with pytest.raises(InputError, match="found 0 and 1 rows"):
        fn(jnp.ones((0, 3)), jnp.zeros(3))
