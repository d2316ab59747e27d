"""What every weighting keeps to: what counts and is not finite shows in the answer."""

import inspect
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import weighting
from morl.errors import InputError
from morl.weighting import Signals
from morl.weighting.contract import checked_prefs, positive_prefs, preferences

K = 3
# What each weighting reads, whose entries it has to show where they are not finite.
READS = {
    "min_norm": ("gramian",),
    "pcgrad": ("gramian",),
    "cagrad": ("gramian",),
    "nash": ("gramian",),
    "fair": ("gramian",),
    "imtl": ("gramian",),
    "aligned": ("gramian",),
    "upgrad": ("gramian",),
    "dual_projection": ("gramian",),
    "config": ("gramian",),
    "raco": ("gramian",),
    "constant": (),
    "random_simplex": (),
    "gradnorm": ("gramian", "losses"),
    "famo": ("losses",),
    "dynamic_average": ("losses",),
    "uncertainty": ("losses",),
    "sdm": ("cross",),
    "modo": ("cross",),
    "epo": ("gramian", "losses"),
}
every_weighting = pytest.mark.parametrize("name", READS)


@cache
def made(name):
    factory = getattr(weighting, name)
    keyed = "key" in inspect.signature(factory).parameters
    method = factory(jax.random.key(1)) if keyed else factory()
    return method._replace(update=jax.jit(method.update))


def good(seed):
    draws = np.random.default_rng(seed)
    rows = draws.standard_normal((K, 5))
    square = jnp.asarray(rows @ rows.T, jnp.float32)
    losses = jnp.asarray(draws.uniform(0.5, 2, K), jnp.float32)
    return Signals(square, losses, jnp.ones(K, bool), square)


def spoilt(signals, name):
    """The same signals with one of them not finite, in every way that there is."""
    value = getattr(signals, name)
    for bad in (jnp.nan, jnp.inf, -jnp.inf):
        if value.ndim == 1:
            yield signals._replace(**{name: value.at[1].set(bad)})
            continue
        for index in ((1,), (1, 1), (0, 2)):
            entry = value.at[index].set(bad)
            yield signals._replace(**{name: entry.at[index[::-1]].set(bad)})


@every_weighting
def test_what_counts_and_is_not_finite_is_seen_in_the_answer(name):
    method = made(name)
    for read in READS[name]:
        for signals in spoilt(good(0), read):
            solution, _ = method.update(signals, method.init(K))
            assert jnp.isnan(solution.weights).all(), (read, signals)
            assert solution.residual == jnp.inf, (read, signals)


@every_weighting
def test_what_is_absent_has_no_weight_beside_what_is_not_finite(name):
    method = made(name)
    present = jnp.array([True, True, False])
    for read in READS[name]:
        signals = next(spoilt(good(0), read))._replace(present=present)
        solution, _ = method.update(signals, method.init(K))
        np.testing.assert_array_equal(solution.weights, [jnp.nan, jnp.nan, 0])


@every_weighting
def test_the_steps_after_one_that_is_not_finite_are_as_if_it_had_not_been(name):
    method = made(name)
    _, before = method.update(good(0), method.init(K))
    after = before
    for read in READS[name]:
        for signals in spoilt(good(1), read):
            _, after = method.update(signals, after)
    for seed in (2, 3, 4):
        expected, before = method.update(good(seed), before)
        found, after = method.update(good(seed), after)
        np.testing.assert_array_equal(found.weights, expected.weights)
        assert jnp.isfinite(found.residual)


@every_weighting
def test_what_is_not_read_may_hold_anything(name):
    method = made(name)
    expected, _ = method.update(good(0), method.init(K))
    for other in {"gramian", "losses", "cross"} - set(READS[name]):
        signals = next(spoilt(good(0), other))
        found, _ = method.update(signals, method.init(K))
        np.testing.assert_array_equal(found.weights, expected.weights)


def test_an_answer_that_is_not_finite_is_not_kept():
    method = weighting.kept(weighting.famo(), 10)
    bad = next(spoilt(good(0), "losses"))
    solution, state = method.update(bad, method.init(K))
    assert solution.residual == jnp.inf
    assert weighting.is_due(state)
    solution, state = method.update(good(0), state)
    assert jnp.isfinite(solution.weights).all()
    assert not weighting.is_due(state)


# Preferences

PREFER = [
    "cagrad",
    "raco",
    "aligned",
    "upgrad",
    "dual_projection",
    "constant",
    "random_simplex",
    "sdm",
    "config",
]
every_preferring = pytest.mark.parametrize("name", PREFER)


def preferring(name, prefs):
    key = [jax.random.key(1)] if name == "random_simplex" else []
    return getattr(weighting, name)(*key, prefs=prefs)


@every_preferring
def test_preferences_that_no_method_could_follow_are_refused_when_it_is_made(name):
    wrong = "expected finite numbers that are at least 0, and one above"
    for prefs in ([-1, 1, 1], [0.0, 0, 0], [np.nan, 1, 1], [np.inf, 1, 1]):
        for given in (prefs, np.array(prefs), jnp.array(prefs)):
            with pytest.raises(InputError, match=f"weighting {name}: prefs.*{wrong}"):
                preferring(name, given)
    with pytest.raises(InputError, match="expected one entry an objective"):
        preferring(name, np.ones((3, 1)))


@every_preferring
def test_lists_and_integers_are_preferences_and_traced_ones_pass(name):
    @jax.jit
    def traced(prefs):
        method = preferring(name, prefs)
        return method.update(good(0), method.init(K))[0].weights

    assert jnp.isfinite(traced(jnp.array([3.0, 2, 1]))).all()
    assert jnp.isnan(traced(jnp.array([jnp.nan, 1, 1]))).all()
    for prefs in ([3, 2, 1], (3.0, 2.0, 1.0), np.array([3, 2, 1])):
        method = preferring(name, prefs)
        solution, _ = jax.eval_shape(method.update, good(0), method.init(K))
        assert solution.weights.dtype == jnp.float32
        weights = preferences(checked_prefs(prefs, name), good(0))
        np.testing.assert_array_equal(weights, [3, 2, 1])


def test_a_method_without_use_for_zero_refuses_it():
    np.testing.assert_array_equal(positive_prefs([1, 2], "epo"), [1, 2])
    with pytest.raises(InputError, match=r"weighting epo: prefs.*numbers above 0"):
        positive_prefs([1.0, 0.0], "epo")
