"""Grouped-query attention over packed rows, and the rotary positions it uses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Rotary(NamedTuple):
    """Cosines and sines of every token's angles, computed once a forward pass."""

    cos: Float[Array, "f n"]
    sin: Float[Array, "f n"]


class Heads(NamedTuple):
    """Rotated queries and keys, and values, of one layer.

    Queries are grouped under the key head ``k`` that they share, and already divided by
    the square root of the head's width ``c``.
    """

    queries: Float[Array, "b k g t c"]
    keys: Float[Array, "b k s c"]
    values: Float[Array, "b k s c"]


def rotary(positions: Int[Array, " n"], head_dim: int, base: float) -> Rotary:
    r"""Angles :math:`m\,\theta_i` with :math:`\theta_i = base^{-2i/c}`.

    Args:
      positions: Position :math:`m` of each token.
      head_dim: Width :math:`c` of one head.
      base: Base of the frequencies.

    Returns:
      Cosines and sines in float32, one row for each of the ``head_dim / 2`` planes.

    References:
      Su et al., RoFormer (arXiv:2104.09864), equation 15.
    """
    exponents = jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim
    angles = (base**-exponents)[:, None] * positions[None].astype(jnp.float32)
    return Rotary(jnp.cos(angles), jnp.sin(angles))


def rotate(
    heads: Float[Array, "h c n"], table: Rotary, scale: float = 1.0
) -> Float[Array, "h c n"]:
    """Turns the plane of the i-th and (i + c/2)-th entries by the token's angle.

    ``scale`` multiplies the result; it rides on the tables, which are small.
    """
    first, second = jnp.split(heads.astype(jnp.float32), 2, axis=1)
    cos, sin = (table.cos * scale)[None], (table.sin * scale)[None]
    turned = (first * cos - second * sin, second * cos + first * sin)
    return jnp.concatenate(turned, axis=1).astype(heads.dtype)


def visible(
    segments: Int[Array, "b t"], context: Int[Array, "b s"]
) -> Bool[Array, "b t s"]:
    """Which tokens of the context share a conversation with each token.

    A token sees the shared prompt (segment 0) and its own segment; nothing sees padding
    (segment -1). Order in time is the caller's to add.

    Examples:
      >>> visible(jnp.array([[0, 1, 2]]), jnp.array([[0, 1, 2, -1]])).astype(int)
      Array([[[1, 0, 0, 0],
              [1, 1, 0, 0],
              [1, 0, 1, 0]]], dtype=int32)
    """
    own = segments[:, :, None] == context[:, None, :]
    shared = (context == 0)[:, None, :]
    return (own | shared) & (context >= 0)[:, None, :]


def attend(heads: Heads, allowed: Bool[Array, "b t s"]) -> Float[Array, "b k g t c"]:
    """Softmax attention of each group of query heads over its key head.

    Args:
      heads: Queries, keys and values.
      allowed: What each query may see. A query that may see nothing (padding) gets a
        finite value without meaning.

    Returns:
      One value a query.

    References:
      Ainslie et al., GQA (arXiv:2305.13245).
    """
    queries, keys, values = heads
    scores = jnp.einsum(
        "bkgtc,bksc->bkgts", queries, keys, preferred_element_type=jnp.float32
    )
    # A finite floor: a row with nothing allowed stays finite instead of 0/0.
    floor = jnp.finfo(jnp.float32).min
    masked = jnp.where(allowed[:, None, None], scores, floor)
    shares = jax.nn.softmax(masked, axis=-1).astype(values.dtype)
    return jnp.einsum("bkgts,bksc->bkgtc", shares, values)
