import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from morl.models.adapters import AdapterSettings
from morl.models.config import TransformerConfig
from morl.models.fused import arranged, parted
from morl.models.layout import adapt, arrange_fused, stack_layers
from morl.models.transformer import Transformer

CONFIG = TransformerConfig(64, 16, 2, 8, 4, 4, 24, qkv_bias=True, qk_norm=True)


def model(config=CONFIG):
    return Transformer(config, rngs=nnx.Rngs(0))


def hidden(made):
    tokens = jnp.arange(18).reshape(2, 9)
    places = jnp.broadcast_to(jnp.arange(9), (2, 9))
    return made(tokens, places, jnp.zeros((2, 9), int)).hidden


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_rows_that_are_arranged_part_into_what_they_were(shards):
    whole = jnp.arange(48.0).reshape(16, 3)
    sizes = (8, 4, 4)
    rows = arranged(whole, sizes, shards, axis=-2)
    for found, expected in zip(
        parted(rows, sizes, shards), parted(whole, sizes), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_each_shard_has_rows_of_every_part():
    rows = arranged(jnp.arange(8.0), (4, 2, 2), 2, axis=-1)
    np.testing.assert_array_equal(rows, [0, 1, 4, 6, 2, 3, 5, 7])


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("stacked", [False, True])
def test_an_arranged_model_computes_the_same(shards, stacked):
    plain = model()
    bias = jnp.arange(plain.layers[0].qkv.bias.size) / 100
    for layer in plain.layers:
        layer.qkv.bias[...] = bias
    given = stack_layers(plain) if stacked else plain
    found = hidden(arrange_fused(given, shards))
    np.testing.assert_allclose(found, hidden(plain), atol=1e-5)


def test_an_arranged_model_adapts_the_same():
    adapted = adapt(model(), AdapterSettings(rank=2), jax.random.key(1))
    for layer in adapted.layers:
        for product in (layer.qkv, layer.gate_up):
            shape = product.adapter.second.shape
            product.adapter.second[...] = jax.random.normal(jax.random.key(2), shape)
    found = hidden(arrange_fused(adapted, 2))
    np.testing.assert_allclose(found, hidden(adapted), rtol=1e-4, atol=1e-4)


def test_arranging_leaves_the_model_that_was_given_as_it_was():
    plain = model()
    before = hidden(plain)
    arrange_fused(plain, 2)
    np.testing.assert_array_equal(hidden(plain), before)


def test_a_model_that_devices_do_not_divide_stays_as_it_is():
    plain = model()
    assert arrange_fused(plain, 3) is plain
    assert arrange_fused(plain, 8) is plain
