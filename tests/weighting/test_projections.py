"""Weightings behind a quadratic program: published numbers, laws, residuals."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from morl.numerics.small_qp import above_qp, least_norm, nonnegative_qp
from morl.weighting import Signals, dual_projection, min_norm, upgrad

TWO = np.array([[-4.0, 1, 1], [6, 1, 1]])
THREE = np.array([[2.0, 0, 1], [-1, 1, 0], [0, -1, 3]])
# Published, and derived again with SciPy: weights of the two sets of gradients.
NUMBERS = {
    "min_norm": (min_norm, (0.6, 0.4), (16 / 45, 19 / 30, 1 / 90)),
    "upgrad": (upgrad, (10 / 9, 15 / 19), (7 / 15, 5 / 6, 1 / 3)),
    "dual_projection": (dual_projection, (11 / 18, 0.5), (1 / 3, 1 / 2, 1 / 3)),
}
every_method = pytest.mark.parametrize(
    "make", [case[0] for case in NUMBERS.values()], ids=NUMBERS.keys()
)
# What they share, where it takes long.
any_method = pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=() if make is upgrad else pytest.mark.slow)
        for name, (make, *_) in NUMBERS.items()
    ],
)


def solve(make, gramian, present=None):
    return _solve(make, gramian, present)


@partial(jax.jit, static_argnums=0)
def _solve(make, gramian, present):
    return make().update(Signals(gramian, present=present), ())[0]


@cache
def batch_of(make):
    return jax.jit(jax.vmap(lambda gramian: solve(make, gramian)))


# Batches of one shape share a program: 500 Gramians of 3 or of 8 objectives.
def random_gramians(seed, count, k, dim):
    rows = np.random.default_rng(seed).standard_normal((count, k, dim))
    return rows, jnp.asarray(np.einsum("nkp,nlp->nkl", rows, rows), jnp.float32)


@pytest.mark.parametrize("name", NUMBERS)
def test_weights_are_the_published_numbers(name):
    make, two, three = NUMBERS[name]
    narrow = solve(make, jnp.asarray(THREE @ THREE.T, jnp.float32))
    np.testing.assert_allclose(narrow.weights, three, atol=1e-6)
    for rows, expected in ((TWO, two), (THREE, three)):
        with jax.enable_x64(True):
            wide = solve(make, jnp.asarray(rows @ rows.T, jnp.float64))
            assert wide.weights.dtype == jnp.float64
            np.testing.assert_allclose(wide.weights, expected, atol=1e-10)


@any_method
def test_the_residual_is_at_most_a_millionth_on_random_gramians(make):
    for k in (3, 8):
        _, gramians = random_gramians(k, 500, k, 2 * k)
        assert float(batch_of(make)(gramians).residual.max()) <= 1e-6, k


@pytest.mark.slow
@every_method
def test_the_residual_is_at_most_a_millionth_on_ten_thousand_random_gramians(make):
    for k in range(2, 9):
        _, gramians = random_gramians(k, 10_000, k, 2 * k)
        assert float(batch_of(make)(gramians).residual.max()) <= 1e-6, k


@any_method
@pytest.mark.parametrize("k", [pytest.param(16, marks=pytest.mark.slow), 64])
def test_the_residual_is_small_for_many_objectives(make, k):
    _, gramians = random_gramians(k, 8, k, 2 * k)
    assert float(batch_of(make)(gramians).residual.max()) <= 1e-5


@every_method
@pytest.mark.parametrize(
    ("k", "dim"), [(3, 2), (8, 4), pytest.param(12, 6, marks=pytest.mark.slow)]
)
def test_more_gradients_than_dimensions_are_solved(make, k, dim):
    _, gramians = random_gramians(k, 500, k, dim)
    residual = np.asarray(batch_of(make)(gramians).residual)
    assert residual.max() <= 1e-5
    assert np.mean(residual <= 1e-6) > 0.98


@every_method
@pytest.mark.parametrize("k", [3, 8])
def test_no_objective_is_hurt(make, k):
    rows, gramians = random_gramians(k, 500, k, 2 * k)
    weights = np.asarray(batch_of(make)(gramians).weights, np.float64)
    direction = np.einsum("nk,nkp->np", weights, rows)
    gains = np.einsum("np,nkp->nk", direction, rows)
    scale = np.linalg.norm(rows, axis=2) * np.linalg.norm(direction, axis=1)[:, None]
    assert (gains / scale).min() > -1e-5


@pytest.mark.parametrize("k", [3, 8])
def test_min_norm_improves_every_objective_by_its_squared_norm(k):
    _, gramians = random_gramians(k, 500, k, 2 * k)
    weights = batch_of(min_norm)(gramians).weights
    gains = np.einsum("nkl,nl->nk", gramians, weights)
    norm = np.einsum("nk,nk->n", gains, weights)
    np.testing.assert_array_less(norm - 1e-4, gains.min(axis=1))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


@every_method
def test_permuting_objectives_permutes_weights(make):
    order = jnp.array([2, 0, 1])
    gramian = jnp.asarray(THREE @ THREE.T, jnp.float32)
    permuted = solve(make, gramian[order][:, order]).weights
    np.testing.assert_allclose(permuted, solve(make, gramian).weights[order], atol=1e-6)


@every_method
@pytest.mark.parametrize("scale", [1e-10, 1e-5, 1e5, 1e15])
def test_the_size_of_all_gradients_changes_no_weight(make, scale):
    gramian = jnp.asarray(THREE @ THREE.T, jnp.float32)
    scaled = solve(make, gramian * jnp.float32(scale) ** 2)
    np.testing.assert_allclose(
        scaled.weights, solve(make, gramian).weights, rtol=1e-5, atol=1e-6
    )
    assert scaled.residual <= 1e-6


@every_method
def test_an_absent_objective_has_no_weight_and_the_others_are_solved_without_it(make):
    rows = np.insert(TWO, 1, 7.0, axis=0)
    gramian = jnp.asarray(rows @ rows.T, jnp.float32).at[1].set(jnp.nan)
    present = jnp.array([True, False, True])
    found = solve(make, gramian, present)
    without = solve(make, jnp.asarray(TWO @ TWO.T, jnp.float32))
    assert found.weights[1] == 0
    np.testing.assert_allclose(
        found.weights[jnp.array([0, 2])], without.weights, atol=1e-6
    )


@every_method
@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((3, 2)),
        np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]),
        np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]),
        np.array([[0.0, 0.0], [1.0, 1.0], [2.0, -1.0]]),
        np.array([[1.0, 0.0], [2.0, 0.0], [-3.0, 0.0]]),
    ],
    ids=["zero", "duplicate", "opposite", "one zero", "on a line"],
)
@pytest.mark.parametrize("copies", [1, 3])
def test_degenerate_rows_give_finite_weights_that_hurt_nothing(make, rows, copies):
    rows = np.tile(rows, (copies, 1))
    found = solve(make, jnp.asarray(rows @ rows.T, jnp.float32))
    weights = np.asarray(found.weights, np.float64)
    assert np.isfinite(weights).all() and (weights >= 0).all()
    assert found.residual <= 1e-5
    assert (rows @ (weights @ rows)).min() >= -1e-4 * max(1, weights.max())


def degenerate(k, num, seed=0):
    """Random rows in which some are zero, opposite, cancel, or have many scales."""
    draws = np.random.default_rng(seed)
    zero, opposite, cancelling, mixed = draws.standard_normal((4, num, k, 2 * k))
    zero[:, 1] = 0
    opposite[:, 1] = -draws.uniform(0.1, 10, (num, 1)) * opposite[:, 0]
    cancelling[:, 2] = -(cancelling[:, 0] + cancelling[:, 1])
    mixed *= 10 ** draws.uniform(-6, 6, (num, k, 1))
    return np.stack([zero, opposite, cancelling, mixed])


@every_method
@pytest.mark.parametrize("k", [3, 8])
def test_random_degenerate_rows_are_solved_and_hurt_nothing(make, k):
    rows = degenerate(k, 125).reshape(500, k, 2 * k)
    gramians = np.einsum("nkp,nlp->nkl", rows, rows)
    found = batch_of(make)(jnp.asarray(gramians, jnp.float32))
    weights = np.asarray(found.weights, np.float64)
    assert np.isfinite(weights).all() and (weights >= 0).all()
    direction = np.einsum("nk,nkp->np", weights, rows)
    gains = np.einsum("np,nkp->nk", direction, rows)
    # Rounding is that of the terms that cancel, not of what they leave.
    lengths = np.linalg.norm(rows, axis=2)
    scale = lengths * np.sum(weights * lengths, axis=1, keepdims=True)
    worst = np.min(gains / np.where(scale > 0, scale, 1), axis=1)
    assert found.residual.max() < 2e-6
    if make is min_norm:
        # A zero row is the least norm: what is left of the others is rounding.
        np.testing.assert_allclose(weights[:125, 1], 1, atol=1e-6)
        worst = worst[125:]
    assert worst.min() > -2e-7


@pytest.mark.parametrize("k", [3, 12])
def test_above_agrees_with_nonnegative_least_squares(k):
    # min |J^T (u + x)|^2 over x >= 0 is a least-squares problem with rows J^T.
    rows, gramians = random_gramians(k, 20, k, 2 * k)
    lower = np.random.default_rng(k).uniform(0, 1, (20, k))
    found = jax.jit(jax.vmap(above_qp))(gramians, jnp.asarray(lower, jnp.float32))
    for row, bound, point in zip(rows, lower, found.point, strict=True):
        extra, _ = nnls(row.T, -row.T @ bound)
        np.testing.assert_allclose(point, bound + extra, atol=2e-4)


def test_least_norm_agrees_with_scipy():
    _, gramians = random_gramians(0, 20, 4, 6)
    for gramian in np.asarray(gramians, np.float64):
        best = minimize(
            lambda w, g=gramian: w @ g @ w,
            np.full(4, 0.25),
            jac=lambda w, g=gramian: 2 * g @ w,
            bounds=[(0, 1)] * 4,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            tol=1e-12,
        )
        found = jax.jit(least_norm)(jnp.asarray(gramian, jnp.float32)).point
        np.testing.assert_allclose(found, best.x, atol=1e-4)


@pytest.mark.parametrize("k", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_the_solution_is_differentiable_where_it_is_unique(k):
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        rows = jnp.asarray(rng.standard_normal((k, 2 * k)))

        @jax.jit
        def value(rows):
            linear = rows @ rows.T @ jnp.ones(k) / k - 1
            return jnp.sum(jnp.sin(nonnegative_qp(rows @ rows.T, linear).point))

        along = jnp.asarray(rng.standard_normal(rows.shape))
        slope = jnp.vdot(jax.jit(jax.grad(value))(rows), along)
        step = 1e-5
        numeric = (value(rows + step * along) - value(rows - step * along)) / (2 * step)
        np.testing.assert_allclose(slope, numeric, rtol=1e-5)


@any_method
def test_the_direction_is_differentiable_where_rows_are_duplicates(make):
    @jax.jit
    def value(rows):
        return jnp.sin(solve(make, rows @ rows.T).weights @ rows).sum()

    with jax.enable_x64(True):
        rows = jnp.array([[1.0, 0], [1, 0], [-0.5, 1]])
        # It keeps the duplicates: the weights of two that part have no derivative.
        bump = jnp.array([[0.3, -0.2], [0.3, -0.2], [0.1, 0.4]])
        ends = value(rows + 1e-5 * bump), value(rows - 1e-5 * bump)
        found = jnp.vdot(jax.grad(value)(rows), bump)
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)
