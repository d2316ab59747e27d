"""Weightings that are formulas: published numbers, laws, degenerate gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.weighting.aligned import aligned
from morl.weighting.config import config
from morl.weighting.contract import Signals
from morl.weighting.imtl import imtl
from morl.weighting.pcgrad import pcgrad, projected

TWO = np.array([[-4.0, 1, 1], [6, 1, 1]])
THREE = np.array([[2.0, 0, 1], [-1, 1, 0], [0, -1, 3]])
METHODS = {
    "imtl": imtl,
    "config": config,
    "aligned": aligned,
    "pcgrad": lambda: pcgrad(jax.random.key(0)),
}
every_method = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS.keys())
every_formula = pytest.mark.parametrize("make", [imtl, config, aligned])
CANCELLING = np.array([[1.0, 0, 0], [-1, 0, 0]])
DEGENERATE = {
    "zero": np.array([[0.0, 0, 0], [1, 2, 0], [0, 1, -1]]),
    "all zero": np.zeros((3, 3)),
    "duplicate": np.array([[1.0, 2, 0], [1, 2, 0], [0, 1, -1]]),
    "opposite": CANCELLING,
    "rank one": np.array([[1.0, 2, 0], [-2, -4, 0], [3, 6, 0]]),
    "flat": np.array([[1.0, 2, 0], [-2, 1, 0], [3, 1, 0]]),
}


def narrow(rows):
    return jnp.asarray(rows @ rows.T, jnp.float32)


def solve(make, gramian, present=None):
    return _solve(make, gramian, present)


@partial(jax.jit, static_argnums=0)
def _solve(make, gramian, present):
    method = make()
    state = method.init(gramian.shape[0])
    return method.update(Signals(gramian, present=present), state)[0]


@pytest.mark.parametrize(
    ("make", "rows", "expected", "digits"),
    [
        (METHODS["pcgrad"], TWO, (20 / 9, 30 / 19), 1e-6),
        (imtl, TWO, (0.5923, 0.4077), 5e-5),
        (imtl, THREE, (0.3468678415, 0.5976672281, 0.0554649303), 1e-10),
        (aligned, TWO, (0.5591, 0.4083), 5e-5),
        (aligned, THREE, (0.2354699629, 0.3690442542, 0.081708325), 1e-10),
    ],
)
def test_weights_are_the_published_numbers(make, rows, expected, digits):
    found = solve(make, narrow(rows)).weights
    np.testing.assert_allclose(found, expected, atol=max(digits, 1e-6))
    with jax.enable_x64(True):
        wide = solve(make, jnp.asarray(rows @ rows.T)).weights
        assert wide.dtype == jnp.float64
        np.testing.assert_allclose(wide, expected, atol=digits)


@pytest.mark.parametrize("rows", [TWO, THREE])
def test_config_is_the_formula_on_the_gradients_themselves(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    way = np.linalg.pinv(unit) @ np.ones(len(rows))
    way /= np.linalg.norm(way)
    expected = (rows @ way).sum() * way
    if rows is TWO:
        np.testing.assert_allclose(expected, (0.1588, 2.0706, 2.0706), atol=5e-5)
    found = solve(config, narrow(rows)).weights @ rows
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [imtl, config])
@pytest.mark.parametrize("k", [2, 5, 8])
def test_unit_gradients_project_equally(make, k):
    rows = np.random.default_rng(k).standard_normal((k, 3 * k))
    found = solve(make, narrow(rows))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    reach = unit @ (np.asarray(found.weights) @ rows)
    np.testing.assert_allclose(reach, reach.mean(), rtol=2e-5)
    assert reach.min() > 0
    assert found.residual < 1e-5


def test_duplicates_of_other_lengths_project_equally():
    rows = np.array([[1.0, 0, 0], [5, 0, 0], [0, 2, 0]])
    direction = np.asarray(solve(imtl, narrow(rows)).weights) @ rows
    reach = rows @ direction / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(reach, reach[0], rtol=1e-5)


@pytest.mark.parametrize("make", [imtl, config])
def test_gradients_that_cancel_leave_no_weight_and_say_so(make):
    found = solve(make, narrow(CANCELLING))
    np.testing.assert_array_equal(found.weights, 0)
    assert found.residual == 1


def test_a_rule_that_points_backwards_says_so():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        rows = rng.standard_normal((3, 3)) * [[1], [10], [0.1]]
        if np.linalg.solve(rows @ rows.T, np.linalg.norm(rows, axis=1)).sum() < 0:
            break
    found = solve(imtl, narrow(rows))
    assert (rows @ (np.asarray(found.weights) @ rows)).max() < 0
    assert abs(found.residual - 2) < 1e-2


def test_config_projects_the_unit_gradients_in_proportion_to_the_preferences():
    units = THREE / np.linalg.norm(THREE, axis=1, keepdims=True)
    method = jax.jit(lambda g, p: config(p).update(Signals(g), ())[0])
    for prefs in ([3.0, 2, 1], [0.2, 0.2, 0.6], [1.0, 0, 0], [5.0, 5, 5]):
        found = method(narrow(THREE), jnp.array(prefs))
        direction = found.weights @ THREE
        reach = units @ direction
        np.testing.assert_allclose(
            reach / max(reach), np.divide(prefs, max(prefs)), atol=1e-5
        )
        way = direction / np.linalg.norm(direction)
        expected = (THREE @ way).sum()
        np.testing.assert_allclose(np.linalg.norm(direction), expected, rtol=1e-5)
        assert found.residual < 1e-6
    even = solve(config, narrow(THREE)).weights
    np.testing.assert_allclose(found.weights, even, rtol=1e-5)


def test_aligned_gradients_are_orthogonal_and_as_long_as_the_least_axis():
    gramian = narrow(THREE)
    each = np.stack(
        [solve(lambda p=p: aligned(p), gramian).weights for p in jnp.eye(3)]
    )
    least = np.linalg.eigvalsh(THREE @ THREE.T)[0]
    mixed = each @ THREE
    np.testing.assert_allclose(mixed @ mixed.T, least * np.eye(3), atol=1e-5)


@every_formula
def test_permuting_objectives_permutes_weights(make):
    order = jnp.array([2, 0, 1])
    gramian = narrow(THREE)
    permuted = solve(make, gramian[order][:, order]).weights
    np.testing.assert_allclose(permuted, solve(make, gramian).weights[order], atol=1e-6)


@every_method
@pytest.mark.parametrize("scale", [1e-10, 1e-5, 1e5, 1e15])
def test_the_size_of_all_gradients_changes_no_weight(make, scale):
    gramian = narrow(THREE)
    found = solve(make, gramian * jnp.float32(scale) ** 2).weights
    np.testing.assert_allclose(found, solve(make, gramian).weights, rtol=1e-5)


@pytest.mark.parametrize("make", [imtl, config])
def test_the_unit_of_one_loss_changes_no_direction(make):
    scales = np.array([1.0, 1e6, 1e-6])[:, None]
    base = np.asarray(solve(make, narrow(THREE)).weights) @ THREE
    found = np.asarray(solve(make, narrow(THREE * scales)).weights) @ (THREE * scales)
    np.testing.assert_allclose(
        found / np.linalg.norm(found), base / np.linalg.norm(base), atol=1e-5
    )


@every_method
@pytest.mark.parametrize("rows", DEGENERATE.values(), ids=DEGENERATE.keys())
@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e15])
def test_degenerate_gradients_have_finite_weights(make, rows, scale):
    found = solve(make, narrow(rows) * jnp.float32(scale) ** 2)
    assert np.isfinite(found.weights).all()
    assert np.isfinite(found.residual)
    # The largest sum of weights is PCGrad's: one for itself, the rest from conflicts.
    assert np.abs(found.weights).max() < 20


@every_formula
def test_a_zero_gradient_has_no_weight(make):
    assert solve(make, narrow(DEGENERATE["zero"])).weights[0] == 0


@every_method
def test_an_absent_objective_has_no_weight_and_the_others_are_solved_without_it(make):
    alone = solve(make, narrow(TWO)).weights
    gramian = jnp.full((3, 3), jnp.nan).at[::2, ::2].set(narrow(TWO))
    present = jnp.array([True, False, True])
    found = solve(make, gramian, present)
    assert found.weights[1] == 0
    if make is aligned:
        alone = solve(lambda: aligned(jnp.full(2, 0.5)), narrow(TWO)).weights
    np.testing.assert_allclose(found.weights[::2], alone, atol=2e-6)


@every_method
def test_a_batch_under_jit_equals_a_loop(make):
    rows = np.random.default_rng(1).standard_normal((5, 4, 9))
    gramians = jnp.asarray(np.einsum("nkp,nlp->nkl", rows, rows), jnp.float32)
    batch = jax.jit(jax.vmap(lambda gramian: solve(make, gramian).weights))(gramians)
    loop = np.stack([solve(make, gramian).weights for gramian in gramians])
    np.testing.assert_allclose(batch, loop, rtol=1e-4, atol=1e-5)


@every_method
def test_the_state_is_stable_under_scan(make):
    method = make()
    gramian = narrow(np.random.default_rng(4).standard_normal((5, 3)))

    def step(state, _):
        solution, state = method.update(Signals(gramian), state)
        return state, solution.weights

    _, weights = jax.lax.scan(step, method.init(5), length=20)
    assert np.isfinite(weights).all()
    fresh = len(np.unique(np.asarray(weights).round(4), axis=0))
    assert fresh > 5 if make is METHODS["pcgrad"] else fresh == 1


@pytest.mark.parametrize("k", [3, 6])
def test_pcgrad_is_the_projections_of_the_gradients_one_by_one(k):
    rng = np.random.default_rng(k)
    rows = rng.standard_normal((k, 4))
    orders = np.stack([rng.permutation(k) for _ in range(k)])
    expected = rows.copy()
    for i in range(k):
        for j in orders[i]:
            inner = expected[i] @ rows[j]
            if j != i and inner < 0:
                expected[i] -= inner / (rows[j] @ rows[j]) * rows[j]
    found = projected(narrow(rows), jnp.asarray(orders)) @ rows
    np.testing.assert_allclose(found, expected, atol=1e-5)


@every_formula
def test_the_gradient_is_that_of_finite_differences_even_at_equal_eigenvalues(make):
    with jax.enable_x64(True):
        value = jax.jit(lambda g: solve(make, g).weights @ jnp.arange(1.0, 4))
        descent = jax.jit(jax.grad(value))
        for gramian in (jnp.diag(jnp.array([1.0, 2, 2])), jnp.asarray(THREE @ THREE.T)):
            bump = jnp.array([[0.3, 0.1, -0.2], [0.1, -0.4, 0.5], [-0.2, 0.5, 0.2]])
            slope = jnp.sum(descent(gramian) * bump)
            ends = value(gramian + 1e-6 * bump), value(gramian - 1e-6 * bump)
            np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


@every_formula
def test_gradients_are_finite_at_degenerate_gramians_and_with_absent_objectives(make):
    value = lambda g, here: solve(make, g, here).weights @ jnp.arange(1.0, 4)
    descent = jax.jit(jax.grad(value))
    for rows in (np.eye(3), np.zeros((3, 3)), THREE[[0, 0, 1]], THREE[[0, 0, 0]]):
        for present in ([True, True, True], [True, False, False]):
            slope = descent(narrow(rows), jnp.array(present))
            assert jnp.isfinite(slope).all(), (rows, present)
