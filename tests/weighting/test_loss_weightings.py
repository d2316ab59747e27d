"""Weightings without a quadratic program: contract, laws, formulas retyped."""

from functools import cache, partial
from math import exp
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

from morl.errors import InputError
from morl.weighting.constant import constant
from morl.weighting.contract import Signals
from morl.weighting.dynamic_average import dynamic_average
from morl.weighting.epo import epo
from morl.weighting.famo import famo
from morl.weighting.gradnorm import gradnorm
from morl.weighting.kept import is_due, kept
from morl.weighting.modo import modo
from morl.weighting.random_simplex import random_simplex
from morl.weighting.sdm import sdm
from morl.weighting.shares import projected
from morl.weighting.uncertainty import uncertainty

K = 4
uniform_scores = lambda key, shape: jax.random.loggamma(key, 1.0, shape)


class Method(NamedTuple):
    weighting: object
    needs: str | None = None
    permutes: bool = True
    sums_to_one: bool = True


METHODS = {
    "random_simplex": Method(random_simplex(jax.random.key(1)), permutes=False),
    "gradnorm": Method(gradnorm(), "losses"),
    "famo": Method(famo(), "losses"),
    "dynamic_average": Method(dynamic_average(), "losses"),
    "uncertainty": Method(uncertainty(), "losses", sums_to_one=False),
    "sdm": Method(sdm(), "cross"),
    "modo": Method(modo(), "cross"),
    "epo": Method(epo(), "losses"),
    "kept": Method(kept(gradnorm(), 3), "losses"),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
settled = {name: m for name, m in METHODS.items() if m.permutes}
every_method_without_chance = pytest.mark.parametrize(
    "method", settled.values(), ids=settled.keys()
)
needy = {name: m for name, m in METHODS.items() if m.needs}
every_needy = pytest.mark.parametrize("method", needy.values(), ids=needy.keys())


def draw(key, k=K, *, scale=1.0):
    """Signals of rows with more parameters than objectives, and positive losses."""
    first, second, third = jax.random.split(key, 3)
    rows = scale * jax.random.normal(first, (k, 9))
    other = rows + 0.3 * scale * jax.random.normal(second, (k, 9))
    losses = jax.random.uniform(third, (k,), minval=0.2, maxval=3.0)
    # A mask of what is present in every test: so that all of them share one program.
    return Signals(rows @ rows.T, losses, jnp.ones(k, bool), rows @ other.T)


@cache
def runner(weighting):
    def step(state, now):
        solution, state = weighting.update(now, state)
        return state, solution

    return jax.jit(lambda state, signals: jax.lax.scan(step, state, signals)[::-1])


@cache
def updater(weighting):
    return jax.jit(weighting.update)


def run(weighting, signals, k=K):
    """Solutions of each step and the last state; signals carry a leading step axis."""
    return runner(weighting)(weighting.init(k), signals)


def steps(key, n=6, **kinds):
    return jax.vmap(partial(draw, **kinds))(jax.random.split(key, n))


@every_method
def test_the_state_is_stable_under_scan_and_equals_a_loop(method, key):
    signals = steps(key)
    scanned, end = run(method.weighting, signals)
    state = method.weighting.init(K)
    for i in range(6):
        now = jax.tree.map(lambda x, i=i: x[i], signals)
        solution, state = updater(method.weighting)(now, state)
        np.testing.assert_allclose(scanned.weights[i], solution.weights, rtol=2e-5)
    assert jax.tree.structure(end) == jax.tree.structure(state)


@every_method
def test_vmap_under_jit_matches_a_loop(method, key):
    signals = steps(key, 5)
    state = method.weighting.init(K)
    one = lambda now: updater(method.weighting)(now, state)[0]
    batched = jax.jit(jax.vmap(one))(signals)
    for i in range(5):
        alone = one(jax.tree.map(lambda x, i=i: x[i], signals))
        np.testing.assert_allclose(batched.weights[i], alone.weights, rtol=2e-5)


@every_method
@pytest.mark.parametrize("scale", [1e-10, 1e-3, 1e3, 1e15])
def test_weights_are_finite_and_not_negative_at_every_scale(method, scale, key):
    weights = run(method.weighting, steps(key, scale=scale))[0].weights
    assert jnp.isfinite(weights).all()
    assert (weights >= 0).all()
    if method.sums_to_one:
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)


@every_method
def test_losses_of_any_size_give_finite_weights(method, key):
    for size in (0.0, 1e-30, 1e30, -1.0):
        signals = steps(key)
        weights = run(method.weighting, signals._replace(losses=size * signals.losses))
        assert jnp.isfinite(weights[0].weights).all()
        assert (weights[0].weights >= 0).all()


@every_method
def test_zero_rows_give_finite_weights(method, key):
    signals = steps(key)
    zero = signals._replace(gramian=0 * signals.gramian, cross=0 * signals.cross)
    weights = run(method.weighting, zero)[0].weights
    assert jnp.isfinite(weights).all()


def hidden(signals, k):
    """The same signals with objective k absent, and NaN wherever it had a number."""
    spoil = lambda x: x.at[..., k].set(jnp.nan)
    square = lambda x: spoil(x).at[..., k, :].set(jnp.nan)
    present = signals.present.at[..., k].set(False)
    return Signals(
        square(signals.gramian), spoil(signals.losses), present, square(signals.cross)
    )


@every_method
def test_an_absent_objective_may_hold_nan_and_gets_no_weight(method, key):
    solution, state = run(method.weighting, hidden(steps(key), 2))
    assert (solution.weights[:, 2] == 0).all()
    assert jnp.isfinite(solution.weights).all()
    assert jnp.isfinite(solution.residual).all()
    for leaf in jax.tree.leaves(state):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            assert jnp.isfinite(leaf).all()


@pytest.mark.parametrize(
    "name", ["gradnorm", "famo", "dynamic_average", "uncertainty", "sdm", "modo", "epo"]
)
def test_the_others_are_weighted_as_if_the_absent_one_did_not_exist(name, key):
    method, signals = METHODS[name], steps(key)
    rest = jnp.array([0, 1, 3])
    alone = Signals(
        signals.gramian[:, rest][:, :, rest],
        signals.losses[:, rest],
        signals.present[:, rest],
        signals.cross[:, rest][:, :, rest],
    )
    weights = run(method.weighting, hidden(signals, 2))[0].weights[:, rest]
    expected = run(method.weighting, alone, 3)[0].weights
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["gradnorm", "famo", "dynamic_average", "uncertainty", "sdm", "modo"]
)
def test_the_state_of_an_absent_objective_stands_still(name, key):
    weighting, signals = METHODS[name].weighting, steps(key)
    _, before = run(weighting, signals)
    _, after = updater(weighting)(hidden(draw(key), 2), before)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        if old.shape[:1] == (K,) and name != "dynamic_average":
            np.testing.assert_array_equal(old[2], new[2])
    if name == "dynamic_average":
        assert (before.last[2], before.before[2]) == (after.last[2], after.before[2])


@every_method
def test_nothing_present_gives_no_weight_and_no_nan(method, key):
    signals = draw(key)._replace(present=jnp.zeros(K, bool))
    solution, _ = updater(method.weighting)(signals, method.weighting.init(K))
    np.testing.assert_array_equal(solution.weights, 0)
    assert jnp.isfinite(solution.residual)


@every_needy
def test_a_missing_signal_is_named_with_the_method(method, key):
    signals = draw(key)._replace(**{method.needs: None})
    with pytest.raises(InputError, match=f"needs Signals.{method.needs}, found None"):
        method.weighting.update(signals, method.weighting.init(K))


@every_method_without_chance
def test_permuting_objectives_permutes_weights(method, key):
    order, signals = jnp.array([2, 0, 3, 1]), steps(key)
    permuted = Signals(
        signals.gramian[:, order][:, :, order],
        signals.losses[:, order],
        signals.present,
        signals.cross[:, order][:, :, order],
    )
    first, second = (run(method.weighting, s)[0].weights for s in (signals, permuted))
    np.testing.assert_allclose(second, first[:, order], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@every_method
def test_float64_in_gives_float64_out_and_float32_stays(method, key):
    with jax.enable_x64(True):
        for kind in (jnp.float32, jnp.float64):
            cast = lambda x, k=kind: x if x.dtype == bool else x.astype(k)
            signals = jax.tree.map(cast, draw(key))
            solution, _ = updater(method.weighting)(signals, method.weighting.init(K))
            assert solution.weights.dtype == solution.residual.dtype == kind


@pytest.mark.parametrize(
    "name", ["random_simplex", "dynamic_average", "sdm", "modo", "epo"]
)
def test_dtypes_are_promoted_nowhere_by_accident(name, key):
    # Those that step by optax are left out: it fails under strict promotion itself.
    weighting, signals = METHODS[name].weighting, draw(key)
    state = weighting.init(K)
    with jax.numpy_dtype_promotion("strict"):
        solution, _ = weighting.update(signals, state)
    assert solution.weights.dtype == jnp.float32


def test_gradients_of_sdm_are_finite_at_zero_rows():
    def value(cross):
        signals = Signals(cross, cross=cross)
        return sdm().update(signals, jnp.full(K, 1 / K))[0].weights[0]

    assert jnp.isfinite(jax.jit(jax.grad(value))(jnp.zeros((K, K)))).all()


# Random weights


def test_random_weights_have_the_means_of_their_preferences_and_never_repeat():
    prefs = jnp.array([0.5, 0.3, 0.2])
    signals = Signals(jnp.broadcast_to(jnp.eye(3), (4000, 3, 3)))
    method = random_simplex(jax.random.key(3), scores=uniform_scores)
    weights = run(method, signals, 3)[0].weights
    assert len(np.unique(weights[:, 0])) > 3900
    # Uniform on the simplex of three: mean 1/3, variance 1/18.
    np.testing.assert_allclose(weights.mean(0), 1 / 3, atol=0.015)
    np.testing.assert_allclose(weights.var(0), 1 / 18, atol=0.004)
    still = lambda _, shape: jnp.zeros(shape)
    fixed = random_simplex(jax.random.key(3), prefs, scores=still)
    solution, _ = fixed.update(Signals(jnp.eye(3)), fixed.init(3))
    np.testing.assert_allclose(solution.weights, prefs, rtol=1e-6)


# GradNorm


def test_gradnorm_matches_its_formula_for_several_steps(key):
    signals, rate, alpha = steps(key), 0.1, 0.7
    actual = run(gradnorm(optax.sgd(rate), alpha=alpha), signals)[0].weights
    w = np.ones(K)
    first = np.asarray(signals.losses[0], float)
    for t in range(6):
        np.testing.assert_allclose(actual[t], w / K, rtol=1e-5)
        norms = np.sqrt(np.diag(np.asarray(signals.gramian[t], float)))
        progress = np.asarray(signals.losses[t], float) / first
        rates = progress / progress.mean()
        sizes = w * norms
        slope = np.sign(sizes - sizes.mean() * rates**alpha) * norms / norms.mean()
        w = np.maximum(w - rate * slope, 0)
        w *= K / w.sum()


def test_gradnorm_with_alpha_zero_levels_the_weighted_norms():
    norms = jnp.array([1.0, 4.0, 10.0])
    signals = Signals(jnp.diag(norms**2), jnp.ones(3))
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (4000, *x.shape)), signals)
    method = gradnorm(optax.sgd(optax.linear_schedule(0.05, 0.0, 4000)), alpha=0.0)
    sizes = run(method, many, 3)[0].weights[-1] * norms
    np.testing.assert_allclose(sizes / sizes.mean(), 1, atol=0.01)


# FAMO


def test_famo_matches_its_formula_for_several_steps(key):
    losses = np.asarray(steps(key).losses, float)
    bound, rate, decay = np.array([0.1, 0.0, -0.2, 0.05]), 0.025, 1e-3
    actual = run(famo(lowest=jnp.asarray(bound)), steps(key))[0].weights
    logits, mean, square = np.zeros(K), np.zeros(K), np.zeros(K)
    logs = np.log(losses - bound + 1e-8)
    for t in range(6):
        if t > 0:
            z = np.exp(logits) / np.exp(logits).sum()
            fell = logs[t - 1] - logs[t]
            slope = (np.diag(z) - np.outer(z, z)) @ fell + decay * logits
            mean = 0.9 * mean + 0.1 * slope
            square = 0.999 * square + 0.001 * slope**2
            best = mean / (1 - 0.9**t), square / (1 - 0.999**t)
            logits = logits - rate * best[0] / (np.sqrt(best[1]) + 1e-8)
        z = np.exp(logits) / np.exp(logits).sum()
        expected = z / np.exp(logs[t]) / (z / np.exp(logs[t])).sum()
        np.testing.assert_allclose(actual[t], expected, rtol=1e-4)


def test_famo_raises_the_logit_of_the_loss_that_falls_least():
    method, eye = famo(), jnp.eye(2)
    _, state = method.update(Signals(eye, jnp.array([1.0, 1.0])), method.init(2))
    _, state = method.update(Signals(eye, jnp.array([0.5, 0.9])), state)
    assert state.logits[1] > 0 > state.logits[0]


def test_famo_weights_do_not_depend_on_the_units_of_a_loss(key):
    # w_k l_k stays as it is, and so does the direction of the gradient of log l_k.
    signals, units = steps(key), jnp.array([1.0, 100.0, 0.1, 7.0])
    first = run(famo(), signals)[0].weights * signals.losses
    scaled = signals._replace(losses=signals.losses * units[None])
    second = run(famo(), scaled)[0].weights * scaled.losses
    share = lambda x: x / x.sum(-1, keepdims=True)
    np.testing.assert_allclose(share(first), share(second), rtol=1e-3)


# DWA


def test_dynamic_average_matches_its_formula():
    losses = np.array([[4.0, 1.0], [2.0, 3.0], [1.0, 2.0], [1.0, 2.0], [3.0, 0.5]])
    signals = Signals(jnp.broadcast_to(jnp.eye(2), (5, 2, 2)), jnp.asarray(losses))
    actual = run(dynamic_average(temperature=0.8), signals, 2)[0].weights
    np.testing.assert_allclose(actual[:2], 0.5)
    for t in range(2, 5):
        scores = [exp(losses[t - 1, k] / losses[t - 2, k] / 0.8) for k in range(2)]
        np.testing.assert_allclose(actual[t], np.divide(scores, sum(scores)), rtol=1e-5)


def test_dynamic_average_compares_the_means_of_epochs():
    losses = jnp.array([[1.0, 2.0], [3.0, 2.0], [1.0, 1.0], [1.0, 2.0], [9.0, 9.0]])
    signals = Signals(jnp.broadcast_to(jnp.eye(2), (5, 2, 2)), losses)
    actual = run(dynamic_average(num_steps=2), signals, 2)[0].weights
    np.testing.assert_allclose(actual[:4], 0.5)
    # Epoch means: 2 and 2, then 1 and 1.5.
    scores = [exp(0.5 / 2), exp(0.75 / 2)]
    np.testing.assert_allclose(actual[4], np.divide(scores, sum(scores)), rtol=1e-6)


# Uncertainty


def test_uncertainty_matches_its_formula():
    losses, rate, factors = [2.0, 0.3], 0.1, [0.5, 1.0]
    method = uncertainty(optax.sgd(rate), factors=jnp.array(factors))
    signals = Signals(
        jnp.broadcast_to(jnp.eye(2), (4, 2, 2)), jnp.tile(jnp.array(losses), (4, 1))
    )
    actual = run(method, signals, 2)[0].weights
    for k in range(2):
        s = 0.0
        for t in range(4):
            np.testing.assert_allclose(actual[t, k], factors[k] * exp(-s), rtol=1e-5)
            s -= rate * (0.5 - factors[k] * exp(-s) * losses[k])


def test_uncertainty_settles_at_half_the_inverse_of_each_loss():
    losses = jnp.array([0.4, 5.0, 1.3])
    signals = Signals(jnp.eye(3), losses)
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (3000, *x.shape)), signals)
    actual = run(uncertainty(optax.sgd(0.05)), many, 3)[0].weights[-1]
    np.testing.assert_allclose(actual, 1 / (2 * losses), rtol=1e-3)


# SDMGrad and MoDo


def test_modo_matches_its_formula(key):
    signals, rate, extra = steps(key), 0.05, 0.1
    method = modo(learning_rate=rate, regularisation=extra)
    actual = run(method, signals)[0].weights
    w = np.full(K, 1 / K)
    for t in range(6):
        v = w - rate * (np.asarray(signals.cross[t], float) @ w + extra * w)
        w = minimize(
            lambda x, v=v: ((x - v) ** 2).sum(),
            w,
            jac=lambda x, v=v: 2 * (x - v),
            bounds=[(0, None)] * K,
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            options={"ftol": 1e-15},
        ).x
        np.testing.assert_allclose(actual[t], w, atol=1e-5)


def test_modo_on_the_full_batch_settles_at_the_least_norm_weights():
    # J = [[-4, 1, 1], [6, 1, 1]]: MGDA has the weights (0.6, 0.4).
    rows = jnp.array([[-4.0, 1, 1], [6, 1, 1]])
    signals = Signals(rows @ rows.T, None, None, rows @ rows.T)
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (3000, *x.shape)), signals)
    weights = run(modo(learning_rate=1e-2), many, 2)[0].weights[-1]
    np.testing.assert_allclose(weights, [0.6, 0.4], atol=1e-5)


def test_sdm_minimises_its_objective_on_the_full_batch(key):
    rows = np.asarray(jax.random.normal(key, (K, 9)), float)
    gram, pull, prefs = rows @ rows.T, 0.3, np.array([0.4, 0.3, 0.2, 0.1])
    method = sdm(jnp.asarray(prefs), regularisation=pull, num_steps=2000)
    signals = Signals(jnp.asarray(gram), None, None, jnp.asarray(gram))
    solution, _ = method.update(signals, method.init(K))
    value = lambda w: (w + pull * prefs) @ gram @ (w + pull * prefs) / 2
    best = minimize(
        value,
        np.full(K, 1 / K),
        bounds=[(0, None)] * K,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
        options={"ftol": 1e-15},
    ).x
    expected = (best + pull * prefs) / (1 + pull)
    np.testing.assert_allclose(solution.weights, expected, atol=1e-4)
    assert solution.residual < 1e-6


def test_sdm_lies_between_least_norm_and_the_preferences():
    rows = jnp.array([[-4.0, 1, 1], [6, 1, 1]])
    signals = Signals(rows @ rows.T, None, None, rows @ rows.T)
    ends = {0.0: [0.6, 0.4], 1e6: [0.8, 0.2]}
    for pull, expected in ends.items():
        method = sdm(jnp.array([0.8, 0.2]), regularisation=pull, num_steps=500)
        solution, _ = method.update(signals, method.init(2))
        np.testing.assert_allclose(solution.weights, expected, atol=1e-4)


def test_projection_is_the_nearest_point_of_the_simplex(key):
    for size in (1e-3, 1.0, 1e3):
        values = size * jax.random.normal(key, (6,))
        wide = np.asarray(values, float)
        with_scipy = minimize(
            lambda x, v=wide: ((x - v) ** 2).sum(),
            np.full(6, 1 / 6),
            bounds=[(0, None)] * 6,
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            options={"ftol": 1e-16, "maxiter": 500},
        ).x
        point = projected(values, jnp.ones(6, bool))
        np.testing.assert_allclose(point, with_scipy, atol=1e-3)
        np.testing.assert_allclose(point.sum(), 1, rtol=1e-6)


# Kept


def test_kept_weights_are_asked_for_every_few_steps(key):
    signals = steps(key, 7)
    weights = run(kept(epo(), 3), signals)[0].weights
    fresh = run(epo(), signals)[0].weights
    for t in range(7):
        np.testing.assert_array_equal(weights[t], fresh[t - t % 3])


def test_kept_weights_are_asked_again_when_other_objectives_are_present(key):
    method, first = kept(constant(), 10), draw(key)
    _, state = method.update(first, method.init(K))
    assert not is_due(state)
    absent = hidden(first, 1)
    assert is_due(state, absent.present)
    solution, state = method.update(absent, state)
    np.testing.assert_allclose(solution.weights, [1 / 3, 0, 1 / 3, 1 / 3], rtol=1e-6)
    assert not is_due(state, absent.present)


def test_keeping_for_no_step_is_refused():
    with pytest.raises(InputError, match="num_steps: found 0, expected at least 1"):
        kept(constant(), 0)
