"""Readings that are averse to risk, by their laws, for every kind of head."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from morl.errors import InputError
from morl.models.heads import (
    Readings,
    States,
    ensemble,
    estimates,
    gated,
    gaussian,
    linear,
    low_quantile,
    mean_minus_variance,
    quantile,
    worst_case,
)

KINDS = {
    "linear": linear(),
    "quantile": quantile(),
    "gaussian": gaussian(),
    "ensemble": ensemble(5),
    "gated": gated(quantile(), hidden_width=4),
}
BOUNDED = sorted(KINDS.keys() - {"gaussian"})


@functools.cache
def read(kind):
    """Readings ``[4, 3, m]`` of heads that know different amounts."""
    head = KINDS[kind]
    first, second, third = jax.random.split(jax.random.key(0), 3)
    states = States(jax.random.normal(first, (4, 6)), jax.random.normal(third, (4, 6)))
    return head, head.read(head.init(second, 6, 3), states)


@pytest.mark.parametrize("kind", BOUNDED)
def test_the_worst_case_is_no_better_than_a_low_quantile(kind):
    worst, low = worst_case(*read(kind)), low_quantile(*read(kind), level=0.1)
    assert worst.shape == low.shape == (4, 3)
    assert (worst <= low + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_low_quantile_of_what_is_symmetric_is_no_better_than_the_mean(kind):
    head, readings = read(kind)
    if kind in ("ensemble", "quantile", "gated"):
        values = readings.values
        readings = Readings((values - values[..., ::-1]) / 2 + 3)
    mean = estimates(head, readings).mean
    assert (low_quantile(head, readings, level=0.1) <= mean + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantile_rises_with_its_level(kind):
    found = [low_quantile(*read(kind), level=level) for level in (0.05, 0.3, 0.9)]
    assert (np.diff(found, axis=0) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_aversion_reads_the_mean_and_more_of_it_no_more_reward(kind):
    head, readings = read(kind)
    mean, deviation = estimates(head, readings)
    np.testing.assert_array_equal(
        mean_minus_variance(head, readings, aversion=0.0), mean
    )
    averse = mean_minus_variance(head, readings, aversion=2.0)
    np.testing.assert_allclose(averse, mean - 2 * deviation**2, rtol=1e-5)


def test_heads_that_know_no_deviation_read_the_same_at_any_aversion():
    head, readings = read("linear")
    mean = estimates(head, readings).mean
    for found in (
        worst_case(head, readings),
        low_quantile(head, readings, level=0.01),
        mean_minus_variance(head, readings, aversion=9.0),
    ):
        np.testing.assert_array_equal(found, mean)


def test_the_worst_case_of_an_ensemble_is_its_least_member():
    head, readings = read("ensemble")
    np.testing.assert_array_equal(
        worst_case(head, readings), readings.values.min(axis=-1)
    )


def test_a_gaussian_quantile_is_that_of_scipy():
    head, readings = read("gaussian")
    mean, deviation = estimates(head, readings)
    found = low_quantile(head, readings, level=0.05)
    np.testing.assert_allclose(found, norm(mean, deviation).ppf(0.05), rtol=1e-4)


def test_a_gaussian_head_has_no_worst_case():
    with pytest.raises(InputError, match=r"no least one \(gaussian\).*low_quantile"):
        worst_case(*read("gaussian"))


def test_a_level_that_is_no_share_is_refused():
    with pytest.raises(InputError, match=r"level: found 1.5, expected .*\[0, 1\]"):
        low_quantile(*read("linear"), level=1.5)


def test_an_aversion_and_a_level_may_be_traced():
    head, readings = read("quantile")
    both = jax.jit(
        lambda x: (
            low_quantile(head, readings, level=x),
            mean_minus_variance(head, readings, aversion=x),
        )
    )(jnp.float32(0.2))
    np.testing.assert_allclose(
        both[0], low_quantile(head, readings, level=0.2), rtol=1e-5
    )
    np.testing.assert_allclose(
        both[1], mean_minus_variance(head, readings, aversion=0.2), rtol=1e-5
    )
