"""Nash-MTL and FairGrad: published numbers, SciPy, laws, degenerate gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import root

from morl.errors import InputError
from morl.numerics.power_equation import power_equation
from morl.weighting.contract import Signals
from morl.weighting.fair import fair
from morl.weighting.nash import nash

TWO = np.array([[-4.0, 1, 1], [6, 1, 1]])
THREE = np.array([[2.0, 0, 1], [-1, 1, 0], [0, -1, 3]])
every_alpha = pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])


def narrow(rows):
    return jnp.asarray(rows @ rows.T, jnp.float32)


@partial(jax.jit, static_argnums=1)
def solve(gramian, alpha, present=None):
    method = nash() if alpha == 1 else fair(alpha)
    return method.update(Signals(gramian, present=present), ())[0]


@partial(jax.jit, static_argnums=1)
def batch(gramians, alpha):
    return jax.vmap(lambda gramian: solve(gramian, alpha))(gramians)


@pytest.mark.parametrize(
    ("alpha", "rows", "expected", "digits"),
    [
        (1.0, TWO, (0.591461, 0.407071), 1e-6),
        (1.0, THREE, (0.6249022727, 1.1877396417, 0.2837393803), 1e-10),
        (0.5, TWO, (0.742828, 0.525393), 1e-6),
        (0.5, THREE, (0.6706689705, 1.2240453435, 0.4393238769), 1e-10),
        (2.0, TWO, (0.471363, 0.319454), 1e-6),
    ],
)
def test_weights_are_the_published_numbers(alpha, rows, expected, digits):
    found = solve(narrow(rows), alpha).weights
    np.testing.assert_allclose(found, expected, atol=max(digits, 1e-6))
    with jax.enable_x64(True):
        wide = solve(jnp.asarray(rows @ rows.T), alpha).weights
        assert wide.dtype == jnp.float64
        np.testing.assert_allclose(wide, expected, atol=digits)


@every_alpha
def test_weights_are_those_that_scipy_finds(alpha):
    rows = np.random.default_rng(0).standard_normal((5, 12))
    gramian = rows @ rows.T

    def violation(logs):
        weights = np.exp(logs)
        return weights * (gramian @ weights) - weights ** (1 - 1 / alpha)

    found = root(violation, np.full(5, -1.0), tol=1e-12)
    assert found.success
    np.testing.assert_allclose(
        solve(narrow(rows), alpha).weights, np.exp(found.x), rtol=2e-6
    )


def check_residuals(alpha, k, count):
    rows = np.random.default_rng(k).standard_normal((count, k, 2 * k))
    wide = np.einsum("nkp,nlp->nkl", rows, rows)
    found = batch(jnp.asarray(wide, jnp.float32), alpha)
    weights = np.asarray(found.weights, np.float64)
    right = weights ** (1 - 1 / alpha)
    own = weights**2 * np.einsum("nkk->nk", wide)
    # Rounding a weight to float32 moves its own term of the equation by this much.
    unit = 1.2e-7 * np.max(own / right, axis=1)
    assert (np.asarray(found.residual) <= np.maximum(1e-6, 8 * unit)).all()
    assert np.median(found.residual) <= 1e-6
    true = np.abs(weights * np.einsum("nkl,nl->nk", wide, weights) - right)
    relative = true.max(axis=1) / right.max(axis=1)
    assert (relative <= np.maximum(2e-6, 10 * unit)).all()


@every_alpha
def test_the_residual_is_rounding_on_random_gramians(alpha):
    for k in (2, 8):
        check_residuals(alpha, k, 500)


@pytest.mark.slow
@every_alpha
def test_the_residual_is_rounding_on_two_thousand_random_gramians(alpha):
    for k in range(2, 9):
        check_residuals(alpha, k, 2000)


@every_alpha
def test_the_residual_is_far_below_a_millionth_in_float64(alpha):
    with jax.enable_x64(True):
        for k in (2, 8):
            rows = np.random.default_rng(k).standard_normal((500, k, 2 * k))
            gramians = jnp.asarray(np.einsum("nkp,nlp->nkl", rows, rows))
            assert batch(gramians, alpha).residual.max() < 1e-12


@pytest.mark.parametrize("k", [2, 5, 8])
def test_the_squared_norm_of_the_nash_direction_is_the_number_of_objectives(k):
    rows = np.random.default_rng(k).standard_normal((k, 3 * k))
    direction = np.asarray(solve(narrow(rows), 1.0).weights, np.float64) @ rows
    np.testing.assert_allclose(direction @ direction, k, rtol=1e-5)


@every_alpha
def test_permuting_objectives_permutes_weights(alpha):
    order = jnp.array([2, 0, 1])
    permuted = solve(narrow(THREE)[order][:, order], alpha).weights
    expected = solve(narrow(THREE), alpha).weights[order]
    np.testing.assert_allclose(permuted, expected, rtol=2e-6)


@every_alpha
@pytest.mark.parametrize("scale", [1e-10, 1e-5, 1e5, 1e15])
def test_gradients_times_c_have_weights_times_a_power_of_c(alpha, scale):
    found = solve(narrow(THREE) * jnp.float32(scale) ** 2, alpha)
    expected = np.asarray(solve(narrow(THREE), alpha).weights)
    factor = float(scale) ** (-2 * alpha / (1 + alpha))
    np.testing.assert_allclose(found.weights, expected * factor, rtol=1e-5)
    assert found.residual <= 1e-6


def test_the_unit_of_one_loss_changes_no_nash_direction():
    scales = np.array([1e-10, 1.0, 1e15])
    found = solve(narrow(THREE * scales[:, None]), 1.0).weights
    expected = solve(narrow(THREE), 1.0).weights / scales
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@every_alpha
def test_zero_duplicate_and_dependent_gradients_are_solved(alpha):
    one = np.array([1.0, 2, 0])
    zero = solve(narrow(np.stack([one * 0, one])), alpha)
    np.testing.assert_allclose(
        zero.weights, [0, 5 ** (-alpha / (1 + alpha))], rtol=1e-6
    )
    same = solve(narrow(np.stack([one, one])), alpha)
    np.testing.assert_allclose(
        same.weights, np.full(2, 10 ** (-alpha / (1 + alpha))), rtol=1e-6
    )
    flat = solve(narrow(np.array([[1.0, 0.2], [0.3, 1], [0.7, 0.7]])), alpha)
    for found in (zero, same, flat):
        assert found.residual <= 1e-6
    nothing = solve(jnp.zeros((3, 3)), alpha)
    np.testing.assert_array_equal(nothing.weights, 0)
    assert nothing.residual == 0


@every_alpha
@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 0], [-1, 0]],
        [[1.0, 0], [-0.5, 0.5], [-0.5, -0.5]],
        [[1.0, 3], [-2, -6], [3, 9]],
    ],
)
@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e15])
def test_gradients_that_cancel_have_finite_weights_and_a_large_residual(
    alpha, rows, scale
):
    found = solve(narrow(np.array(rows)) * jnp.float32(scale) ** 2, alpha)
    assert np.isfinite(found.weights).all()
    assert (np.asarray(found.weights) > 0).all()
    assert 0.5 < found.residual < 10


@every_alpha
def test_an_absent_objective_has_no_weight_and_the_others_are_solved_without_it(alpha):
    gramian = jnp.full((3, 3), jnp.nan).at[::2, ::2].set(narrow(TWO))
    found = solve(gramian, alpha, jnp.array([True, False, True]))
    assert found.weights[1] == 0
    alone = solve(narrow(TWO), alpha)
    np.testing.assert_allclose(found.weights[::2], alone.weights, rtol=2e-6)
    assert found.residual <= 1e-6


@every_alpha
def test_a_batch_under_jit_equals_a_loop(alpha):
    rows = np.random.default_rng(1).standard_normal((5, 4, 9))
    gramians = jnp.asarray(np.einsum("nkp,nlp->nkl", rows, rows), jnp.float32)
    loop = np.stack([solve(gramian, alpha).weights for gramian in gramians])
    np.testing.assert_allclose(batch(gramians, alpha).weights, loop, rtol=1e-5)


@every_alpha
def test_the_gradient_is_that_of_finite_differences(alpha):
    with jax.enable_x64(True):
        gramian = jnp.asarray(THREE @ THREE.T)

        def value(gramian, alpha):
            return power_equation(gramian, alpha).weights @ jnp.arange(1.0, 4)

        fast = jax.jit(value)
        bump = jnp.array([[0.3, 0.1, -0.2], [0.1, -0.4, 0.5], [-0.2, 0.5, 0.2]])
        slopes = jax.jit(jax.grad(value, argnums=(0, 1)))(gramian, alpha)
        ends = [fast(gramian + h * bump, alpha) for h in (1e-6, -1e-6)]
        np.testing.assert_allclose(
            jnp.sum(slopes[0] * bump), (ends[0] - ends[1]) / 2e-6, rtol=1e-6
        )
        ends = [fast(gramian, alpha + h) for h in (1e-6, -1e-6)]
        np.testing.assert_allclose(slopes[1], (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def test_the_gradient_is_finite_where_rows_are_zero_or_absent():
    gramian = jnp.full((3, 3), jnp.nan).at[:2, :2].set(jnp.diag(jnp.array([4.0, 0])))
    present = jnp.array([True, True, False])

    def total(gramian):
        return jnp.sum(power_equation(gramian, 1.0, present=present).weights)

    slopes = jax.jit(jax.grad(total))(gramian)
    np.testing.assert_allclose(slopes[0, 0], -1 / 16, rtol=1e-5)
    assert np.isfinite(slopes).all()


def test_the_state_is_empty_and_stable_under_scan():
    method = nash()

    def step(state, scale):
        solution, state = method.update(Signals(scale * narrow(THREE)), state)
        return state, solution.residual

    _, residuals = jax.lax.scan(step, method.init(3), jnp.array([1.0, 2.0, 3.0]))
    assert residuals.max() <= 1e-6


def test_an_alpha_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match=r"alpha is 0\.0"):
        fair(0.0)
