import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.numerics import (
    interval,
    length,
    masked_mean,
    masked_sum,
    resample_counts,
    resampled_means,
)


def test_padding_may_hold_nan():
    values, mask = jnp.array([1.0, 3.0, jnp.nan]), jnp.array([True, True, False])
    assert masked_sum(values, mask).mean == 2
    assert masked_mean(values, mask) == 2


def test_the_weight_of_padding_may_be_nan_and_passes_no_gradient():
    weights, mask = jnp.array([1.0, jnp.nan]), jnp.array([True, False])
    total = lambda values: masked_sum(values, mask, weights).total
    assert total(jnp.ones(2)) == 1
    assert jax.grad(total)(jnp.ones(2)).tolist() == [1, 0]


def test_an_empty_mask_gives_zero():
    values, mask = jnp.full(2, jnp.nan), jnp.zeros(2, bool)
    assert masked_sum(values, mask).mean == 0
    assert masked_mean(values, mask) == 0


def test_weights_count_as_repetitions():
    values = jnp.array([1.0, 4.0])
    got = masked_sum(values, jnp.ones(2, bool), jnp.array([3.0, 1.0]))
    assert got.mean == np.mean([1, 1, 1, 4])


def test_lengths_see_what_is_not_finite_and_do_not_overflow():
    rows = [[jnp.inf, 1, 0], [-jnp.inf, jnp.nan, 0], [0, 0, 0], [3e30, 4e30, 0]]
    fn = jax.jit(jax.vmap(lambda order: length(jnp.array(rows), order)))
    expected = [[np.inf, np.nan, 0, 7e30], [np.inf, np.nan, 0, 5e30]]
    np.testing.assert_allclose(fn(jnp.array([1.0, 2.0])), expected, rtol=1e-6)


def test_every_resample_draws_as_many_units_as_there_are():
    counts = resample_counts(17, num_resamples=50, seed=3)
    assert (counts.sum(axis=1) == 17).all()


def test_resampled_means_equal_means_of_drawn_rows():
    values = np.random.default_rng(0).normal(size=(9, 2))
    counts = resample_counts(9, num_resamples=4)
    expected = [np.repeat(values, count, axis=0).mean(axis=0) for count in counts]
    np.testing.assert_allclose(resampled_means(values, counts), expected)


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        counts = resample_counts(60, seed=trial)
        low, high = interval(resampled_means(rng.normal(size=60), counts))
        hits += low <= 0 <= high
    assert hits / 200 == pytest.approx(0.95, abs=0.05)


def test_units_without_a_value_are_left_out():
    values = np.array([1.0, np.nan, 1.0])
    means = resampled_means(values, resample_counts(3, num_resamples=30))
    assert np.nanmin(means) == np.nanmax(means) == 1
    assert (interval(means) == 1).all()
