"""The layerwise Gramian equals the direct one, and holds less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.numerics.rows import gramian
from morl.weighting.layerwise import layerwise_gramian, repeated, single
from morl.weighting.rows import rows, side_by_side

K, WIDTH, DEPTH, VOCABULARY = 3, 16, 5, 11


def embed(table, tokens):
    return table[tokens]


def block(p, hidden):
    return hidden + jnp.tanh(hidden @ p["in"]) @ p["out"]


def readout(head, hidden):
    return jnp.mean(jnp.square(hidden @ head - 1), axis=(0, 1))


def draw(key, *, width=WIDTH, depth=DEPTH, k=K, kind=jnp.float32):
    keys = jax.random.split(key, 5)
    normal = lambda i, *shape: (
        jax.random.normal(keys[i], shape, kind) / jnp.asarray(width, kind) ** 0.5
    )
    blocks = {
        "in": normal(1, depth, width, width),
        "out": normal(2, depth, width, width),
    }
    tokens = jax.random.randint(keys[4], (4, 6), 0, VOCABULARY)
    return [normal(0, VOCABULARY, width), blocks, normal(3, width, k)], tokens


def direct(params, tokens):
    def losses(p):
        step = lambda hidden, own: (block(own, hidden), None)
        return readout(p[2], jax.lax.scan(step, embed(p[0], tokens), p[1])[0])

    values, grads = rows(losses, params, mapped=side_by_side)
    return values, gramian(grads)


def layer_by_layer(params, tokens):
    return layerwise_gramian(
        [single(embed), repeated(block), single(readout)], params, tokens
    )


@pytest.mark.slow
def test_a_chain_with_a_stack_has_the_direct_gramian(key):
    with jax.enable_x64(True):
        params, tokens = draw(key, kind=jnp.float64)
        expected = direct(params, tokens)
        actual = jax.jit(layer_by_layer)(params, tokens)
    assert actual[1].dtype == jnp.float64
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.slow
def test_a_list_of_layers_has_the_gramian_of_the_stack(key):
    params, tokens = draw(key)
    apart = [jax.tree.map(lambda leaf, i=i: leaf[i], params[1]) for i in range(DEPTH)]
    links = [single(embed), *[single(jax.checkpoint(block))] * DEPTH, single(readout)]
    for mapped in (side_by_side, jax.lax.map):
        losses, total = layerwise_gramian(
            links, [params[0], *apart, params[2]], tokens, mapped=mapped
        )
        np.testing.assert_allclose(losses, direct(params, tokens)[0], rtol=1e-5)
        np.testing.assert_allclose(total, direct(params, tokens)[1], rtol=1e-4)


def test_values_may_carry_integers_and_layers_may_lack_parameters(key):
    params, tokens = draw(key)
    first = single(lambda table, ids: {"hidden": embed(table, ids), "ids": ids})
    gate = lambda _, v: (
        v | {"hidden": jnp.where(v["ids"][..., None] > 3, v["hidden"], 0)}
    )
    last = single(lambda head, v: readout(head, v["hidden"]))
    losses, total = layerwise_gramian(
        [first, single(gate), last], [params[0], (), params[2]], tokens
    )
    whole = lambda p: readout(
        p[1], jnp.where(tokens[..., None] > 3, embed(p[0], tokens), 0)
    )
    expected = rows(whole, [params[0], params[2]])
    np.testing.assert_allclose(losses, expected[0], rtol=1e-6)
    np.testing.assert_allclose(total, gramian(expected[1]), rtol=1e-5)


def test_it_holds_the_gradients_of_one_layer_and_not_of_all(key):
    k, width, depth = 8, 64, 24
    params, tokens = draw(key, width=width, depth=depth, k=k)
    bytes_of = lambda fn: (
        jax.jit(fn).lower(params, tokens).compile().memory_analysis().temp_size_in_bytes
    )
    whole, parts = bytes_of(direct), bytes_of(layer_by_layer)
    gradient = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    assert whole > k * gradient
    assert parts < 0.25 * whole
    assert parts < 2 * gradient


def test_wrong_chains_say_what_was_found(key):
    params, tokens = draw(key)
    with pytest.raises(InputError, match="found 1 links and parameters of 3"):
        layerwise_gramian([single(embed)], params, tokens)
    with pytest.raises(InputError, match=r"returns shape \(4, 6, 16\)"):
        layerwise_gramian([single(embed)], params[:1], tokens)
