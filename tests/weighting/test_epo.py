"""EPO and its linear program: SciPy, the paper's conditions, a front known by heart."""

from math import log, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from morl.weighting.contract import Signals
from morl.weighting.epo import epo
from morl.weighting.linear_program import simplex_program


def expected_epo(gram, losses, prefs):
    """Both modes by SciPy, with the formulas of the paper."""
    k = len(losses)
    scaled = prefs * losses
    share = scaled / scaled.sum()
    uneven = sum(s * log(k * s) for s in share)
    anchor = prefs * (np.log(k * share) - uneven)
    along = gram @ anchor
    if uneven > 1e-4:
        gain, bound = along, np.where(along > 0, -np.inf, along)
        bound[np.argmax(scaled)] = 0
        if not (along > 0).any():
            bound = np.zeros(k)
    else:
        gain, bound = gram.sum(0), np.zeros(k)
    rows = np.isfinite(bound)
    best = linprog(
        -gain,
        A_ub=-gram[rows],
        b_ub=-bound[rows],
        A_eq=np.ones((1, k)),
        b_eq=[1],
        bounds=(0, None),
    )
    assert best.status == 0
    return gain, bound, -best.fun


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_epo_solves_its_linear_program(k):
    rng = np.random.default_rng(k)
    method = jax.jit(lambda s, p: epo(p).update(s, ())[0])
    for trial in range(30):
        rows = rng.normal(size=(k, k + 4))
        gram, losses = rows @ rows.T, rng.uniform(0.5, 2, k)
        prefs = rng.uniform(0.2, 1, k)
        if trial % 3 == 0:
            losses = 1 / prefs
        signals = Signals(jnp.asarray(gram, jnp.float32), jnp.asarray(losses))
        solution = method(signals, jnp.asarray(prefs))
        weights = np.asarray(solution.weights, float)
        gain, bound, best = expected_epo(gram, losses, prefs)
        assert solution.residual <= 1e-6
        np.testing.assert_allclose(gain @ weights, best, atol=1e-4 * abs(gain).max())
        assert (gram @ weights >= bound - 1e-4 * gram.max()).all()
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)


def test_the_residual_is_at_most_a_millionth_in_a_large_batch():
    # Large enough for two workers, which two factorisations at once would stop.
    rng = np.random.default_rng(6)
    rows = rng.standard_normal((2000, 6, 12))
    rows[:500, 1] = -rows[:500, 0]
    rows[500:1000, 1] = 0
    gramians = jnp.asarray(rows @ rows.swapaxes(1, 2), jnp.float32)
    losses = jnp.asarray(rng.uniform(0.2, 2, (2000, 6)), jnp.float32)
    method = epo()
    solve = jax.jit(jax.vmap(lambda g, x: method.update(Signals(g, x), ())[0]))
    assert float(solve(gramians, losses).residual.max()) <= 1e-6


@pytest.mark.slow
def test_the_linear_program_is_exact_in_float64():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        for k in (3, 9):
            rows = rng.normal(size=(k, 2 * k))
            gram, gain = rows @ rows.T, rng.normal(size=k)
            weights, residual = jax.jit(simplex_program)(
                jnp.asarray(gain), jnp.asarray(gram), jnp.zeros(k), jnp.ones(k, bool)
            )
            best = linprog(
                -gain, A_ub=-gram, b_ub=np.zeros(k), A_eq=np.ones((1, k)), b_eq=[1]
            )
            np.testing.assert_allclose(gain @ weights, -best.fun, rtol=1e-10)
            assert residual < 1e-11


@pytest.mark.slow
def test_epo_says_so_where_no_weights_meet_the_conditions():
    # No Gramian: nothing on the simplex lowers both.
    matrix = -jnp.ones((2, 2))
    _, residual = simplex_program(jnp.ones(2), matrix, jnp.zeros(2), jnp.ones(2, bool))
    assert residual > 0.5


@pytest.mark.parametrize("prefs", [(0.5, 0.5), (0.8, 0.2), (0.1, 0.9)])
def test_epo_reaches_the_point_of_equal_weighted_losses_on_vlmop1(prefs):
    # Squared distances from 0 and 2 on a line: p1 x^2 = p2 (x - 2)^2 at
    # x = 2 / (1 + sqrt(p1 / p2)). In the plane, the front is the segment between them.
    ends = jnp.array([[0.0, 0.0], [2.0, 0.0]])
    losses_at = lambda x: jnp.sum(jnp.square(x[None] - ends), axis=1)
    method = epo(jnp.array(prefs))

    def step(x, rate):
        slopes = jax.jacrev(losses_at)(x)
        solution, _ = method.update(Signals(slopes @ slopes.T, losses_at(x)), ())
        return x - rate * solution.weights @ slopes, None

    rates = 0.05 * 0.995 ** jnp.arange(2000)
    walk = jax.jit(lambda start: jax.lax.scan(step, start, rates)[0])
    for start in ([0.3, 0.0], [1.9, 0.0], [-1.0, 2.0], [1.5, -1.0]):
        expected = [2 / (1 + sqrt(prefs[0] / prefs[1])), 0]
        np.testing.assert_allclose(walk(jnp.array(start)), expected, atol=0.01)


def test_epo_never_raises_the_worst_loss(key):
    update = jax.jit(lambda signals: epo().update(signals, ())[0].weights)
    for now in jax.random.split(key, 50):
        rows = jax.random.normal(now, (4, 9))
        gramian, losses = rows @ rows.T, jax.random.uniform(now, (4,), minval=0.2)
        change = gramian @ update(Signals(gramian, losses))
        assert change[jnp.argmax(losses)] >= -2e-5 * jnp.max(gramian)
