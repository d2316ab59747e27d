"""How a transformer's layers are held: apart or stacked, plain or adapted."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Key, PRNGKeyArray

from morl.errors import InputError
from morl.models.adapters import (
    TARGETS,
    Adapter,
    AdapterParam,
    AdapterSettings,
    DropoutKeys,
)
from morl.models.block import Block, Linear
from morl.models.fused import arranged
from morl.models.transformer import Transformer


def stack_layers(model: Transformer) -> Transformer:
    """The same model with the parameters of all layers stacked along a leading axis.

    Its layers run as a scan: the program is that of one layer, whatever the depth.
    It encodes whole rows, and does not generate.
    """
    graphs, states = zip(*map(nnx.split, model.layers), strict=True)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    return _with_layers(model, [], nnx.merge(graphs[0], stacked))


def unstack_layers(model: Transformer) -> Transformer:
    """The inverse of :func:`stack_layers`; a model with layers apart as it is."""
    if model.stack is None:
        return model
    graph, stacked = nnx.split(model.stack)
    part = lambda place: jax.tree.map(lambda leaf: leaf[place], stacked)
    blocks = [nnx.merge(graph, part(at)) for at in range(model.config.num_layers)]
    return _with_layers(model, blocks, None)


def _with_layers(
    model: Transformer, layers: list[Block], stack: Block | None
) -> Transformer:
    made = _copy(model)
    made.layers = nnx.List(layers)
    made.stack = stack
    return made


def _copy(model: Transformer) -> Transformer:
    """A model that shares arrays, and whose layout may change apart from this one's."""
    return nnx.merge(*nnx.split(model))


def arrange_fused(model: Transformer, shards: int) -> Transformer:
    """The same model with the rows of its fused products arranged for ``shards``.

    Split into so many parts, queries, keys and values of the same heads then stand
    together, and so do gate and up of the same units. As they are stored, the parts of
    one device would be queries alone, and every product would be exchanged.

    Args:
      model: Layers apart or stacked, plain or adapted.
      shards: Devices that split each product; where they do not divide its key heads
        and the width of the feed-forward, the model stays as it is.
    """
    config = model.config
    if shards == 1 or config.num_kv_heads % shards or config.ffn_width % shards:
        return model
    made = _copy(model)
    key_rows = config.num_kv_heads * config.head_dim
    fused = {
        "qkv": (config.num_heads * config.head_dim, key_rows, key_rows),
        "gate_up": (config.ffn_width, config.ffn_width),
    }
    for block in [*made.layers, *([] if made.stack is None else [made.stack])]:
        block.shards = shards
        for name, sizes in fused.items():
            _arrange(_product(block, name), sizes, shards)
    return made


def _arrange(product: Linear, sizes: tuple[int, ...], shards: int) -> None:
    rows = lambda leaf, axis: arranged(leaf[...], sizes, shards, axis=axis)
    product.weight = nnx.Param(rows(product.weight, -2))
    if product.bias is not None:
        product.bias = nnx.Param(rows(product.bias, -1))
    if product.adapter is not None:
        product.adapter.second = AdapterParam(rows(product.adapter.second, -2))


def adapt(
    model: Transformer, settings: AdapterSettings, key: PRNGKeyArray
) -> Transformer:
    """The model with an adapter on each target of each layer; it computes the same.

    Args:
      model: With its layers apart, and without adapters.
      settings: Rank, scale, targets.
      key: Used once.

    Raises:
      InputError: The layers are stacked.
    """
    if model.stack is not None:
        raise InputError("layers are stacked, adapt before", where="model")
    made = _copy(model)
    keys = jax.random.split(key, (len(made.layers), len(settings.targets)))
    for layer, row in zip(made.layers, keys, strict=True):
        for name, one in zip(settings.targets, row, strict=True):
            product = _product(layer, name)
            height, width = product.weight.shape
            product.adapter = Adapter((height, width), settings, one)
    return made


def _product(layer: Block, name: str) -> Linear:
    return vars(layer)[name]


def _adapters(layer: Block) -> list[Adapter]:
    products = [_product(layer, name) for name in TARGETS]
    return [one.adapter for one in products if one.adapter is not None]


def drop_inputs(model: Transformer, rows: Key[Array, " b"]) -> Transformer:
    """The model with its adapters' dropout on, drawn row by row.

    Args:
      model: An adapted model.
      rows: ``[b]`` keys, one a row that it will encode; each used once.
    """
    made = _copy(model)
    depth = model.config.num_layers
    folded = jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (None, 0))
    if made.stack is None:
        blocks, depths = list(made.layers), range(depth)
        for place, block in zip(depths, blocks, strict=True):
            for number, adapter in enumerate(_adapters(block)):
                at = jnp.array([place * len(TARGETS) + number])
                adapter.keys = DropoutKeys(folded(rows, at)[0])
        return made
    for number, adapter in enumerate(_adapters(made.stack)):
        at = jnp.arange(depth) * len(TARGETS) + number
        adapter.keys = DropoutKeys(folded(rows, at))
    return made


def merge_adapters(model: Transformer) -> Transformer:
    """A plain model that computes what an adapted one does, without dropout."""
    made = _copy(unstack_layers(model))
    for layer in made.layers:
        for product in (_product(layer, name) for name in TARGETS):
            if product.adapter is not None:
                whole = product.weight[...].astype(jnp.float32) + product.adapter.change
                product.weight = nnx.Param(whole.astype(product.weight.dtype))
                product.adapter = None
    return made
