from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from morl import losses

LOSSES = {
    "bradley_terry": losses.bradley_terry,
    "margin": lambda a, b, m: losses.margin_bradley_terry(a, b, jnp.abs(b), m),
    "squared": losses.squared_error,
    "binary": lambda a, b, m: losses.binary_cross_entropy(a, jax.nn.sigmoid(b), m),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


@every_loss
def test_micro_batches_add_up_to_the_whole(loss, key):
    a, b = jax.random.normal(key, (2, 7))
    mask = jnp.arange(7) % 3 > 0
    parts = [loss(a[s], b[s], mask[s]) for s in (slice(2), slice(2, 7))]
    merged = jax.tree.map(jnp.add, *parts)
    np.testing.assert_allclose(merged.mean, loss(a, b, mask).mean, rtol=1e-6)


@every_loss
def test_masked_entries_may_hold_nan_and_pass_no_gradient(loss):
    a, b = jnp.array([1.0, jnp.nan]), jnp.array([0.5, jnp.nan])
    mask = jnp.array([True, False])
    value, grad = jax.value_and_grad(lambda a: loss(a, b, mask).mean)(a)
    assert jnp.isfinite(value)
    assert jnp.isfinite(grad).all()
    assert grad[1] == 0


@every_loss
def test_nothing_labelled_gives_zero(loss):
    empty = loss(jnp.ones(2), jnp.zeros(2), jnp.zeros(2, bool))
    assert empty.mean == 0
    assert empty.weight == 0


@every_loss
def test_gradient_matches_finite_differences(loss, key):
    with jax.enable_x64(True):
        a, b = jax.random.normal(key, (2, 4), jnp.float64)
        mask = jnp.ones(4, bool)
        value = lambda a: loss(jnp.asarray(a), b, mask).total
        check_grads(value, (a,), order=1, modes=["rev"])


@every_loss
def test_bfloat16_is_summed_in_float32(loss):
    a = jnp.full(4099, 0.25, jnp.bfloat16)
    assert loss(a, jnp.zeros_like(a), jnp.ones(4099, bool)).weight == 4099


def test_bradley_terry_matches_its_formula():
    gaps = (0.3, -1.2)
    expected = sum(log(1 + exp(-gap)) for gap in gaps)
    got = losses.bradley_terry(jnp.array(gaps), jnp.zeros(2), jnp.ones(2, bool))
    np.testing.assert_allclose(got.total, expected, rtol=1e-6)


def test_a_margin_shifts_the_gap_by_scale_times_strength():
    got = losses.margin_bradley_terry(
        jnp.array([2.0]), jnp.zeros(1), jnp.array([3.0]), jnp.ones(1, bool), scale=0.5
    )
    np.testing.assert_allclose(got.total, log(1 + exp(-(2.0 - 1.5))), rtol=1e-6)


def test_bradley_terry_is_finite_at_extremes():
    gap = jnp.array([1e30, -1e30])
    assert jnp.isfinite(losses.bradley_terry(gap, 0 * gap, gap == gap).total)


def test_binary_cross_entropy_matches_its_formula():
    p = 1 / (1 + exp(-0.7))
    expected = -(0.2 * log(p) + 0.8 * log(1 - p))
    got = losses.binary_cross_entropy(
        jnp.array([0.7]), jnp.array([0.2]), jnp.ones(1, bool)
    )
    np.testing.assert_allclose(got.total, expected, rtol=1e-6)


def test_next_token_loss_of_uniform_logits_is_log_vocabulary():
    targets = jnp.array([[1, 99]])
    mask = jnp.array([[True, False]])
    got = losses.next_token_loss(jnp.zeros((1, 2, 8)), targets, mask)
    np.testing.assert_allclose(got.mean, log(8), rtol=1e-6)
