"""What every weighting keeps to: what counts and is not finite is seen in its answer."""

import inspect
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import weighting
from morl.weighting import Signals

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
