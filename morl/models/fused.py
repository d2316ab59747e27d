"""Rows of fused products: one part after the other, or each device's parts together."""

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float


def parted(
    product: Float[Array, "..."],
    sizes: Sequence[int],
    shards: int = 1,
    *,
    axis: int = 0,
) -> list[Float[Array, "..."]]:
    """The parts of a fused product, each with its rows in their own order.

    Args:
      product: Rows that stand shard by shard, and inside of a shard part by part.
      sizes: Rows of each part, each a multiple of ``shards``.
      shards: How many there are; 1 where the parts stand one after the other.
      axis: Of what is called rows here.

    Examples:
      >>> rows = jnp.array([0.0, 1.0, 8.0, 2.0, 3.0, 9.0])
      >>> print(*parted(rows, (4, 2), shards=2))
      [0. 1. 2. 3.] [8. 9.]
    """
    if shards == 1:
        return jnp.split(product, _bounds(sizes), axis=axis)
    head, tail = product.shape[:axis], product.shape[axis + 1 :]
    rows = product.reshape(*head, shards, -1, *tail)
    bounds = _bounds([size // shards for size in sizes])
    parts = jnp.split(rows, bounds, axis=axis + 1)
    return [part.reshape(*head, -1, *tail) for part in parts]


def arranged(
    leaf: Float[Array, "*shape"], sizes: Sequence[int], shards: int, *, axis: int
) -> Float[Array, "*shape"]:
    """Rows of a weight so that their product is parted by :func:`parted`.

    Split into as many devices, each then holds the rows of all parts that it works on.

    Args:
      leaf: Rows that stand part by part.
      sizes: Rows of each part, each a multiple of ``shards``.
      shards: How many there will be.
      axis: Of the rows, counted from the end.
    """
    place = leaf.ndim + axis
    head, tail = leaf.shape[:place], leaf.shape[place + 1 :]
    pieces = [
        part.reshape(*head, shards, -1, *tail)
        for part in jnp.split(leaf, _bounds(sizes), axis=place)
    ]
    return jnp.concatenate(pieces, axis=place + 1).reshape(leaf.shape)


def _bounds(sizes: Sequence[int]) -> list[int]:
    return list(itertools.accumulate(sizes))[:-1]
