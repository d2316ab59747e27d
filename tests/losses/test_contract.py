"""The contract of every loss: one table, every member, the same questions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import losses


def grade(y):
    return (y > -0.5).astype(jnp.int32) + (y > 0.5).astype(jnp.int32)


def ranked(x, y, mask, _, weights=None):
    ranks = jnp.argsort(jnp.nan_to_num(y), axis=-1) % 2
    listed = jnp.broadcast_to(mask[:, None], x.shape)
    return losses.plackett_luce(x, ranks, listed, weights=weights)


def tokens(loss):
    def fn(x, y, mask, _, weights=None):
        first = jnp.broadcast_to(jnp.array([[True, True, False]]), x.shape)
        second = jnp.broadcast_to(jnp.array([[True, False, False]]), x.shape)
        return loss(x, y, first, second, mask, weights=weights)

    return fn


# Rows of ``x`` and ``y`` are examples; ``p`` is a parameter that they share, if any.
LOSSES = {
    "squared_error": lambda x, y, mask, _, weights=None: losses.squared_error(
        x[:, 0], y[:, 0], mask, weights=weights
    ),
    "huber_error": lambda x, y, mask, p, weights=None: losses.huber_error(
        x[:, 0], y[:, 0], mask, delta=p, weights=weights
    ),
    "binary_cross_entropy": lambda x, y, mask, _, weights=None: (
        losses.binary_cross_entropy(x[:, 0], y[:, 1], mask, weights=weights)
    ),
    "ordinal_loss": lambda x, y, mask, p, weights=None: losses.ordinal_loss(
        x[:, 0], grade(y[:, 0]), jnp.stack([-p, p]), mask, weights=weights
    ),
    "pinball_loss": lambda x, y, mask, _, weights=None: losses.pinball_loss(
        x, y[:, 0], jnp.array([0.125, 0.5, 0.875]), mask, weights=weights
    ),
    "gaussian_nll": lambda x, y, mask, _, weights=None: losses.gaussian_nll(
        x[:, 0], x[:, 1], y[:, 0], mask, weights=weights
    ),
    "gaussian_log_odds": lambda x, y, mask, _, weights=None: (
        losses.binary_cross_entropy(
            losses.gaussian_log_odds(x[:, 0], y[:, 0], y[:, 1], y[:, 2], mask=mask),
            jnp.full_like(x[:, 0], 0.75),
            mask,
            weights=weights,
        )
    ),
    "quantile_log_odds": lambda x, y, mask, _, weights=None: (
        losses.binary_cross_entropy(
            losses.quantile_log_odds(x, y, mask=mask),
            jnp.full_like(x[:, 0], 0.75),
            mask,
            weights=weights,
        )
    ),
    "bradley_terry": lambda x, y, mask, _, weights=None: losses.bradley_terry(
        x[:, 0], y[:, 0], mask, weights=weights
    ),
    "margin_bradley_terry": lambda x, y, mask, p, weights=None: (
        losses.margin_bradley_terry(
            x[:, 0], y[:, 0], y[:, 1], mask, scale=p, weights=weights
        )
    ),
    "scaled_bradley_terry": lambda x, y, mask, _, weights=None: (
        losses.scaled_bradley_terry(x[:, 0], y[:, 0], y[:, 1], mask, weights=weights)
    ),
    "label_smoothing": lambda x, y, mask, p, weights=None: losses.soft_bradley_terry(
        x[:, 0], y[:, 0], p, mask, weights=weights
    ),
    "soft_labels": lambda x, y, mask, _, weights=None: losses.soft_bradley_terry(
        x[:, 0], y[:, 0], y[:, 1], mask, weights=weights
    ),
    "rao_kupper": lambda x, y, mask, p, weights=None: losses.rao_kupper(
        x[:, 0], y[:, 0], y[:, 1] > 0.5, mask, threshold=p, weights=weights
    ),
    "davidson": lambda x, y, mask, p, weights=None: losses.davidson(
        x[:, 0], y[:, 0], y[:, 1] > 0.5, mask, tie_reward=p, weights=weights
    ),
    "plackett_luce": ranked,
    "token_aggregated": tokens(losses.token_aggregated),
    "token_stepwise": tokens(losses.token_stepwise),
}
# A squared distance of 1e30 is beyond float32.
SQUARES = ("squared_error", "gaussian_nll")

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
# What compiles a program of its own: some losses fast, the others among slow tests.
FAST = ("squared_error", "bradley_terry", "ordinal_loss", "plackett_luce")
every_loss_in_time = pytest.mark.parametrize(
    "loss",
    [
        pytest.param(loss, id=name, marks=() if name in FAST else pytest.mark.slow)
        for name, loss in LOSSES.items()
    ],
)
P = jnp.float32(0.7)
ROWS = 7


def total_and_weight(loss, x, y, p, weights, mask):
    return tuple(loss(x, y, mask, p, weights))


# One shape and one signature throughout, so that each is compiled once.
SLOPES = {
    loss: jax.jit(
        jax.value_and_grad(
            partial(total_and_weight, loss), argnums=(0, 1, 2, 3), has_aux=True
        )
    )
    for loss in LOSSES.values()
}


def draw(key):
    """Columns of ``y`` but the first are in [0, 1]: labels, variances, strengths."""
    x, y = jax.random.normal(key, (2, ROWS, 3))
    shares = jax.random.uniform(jax.random.fold_in(key, 1), (ROWS, 3))
    return x, y.at[:, 1:].set(shares[:, 1:]), shares[:, 0] + 0.5


def finite(tree):
    return all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


@every_loss
def test_micro_batches_with_nan_in_their_padding_add_up_to_the_whole(loss, key):
    x, y, weights = draw(key)
    mask = jnp.arange(ROWS) % 4 > 0
    (total, weight), slopes = SLOPES[loss](x, y, P, weights, mask)
    parts = []
    for part in (mask & (jnp.arange(ROWS) < 3), mask & (jnp.arange(ROWS) >= 3)):
        holed = (jnp.where(part[:, None], z, jnp.nan) for z in (x, y))
        parts.append(SLOPES[loss](*holed, P, jnp.where(part, weights, jnp.nan), part))
    merged = jax.tree.map(jnp.add, *parts)
    assert finite(merged)
    np.testing.assert_allclose(merged[0], (total, weight), rtol=1e-5)
    for part, whole in zip(merged[1], slopes, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-6)
    assert not slopes[0][~mask].any()


@every_loss
def test_nothing_labelled_gives_zero_even_of_nan(loss):
    hole, none = jnp.full((ROWS, 3), jnp.nan), jnp.zeros(ROWS, bool)
    (total, weight), slopes = SLOPES[loss](hole, hole, P, hole[:, 0], none)
    assert total == weight == 0
    assert not any(slope.any() for slope in slopes)


@every_loss
def test_a_weight_of_two_equals_the_row_twice(loss, key):
    x, y, _ = draw(key)
    x, y = x.at[-1].set(x[0]), y.at[-1].set(y[0])
    one, once = jnp.ones(ROWS), jnp.arange(ROWS) < ROWS - 1
    twice = SLOPES[loss](x, y, P, one, once | True)[0]
    weighted = SLOPES[loss](x, y, P, one.at[0].set(2), once)[0]
    np.testing.assert_allclose(weighted, twice, rtol=1e-6)


@every_loss_in_time
def test_vmap_under_jit_matches_a_loop_in_which_every_weight_is_one(loss, key):
    x, y = jax.random.normal(key, (2, 4, ROWS, 3))
    mask = jax.random.bernoulli(key, 0.6, (4, ROWS))
    batched = jax.jit(jax.vmap(loss, (0, 0, 0, None)))(x, y, mask, P)
    rows, one = zip(x, y, mask, strict=True), jnp.ones(ROWS)
    looped = [SLOPES[loss](x, y, P, one, mask)[0] for x, y, mask in rows]
    np.testing.assert_allclose(jnp.stack(batched, -1), jnp.array(looped), rtol=1e-5)
    assert (batched.weight == mask.sum(-1)).all()


@every_loss_in_time
def test_gradients_match_finite_differences(loss, key):
    with jax.enable_x64(True):
        x, y, weights = (jnp.asarray(z, jnp.float64) for z in draw(key))
        at = (x, y, jnp.float64(0.7), weights)
        mask = jnp.arange(ROWS) > 1
        keys = jax.random.split(key, 4)
        step = [
            1e-6 * jax.random.normal(k, z.shape, jnp.float64)
            for k, z in zip(keys, at, strict=True)
        ]
        above = SLOPES[loss](*jax.tree.map(jnp.add, at, tuple(step)), mask)[0][0]
        below = SLOPES[loss](*jax.tree.map(jnp.subtract, at, tuple(step)), mask)[0][0]
        slopes = SLOPES[loss](*at, mask)[1]
        rise = 2 * sum(jnp.vdot(a, b) for a, b in zip(slopes, step, strict=True))
        np.testing.assert_allclose(above - below, rise, rtol=1e-6)


@every_loss_in_time
def test_bfloat16_is_read_and_summed_in_float32(loss, key):
    x, y = (z.astype(jnp.bfloat16) for z in draw(key)[:2])
    # bfloat16 can neither hold 2100 nor count to it.
    many = (jnp.tile(z, (300, 1)) for z in (x, y))
    narrow = jax.jit(loss)(*many, jnp.ones(2100, bool), jnp.bfloat16(0.5))
    assert narrow.total.dtype == narrow.weight.dtype == jnp.float32
    x, y = (z.astype(jnp.float32) for z in (x, y))
    one = jnp.ones(ROWS)
    (total, _), _ = SLOPES[loss](x, y, jnp.float32(0.5), one, one > 0)
    assert narrow.weight == 2100
    np.testing.assert_allclose(narrow.total, 300 * total, rtol=1e-5)


@every_loss
@pytest.mark.parametrize("kind", [jnp.float32, jnp.bfloat16])
def test_no_dtype_is_promoted_by_accident(loss, kind):
    rows, mask = jnp.ones((ROWS, 3), kind), jnp.ones(ROWS, bool)
    with jax.numpy_dtype_promotion("strict"):
        loss_of = lambda x: loss(x, x, mask, P)
        assert jax.eval_shape(loss_of, rows).total.dtype == jnp.float32


@every_loss
def test_value_and_gradients_are_finite_at_zero_ties_and_extremes(loss):
    large = 1.0 if loss in [LOSSES[name] for name in SQUARES] else 1e30
    x = jnp.array([0, large, -large, 1e-30, large, -large, 1])
    others = jnp.array([0, large, -large, -1e-30, -large, large, 0])
    x, y = jnp.tile(x[:, None], 3), jnp.full((ROWS, 3), 0.5).at[:, 0].set(others)
    for mask in (jnp.ones(ROWS, bool), jnp.arange(ROWS) == 1):
        assert finite(SLOPES[loss](x, y, P, jnp.ones(ROWS), mask))


@every_loss
def test_a_nan_that_counts_is_seen_in_the_answer(loss, key):
    x, y, weights = draw(key)
    mask = jnp.arange(ROWS) > 1
    (total, _), _ = SLOPES[loss](x.at[3, 0].set(jnp.nan), y, P, weights, mask)
    assert jnp.isnan(total)
