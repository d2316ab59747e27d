"""Rows of gradients, their Gramians and mixtures."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from morl.errors import InputError
from morl.numerics import masked_mean
from morl.numerics.rows import (
    BLOCK,
    blockwise,
    combine,
    contracted,
    cross_gramian,
    gramian,
    unbiased_gramian,
)
from morl.weighting.rows import (
    join,
    one_by_one,
    rows,
    rows_with_aux,
    side_by_side,
    split,
    weighted_gradient,
)

K = 3
WAYS = {
    "one_by_one": one_by_one,
    "side_by_side": side_by_side,
    "map": jax.lax.map,
    "map_by_two": partial(jax.lax.map, batch_size=2),
}


@pytest.fixture
def params(key):
    first, second = jax.random.split(key)
    return {
        "body": jax.random.normal(first, (4, 5)),
        "head": {"w": jax.random.normal(second, (5, K)), "b": jnp.zeros(K)},
    }


def losses_of(params):
    hidden = jnp.tanh(jnp.linspace(-1, 1, 24).reshape(6, 4) @ params["body"])
    outputs = hidden @ params["head"]["w"] + params["head"]["b"][None]
    return jnp.mean(jnp.square(outputs - 1), axis=0)


def flat(tree, k=K):
    return np.concatenate(
        [np.asarray(x, float).reshape(k, -1) for x in jax.tree.leaves(tree)], axis=1
    )


@pytest.mark.parametrize("mapped", WAYS.values(), ids=WAYS.keys())
def test_rows_are_the_gradients_of_each_loss(mapped, params):
    losses, grads = jax.jit(partial(rows, losses_of, mapped=mapped))(params)
    np.testing.assert_allclose(losses, losses_of(params), rtol=1e-6)
    for k in range(K):
        alone = jax.grad(lambda p, k=k: losses_of(p)[k])(params)
        for row, leaf in zip(
            jax.tree.leaves(grads), jax.tree.leaves(alone), strict=True
        ):
            np.testing.assert_allclose(row[k], leaf, rtol=1e-5, atol=1e-7)


def test_rows_take_one_forward_pass(params):
    calls = []

    def counted(p):
        jax.debug.callback(lambda: calls.append(1))
        return losses_of(p)

    jax.block_until_ready(jax.jit(partial(rows, counted))(params))
    jax.effects_barrier()
    assert len(calls) == 1


def test_rows_cover_the_chosen_subtree_only(params):
    chosen = lambda path, _: path[0].key == "head"
    _, part = rows(losses_of, params, chosen=chosen)
    _, whole = rows(losses_of, params)
    assert part["body"] is None
    np.testing.assert_array_equal(part["head"]["w"], whole["head"]["w"])
    bits = lambda **kw: (
        jax.jit(lambda p: rows(losses_of, p, **kw)[1])
        .lower(params)
        .compile()
        .cost_analysis()["flops"]
    )
    assert bits(chosen=chosen) < 0.6 * bits()


def test_split_parts_join_to_the_whole(params):
    picked, rest = split(params, lambda _, leaf: leaf.ndim == 2)
    assert len(jax.tree.leaves(picked)) == 2
    assert len(jax.tree.leaves(rest)) == 1
    whole = join(picked, rest)
    assert jax.tree.structure(whole) == jax.tree.structure(params)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(params), strict=True):
        assert a is b


def test_what_else_the_function_returns_is_handed_on(params):
    with_names = lambda p: (losses_of(p), {"mean": losses_of(p).mean()})
    losses, grads, aux = jax.jit(partial(rows_with_aux, with_names))(params)
    np.testing.assert_allclose(aux["mean"], losses.mean(), rtol=1e-6)
    expected = flat(rows(losses_of, params)[1])
    np.testing.assert_allclose(flat(grads), expected, rtol=1e-5, atol=1e-6)


def test_the_weighted_gradient_is_the_mixture_of_the_rows(params):
    weights = jnp.array([0.2, 0.5, 0.3])
    mixed = combine(weights, rows(losses_of, params)[1])
    direct = weighted_gradient(weights, losses_of, params)
    for a, b in zip(jax.tree.leaves(mixed), jax.tree.leaves(direct), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_an_absent_objective_leaks_nothing(params):
    # Its labels are NaN and masked: its loss is 0, and all is finite.
    labels = jnp.ones((6, K)).at[:, 1].set(jnp.nan)

    def masked(p):
        hidden = jnp.tanh(jnp.linspace(-1, 1, 24).reshape(6, 4) @ p["body"])
        outputs = hidden @ p["head"]["w"] + p["head"]["b"][None]
        known = jnp.isfinite(labels)
        gaps = outputs - jnp.where(known, labels, 0)
        return masked_mean(jnp.square(gaps), known, axis=0)

    losses, grads = rows(masked, params)
    expected = flat(rows(losses_of, params)[1])
    np.testing.assert_allclose(flat(grads)[[0, 2]], expected[[0, 2]], rtol=1e-5)
    np.testing.assert_array_equal(flat(grads)[1], 0)
    assert losses[1] == 0


def test_rows_of_absent_objectives_may_hold_nan(params):
    _, grads = rows(losses_of, params)
    spoilt = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), grads)
    weights, present = jnp.array([0.3, 0.0, 0.7]), jnp.array([True, False, True])
    mixed = combine(weights, spoilt, present=present)
    for a, b in zip(
        jax.tree.leaves(mixed), jax.tree.leaves(combine(weights, grads)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    total = gramian(spoilt)
    keep = jnp.array([0, 2])
    np.testing.assert_array_equal(total[keep][:, keep], gramian(grads)[keep][:, keep])


def test_bad_losses_and_choices_say_what_was_found(params):
    with pytest.raises(InputError, match=r"losses have shape \(\), expected one entry"):
        rows(lambda p: losses_of(p).mean(), params)
    with pytest.raises(InputError, match="no parameter is chosen"):
        rows(losses_of, params, chosen=lambda *_: False)


# Gramians


def test_gramian_equals_numpy_over_all_leaves(key):
    first, second = jax.random.split(key)
    tree = {
        "a": jax.random.normal(first, (K, 7, BLOCK // 2)),
        "b": jax.random.normal(second, (K, 3, 2, 5)),
        "c": jnp.array([1.0, 2.0, 3.0]),
    }
    expected = flat(tree) @ flat(tree).T
    np.testing.assert_allclose(jax.jit(gramian)(tree), expected, rtol=1e-5)
    other = jax.tree.map(lambda x: x[::-1] + 1, tree)
    np.testing.assert_allclose(
        cross_gramian(tree, other),
        flat(tree) @ flat(other).T,
        rtol=1e-4,
        atol=1e-5 * expected.max(),
    )


@pytest.mark.parametrize("columns", [1, BLOCK - 1, BLOCK, 2 * BLOCK, 3 * BLOCK + 17])
def test_the_fast_sums_and_the_readable_ones_are_right(columns, key):
    leaf = jax.random.normal(key, (4, columns))
    for kind in (jnp.float32, jnp.bfloat16):
        first, second = leaf.astype(kind), jnp.roll(leaf, 1, axis=0).astype(kind)
        wide = np.asarray(first, float), np.asarray(second, float)
        for sums in (blockwise, contracted):
            actual = sums(first, second)
            assert actual.dtype == jnp.float32
            np.testing.assert_allclose(actual, wide[0] @ wide[1].T, atol=1e-5 * columns)


def test_bfloat16_rows_are_summed_in_float32():
    # 4096 ones and then 1/256: bfloat16 would stay at 4096 or even 256.
    leaf = jnp.ones((2, 3 * BLOCK), jnp.bfloat16)
    total = gramian({"a": leaf, "b": jnp.full((2, 1), 0.0625, jnp.bfloat16)})
    assert total.dtype == jnp.float32
    np.testing.assert_array_equal(total, 3 * BLOCK + 1 / 256)
    mixed = combine(jnp.full(2, 0.5), {"a": leaf})["a"]
    assert mixed.dtype == jnp.bfloat16
    assert (mixed == 1).all()


def test_float64_stays_and_gradients_match_finite_differences(key):
    with jax.enable_x64(True):
        leaf = jax.random.normal(key, (K, 4), jnp.float64)
        assert gramian(leaf).dtype == jnp.float64
        check_grads(
            lambda x: gramian(jnp.asarray(x)), (leaf,), order=1, modes=["fwd", "rev"]
        )
        mixed = lambda w, x: combine(jnp.asarray(w), jnp.asarray(x))
        check_grads(mixed, (leaf[:, 0], leaf), order=1, modes=["fwd", "rev"])


def test_vmap_under_jit_matches_a_loop(key):
    leaf = jax.random.normal(key, (2, K, 2 * BLOCK))
    batched = jax.jit(jax.vmap(gramian))(leaf)
    np.testing.assert_allclose(batched[1], gramian(leaf[1]), rtol=1e-5, atol=1e-2)


def test_rows_that_disagree_on_the_number_of_objectives_are_refused():
    with pytest.raises(InputError, match=r"leaves have shapes \[\(2, 3\), \(3, 3\)\]"):
        gramian([jnp.ones((2, 3)), jnp.ones((3, 3))])
    with pytest.raises(InputError, match="expected one leading objective axis"):
        gramian({})


def test_the_gramian_of_two_half_batches_is_unbiased(key):
    """The single-batch Gramian adds the trace of the noise to its diagonal."""
    mean = jnp.array([[3.0, 0.5, 0.0], [-1.0, 2.0, 1.0]])
    noise = 2.0  # standard deviation of an entry of a half batch's gradient
    true = np.asarray(mean @ mean.T)
    draws = mean[None, None] + noise * jax.random.normal(key, (40_000, 2, 2, 3))
    halves = jax.vmap(lambda ab: unbiased_gramian(ab[0], ab[1]))(draws)
    whole = jax.vmap(lambda ab: gramian(ab.mean(0)))(draws)
    error = np.asarray(halves.std(0)) / 200
    assert (abs(np.asarray(halves.mean(0)) - true) < 4 * error).all()
    # Three entries, each of variance noise^2 / 2 in the mean of two halves.
    added = np.diag(np.asarray(whole.mean(0)) - true)
    np.testing.assert_allclose(added, 3 * noise**2 / 2, rtol=0.05)
    np.testing.assert_array_equal(halves[0], halves[0].T)


# What a step costs


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3, 8])
def test_k_gradients_cost_at_most_their_share_of_multiplications(k, key):
    """(1 + 2K) / 3 of a gradient's floating point operations, plus 5 percent."""
    width, depth, batch = 64, 4, 128
    body = [jax.random.normal(key, (width, width)) for _ in range(depth)]
    inputs, head = jnp.ones((batch, width)), jnp.ones((width, k))

    def losses(p):
        hidden = inputs
        for layer in p[0]:
            hidden = jax.nn.relu(hidden @ layer)
        return jnp.mean(jnp.square(hidden @ p[1] - 1), axis=0)

    flops = lambda fn: (
        jax.jit(fn).lower((body, head)).compile().cost_analysis()["flops"]
    )
    plain = flops(jax.grad(lambda p: losses(p).mean()))
    many = flops(lambda p: rows(losses, p)[1])
    assert many <= 1.05 * (1 + 2 * k) / 3 * plain
