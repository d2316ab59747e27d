from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import losses

ONE = jnp.ones(1, bool)
BETTER, WORSE = jnp.array([[0.5, -0.2, 0.9]]), jnp.array([[0.1, 0.4, 0.3]])
LONG, SHORT = jnp.array([[True, True, True]]), jnp.array([[True, False, False]])

LOSSES = {
    "aggregated": losses.token_aggregated,
    "stepwise": losses.token_stepwise,
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def softplus(x):
    return log(1 + exp(x))


@every_loss
def test_responses_of_one_token_are_bradley_terry(loss):
    better, worse = jnp.array([[0.3], [-1.2]]), jnp.array([[0.1], [2.0]])
    token, pairs = jnp.ones((2, 1), bool), jnp.ones(2, bool)
    plain = losses.bradley_terry(better[:, 0], worse[:, 0], pairs)
    np.testing.assert_array_equal(loss(better, worse, token, token, pairs), plain)


@every_loss
def test_scores_that_are_not_of_a_token_may_be_nan(loss):
    holed = jnp.where(SHORT, BETTER, jnp.nan)
    value = lambda q: loss(q, WORSE, SHORT, LONG, ONE).total
    total, slope = jax.value_and_grad(value)(holed)
    np.testing.assert_allclose(total, value(jnp.where(SHORT, BETTER, 7)), rtol=1e-6)
    assert jnp.isfinite(slope).all()
    assert not slope[~SHORT].any()


def test_the_aggregated_loss_is_bradley_terry_on_sums():
    got = losses.token_aggregated(BETTER, WORSE, LONG, SHORT, ONE)
    np.testing.assert_allclose(got, (softplus(-(1.2 - 0.1)), 1), rtol=1e-6)


def test_the_stepwise_loss_pads_the_shorter_response_with_zeros():
    got = losses.token_stepwise(BETTER, WORSE, SHORT, LONG, ONE)
    expected = softplus(0.1 - 0.5) + softplus(0.4) + softplus(0.3)
    np.testing.assert_allclose(got, (expected, 1), rtol=1e-6)


def test_positions_beyond_both_responses_add_nothing():
    got = losses.token_stepwise(BETTER, WORSE, SHORT, SHORT, ONE)
    np.testing.assert_allclose(got.total, softplus(0.1 - 0.5), rtol=1e-6)


def test_an_aggregated_response_may_be_of_another_width():
    wide = jnp.pad(WORSE, ((0, 0), (0, 5)), constant_values=jnp.nan)
    tokens = jnp.pad(LONG, ((0, 0), (0, 5)))
    got = losses.token_aggregated(BETTER, wide, LONG, tokens, ONE)
    same = losses.token_aggregated(BETTER, WORSE, LONG, LONG, ONE)
    np.testing.assert_allclose(got, same, rtol=1e-6)
