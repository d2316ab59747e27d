from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from morl import losses

ALL = jnp.ones(4, bool)
FAR = jnp.array([-3.0, -0.5, 0.2, 40.0])
CUTS = jnp.array([-1.3, -0.2, 0.1, 2.5])


def test_squared_error_matches_its_formula():
    got = losses.squared_error(FAR, jnp.ones(4), ALL)
    np.testing.assert_allclose(got.total, 16 + 2.25 + 0.64 + 1521, rtol=1e-6)


def test_huber_error_matches_scipy():
    got = losses.huber_error(FAR, jnp.zeros(4), ALL, delta=0.7)
    expected = scipy.special.huber(0.7, np.array(FAR)).sum()
    np.testing.assert_allclose(got.total, expected, rtol=1e-6)


def test_huber_error_within_delta_is_half_the_squared_error():
    got = losses.huber_error(FAR, jnp.zeros(4), ALL, delta=50.0)
    half = losses.squared_error(FAR, jnp.zeros(4), ALL).total / 2
    np.testing.assert_allclose(got.total, half, rtol=1e-6)


def test_no_score_pulls_harder_than_delta():
    loss = lambda r: losses.huber_error(r, jnp.zeros(4), ALL, delta=0.7).total
    np.testing.assert_allclose(
        jax.jit(jax.grad(loss))(FAR), [-0.7, -0.5, 0.2, 0.7], rtol=1e-6
    )


def test_binary_cross_entropy_matches_its_formula():
    p = 1 / (1 + exp(-0.7))
    expected = -(0.2 * log(p) + 0.8 * log(1 - p))
    got = losses.binary_cross_entropy(
        jnp.array([0.7]), jnp.array([0.2]), jnp.ones(1, bool)
    )
    np.testing.assert_allclose(got.total, expected, rtol=1e-6)


def test_binary_cross_entropy_curves_at_zero_as_a_logistic_does():
    loss = lambda z: losses.binary_cross_entropy(z[None], z[None] * 0, ALL[:1]).total
    assert jax.jit(jax.grad(jax.grad(loss)))(jnp.float32(0)) == 0.25


@jax.jit
def grades(reward, cuts=CUTS):
    """The loss of each category in turn for one reward."""
    count = cuts.size + 1
    each = lambda category: losses.ordinal_loss(
        jnp.full(1, reward), category[None], cuts, jnp.ones(1, bool)
    )
    return jax.vmap(each)(jnp.arange(count)).total


def test_the_probabilities_of_all_categories_add_to_one():
    for reward in (-30.0, -1.0, 0.0, 5.0):
        np.testing.assert_allclose(jnp.exp(-grades(reward)).sum(), 1, rtol=1e-5)


def test_ordinal_loss_matches_differences_of_scipys_logistic():
    below = scipy.special.expit(np.array([-np.inf, *CUTS.tolist(), np.inf]) - 0.4)
    np.testing.assert_allclose(grades(0.4), -np.log(np.diff(below)), rtol=1e-5)


def test_ordinal_loss_is_right_where_a_difference_of_probabilities_would_be_zero():
    # exp(lower - r) - exp(upper - r), up to a term that is exp(-90) of it.
    expected = 90 - np.log(np.exp(0.1) - np.exp(-0.2))
    np.testing.assert_allclose(grades(90.0)[2], expected, rtol=1e-6)


def test_two_categories_are_binary_cross_entropy():
    cut, rewards = jnp.array([0.4]), FAR[:3]
    labels = jnp.array([0, 1, 1])
    got = losses.ordinal_loss(rewards, labels, cut, ALL[:3])
    plain = losses.binary_cross_entropy(rewards - cut, labels.astype(float), ALL[:3])
    np.testing.assert_allclose(got, plain, rtol=1e-6)


def test_ordinal_loss_does_not_see_a_shift_of_rewards_and_thresholds():
    np.testing.assert_allclose(grades(1.4, CUTS + 1), grades(0.4), rtol=1e-5)


def test_ordinal_loss_has_a_finite_second_derivative():
    # The outer bounds are infinite, and must not reach it.
    loss = lambda cuts: jnp.sum(grades(0.4, cuts))
    assert jnp.isfinite(jax.jit(jax.hessian(loss))(CUTS)).all()


def test_ordered_thresholds_increase_and_are_undone_by_their_inverse():
    free = jnp.array([-2.0, -10.0, 0.0, 3.0])
    cuts = losses.ordered_thresholds(free)
    assert (jnp.diff(cuts) > 0).all()
    assert cuts[0] == free[0]
    np.testing.assert_allclose(jnp.log(jnp.expm1(jnp.diff(cuts))), free[1:], rtol=1e-3)
