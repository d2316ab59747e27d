from math import exp, log, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.stats

from morl import losses

ONE = jnp.ones(1, bool)


def test_the_pinball_loss_of_a_median_is_half_the_absolute_error():
    readings, scores = jnp.array([[1.0], [-2.0]]), jnp.array([4.0, 0.5])
    got = losses.pinball_loss(readings, scores, jnp.array([0.5]), jnp.ones(2, bool))
    np.testing.assert_allclose(got.total, (3.0 + 2.5) / 2, rtol=1e-6)


def test_the_pinball_loss_is_least_at_the_empirical_quantile(key):
    scores = jax.random.normal(key, (101,))

    @jax.jit
    def loss(reading, level):
        readings, all_of_them = jnp.full((101, 1), reading), jnp.ones(101, bool)
        return losses.pinball_loss(readings, scores, level[None], all_of_them).total

    for level in (0.1, 0.5, 0.85):
        # The sum bends at observations alone, so that its minimum is at one of them.
        tried = jax.vmap(loss, (0, None))(scores, jnp.float32(level))
        # No level times 101 is whole, so that every convention takes the same one.
        expected = np.quantile(scores, level, method="inverted_cdf")
        np.testing.assert_array_equal(scores[tried.argmin()], expected)


def test_the_pinball_loss_matches_its_formula_and_is_a_mean_over_levels():
    got = losses.pinball_loss(
        jnp.array([[1.0, 5.0]]), jnp.array([3.0]), jnp.array([0.2, 0.7]), ONE
    )
    np.testing.assert_allclose(got, ((0.2 * 2 + 0.3 * 2) / 2, 1), rtol=1e-6)


def test_gaussian_nll_matches_scipy():
    means, logs, scores = jnp.array([[0.3, -1.0], [0.2, -2.0], [1.0, -0.5]])
    got = losses.gaussian_nll(means, logs, scores, jnp.ones(2, bool))
    density = scipy.stats.norm(means, np.exp(np.array(logs) / 2))
    np.testing.assert_allclose(got.total, -density.logpdf(scores).sum(), rtol=1e-6)


def test_without_variance_the_log_odds_are_the_gap():
    mean, zero = jnp.array([3.0, -1.0]), jnp.zeros(2)
    got = losses.gaussian_log_odds(mean, zero, zero, zero)
    np.testing.assert_array_equal(got, mean)


def test_variance_draws_the_log_odds_towards_even_and_never_across():
    mean, var = jnp.array([3.0, -1.0]), jnp.array([1e30, 4.0])
    got = losses.gaussian_log_odds(mean, 0 * mean, var, var)
    assert (jnp.sign(got) == jnp.sign(mean)).all()
    assert (jnp.abs(got) < jnp.abs(mean)).all()


def test_gaussian_log_odds_match_their_formula():
    got = losses.gaussian_log_odds(*(jnp.float32(z) for z in (2.0, 0.5, 0.3, 1.2)))
    np.testing.assert_allclose(got, 1.5 / sqrt(1 + pi / 8 * 1.5), rtol=1e-6)


def test_gaussian_log_odds_are_near_the_integral_that_they_stand_for():
    for mean in (0.0, 0.5, 2.0, 6.0):
        for var in (0.1, 1.0, 4.0, 25.0):
            gap = scipy.stats.norm(mean, sqrt(var))
            ends = mean - 12 * sqrt(var), mean + 12 * sqrt(var)
            exact, _ = scipy.integrate.quad(
                lambda d, gap=gap: gap.pdf(d) / (1 + exp(-d)), *ends
            )
            arguments = (mean, 0.0, var / 2, var / 2)
            got = losses.gaussian_log_odds(*(jnp.float32(z) for z in arguments))
            assert abs(jax.nn.sigmoid(got) - exact) < 0.02


def test_quantile_log_odds_match_their_formula():
    better, worse = [0.3, 1.5, 2.0], [-1.0, 0.2, 4.0]
    wins = [1 / (1 + exp(b - a)) for a in better for b in worse]
    mean = sum(wins) / 9
    got = losses.quantile_log_odds(jnp.array(better), jnp.array(worse))
    np.testing.assert_allclose(got, log(mean / (1 - mean)), rtol=1e-5)


def test_quantile_log_odds_change_sign_when_the_pair_is_reversed(key):
    better, worse = 5 * jax.random.normal(key, (2, 6, 9))
    there = losses.quantile_log_odds(better, worse)
    back = losses.quantile_log_odds(worse, better)
    np.testing.assert_allclose(there, -back, rtol=1e-5, atol=1e-6)


def test_the_log_odds_of_one_quantile_are_the_gap():
    gap = jnp.array([[-1e30], [-200.0], [-0.5], [0.0], [90.0], [1e30]])
    got = losses.quantile_log_odds(gap, 0 * gap)
    np.testing.assert_allclose(got, gap[:, 0], rtol=1e-6, atol=1e-7)


def test_fine_quantiles_of_gaussians_agree_with_the_gaussian_log_odds():
    levels = (np.arange(64) + 0.5) / 64
    better = jnp.asarray(scipy.stats.norm(1.0, 1.5).ppf(levels), jnp.float32)
    worse = jnp.asarray(scipy.stats.norm(0.0, 0.5).ppf(levels), jnp.float32)
    got = jax.nn.sigmoid(losses.quantile_log_odds(better, worse))
    moments = (jnp.float32(z) for z in (1.0, 0.0, 2.25, 0.25))
    expected = jax.nn.sigmoid(losses.gaussian_log_odds(*moments))
    np.testing.assert_allclose(got, expected, atol=0.02)
