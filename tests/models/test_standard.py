"""Heads that learned from standardised features, on features as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.models.heads import (
    States,
    ensemble,
    estimates,
    fit_standard,
    folded,
    gated,
    gaussian,
    linear,
    mlp,
    quantile,
    standardised,
)

WIDTH = 6
RAW = np.float32(np.random.default_rng(0).normal(3.0, 7.0, (40, WIDTH)))


def test_standardised_features_have_mean_0_and_deviation_1():
    found = standardised(RAW, fit_standard(RAW))
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-5)


def test_a_constant_feature_is_0_and_not_divided_by_nothing():
    flat = RAW.copy()
    flat[:, 2] = 112.0
    assert np.all(standardised(flat, fit_standard(flat))[:, 2] == 0)


@pytest.mark.parametrize(
    "head", [linear(), mlp(5), quantile([0.2, 0.8]), gaussian(), ensemble(3)]
)
def test_folded_heads_say_the_same_of_features_as_they_are(head):
    standard = fit_standard(RAW)
    params = head.init(jax.random.key(0), WIDTH, 3)
    read = lambda params, x: estimates(head, head.read(params, States(jnp.asarray(x))))
    expected = read(params, standardised(RAW, standard))
    found = read(folded(params, standard), RAW)
    np.testing.assert_allclose(found.mean, expected.mean, atol=2e-5)
    np.testing.assert_allclose(found.deviation, expected.deviation, atol=2e-5)


def test_of_gated_heads_the_gate_is_folded_and_the_heads_stay():
    standard, head = fit_standard(RAW), gated(linear(), hidden_width=4)
    params = head.init(jax.random.key(0), WIDTH, 3)
    plain = States(jnp.asarray(RAW), jnp.asarray(standardised(RAW, standard)))
    expected = head.read(params, plain)
    found = head.read(folded(params, standard), plain._replace(prompt=jnp.asarray(RAW)))
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_allclose(found.gate, expected.gate, atol=2e-5)


def test_parameters_of_nothing_are_refused():
    with pytest.raises(TypeError, match="found tuple, expected parameters of heads"):
        folded((), fit_standard(RAW))
