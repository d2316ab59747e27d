"""Grouped-query attention over packed rows, and the rotary positions it uses."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int

from morl.models.config import RotaryStretch

FLOOR = -1e30
# Queries a chunk: small enough to skip most of what lies above the diagonal, large
# enough for products at full speed; and few chunks a row, since each is compiled.
CHUNK = 64
MAX_CHUNKS = 8


class Rotary(NamedTuple):
    """Cosines and sines of every token's angles, computed once a forward pass."""

    cos: Float[Array, "f n"]
    sin: Float[Array, "f n"]


class Heads(NamedTuple):
    """Rotated queries and keys, and values, of one layer.

    Queries are grouped under the key head ``k`` that they share, and already divided by
    the square root of the head's width ``c``.
    """

    queries: Float[Array, "b k c g t"]
    keys: Float[Array, "b k s c"]
    values: Float[Array, "b k c s"]


def rotary(
    positions: Int[Array, " n"],
    head_dim: int,
    base: float,
    stretch: RotaryStretch | None = None,
) -> Rotary:
    r"""Angles :math:`m\,\theta_i` with :math:`\theta_i = base^{-2i/c}`.

    Args:
      positions: Position :math:`m` of each token.
      head_dim: Width :math:`c` of one head.
      base: Base of the frequencies.
      stretch: How they are slowed; None where they are not.

    Returns:
      Cosines and sines in float32, one row for each of the ``head_dim / 2`` planes.

    References:
      Su et al., RoFormer (arXiv:2104.09864), equation 15.
    """
    exponents = jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim
    frequencies = base**-exponents
    if stretch is not None:
        frequencies = slowed(frequencies, stretch)
    places = positions.astype(jnp.float32)

    def plane(frequency: Float[Array, ""]) -> Rotary:
        return Rotary(jnp.cos(frequency * places), jnp.sin(frequency * places))

    # A loop and not one expression: that, XLA would fuse into every layer that reads
    # it, and compute the cosines as often.
    return jax.lax.map(plane, frequencies)


def slowed(
    frequencies: Float[Array, " planes"], stretch: RotaryStretch
) -> Float[Array, " planes"]:
    r"""Frequencies for a context longer than they were trained for.

    .. math:: \theta' = \kappa\,\theta + (1 - \kappa)\,\theta / s, \quad
       \kappa = \mathrm{clip}\Big(\frac{n - l}{h - l}, 0, 1\Big)

    with :math:`n` the turns that a frequency makes over the original context.

    Examples:
      >>> stretch = RotaryStretch(8.0, 1.0, 4.0, 8192)
      >>> print(slowed(jnp.array([1.0, 2e-3, 1e-5]), stretch))
      [1.0000000e+00 1.1877635e-03 1.2500000e-06]
    """
    turns = frequencies * stretch.original_positions / (2 * jnp.pi)
    kept = jnp.clip((turns - stretch.low) / (stretch.high - stretch.low), 0, 1)
    return kept * frequencies + (1 - kept) * frequencies / stretch.factor


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


def recent(
    positions: Int[Array, "b t"], context: Int[Array, "b s"], window: int
) -> Bool[Array, "b t s"]:
    """Which tokens of the context lie within the window that ends with each token.

    Examples:
      >>> recent(jnp.array([[2, 3]]), jnp.arange(4)[None], 2).astype(int)
      Array([[[0, 1, 1, 1],
              [0, 0, 1, 1]]], dtype=int32)

    References:
      Jiang et al., Mistral 7B (arXiv:2310.06825), section 2.
    """
    return positions[:, :, None] - context[:, None, :] < window


def bias_of(allowed: Bool[Array, "b t s"], groups: int) -> Float[Array, "b s q"]:
    """What is added to scores: zero where a token is seen, a finite floor where not.

    The floor is finite so that a query that may see nothing stays finite too. Rows are
    repeated for the ``groups`` of query heads that share a key head: read by every
    layer, that is cheaper than a broadcast in each.
    """
    bias = jnp.where(jnp.swapaxes(allowed, 1, 2), jnp.float32(0), FLOOR)
    return jnp.tile(bias, (1, 1, groups))


def causal_chunks(length: int) -> list[slice]:
    """Cuts a row so that each part of its queries meets only the keys up to its end.

    Examples:
      >>> causal_chunks(150)
      [slice(0, 75, None), slice(75, 150, None)]
    """
    count = min(max(length // CHUNK, 1), MAX_CHUNKS)
    bounds = [length * place // count for place in range(count + 1)]
    return [slice(*pair) for pair in itertools.pairwise(bounds)]


def chunk_biases(
    allowed: Bool[Array, "b t t"], groups: int
) -> tuple[Float[Array, "b _s _q"], ...]:
    """The bias of each chunk of a row, made once for all layers.

    Args:
      allowed: What each token may see; nothing behind it.
      groups: Query heads a key head.
    """
    chunks = causal_chunks(allowed.shape[1])
    return tuple(bias_of(allowed[:, part, : part.stop], groups) for part in chunks)


def attend(
    heads: Heads, biases: tuple[Float[Array, "b _s _q"], ...]
) -> Float[Array, "b k c g t"]:
    r"""Causal softmax attention of each group of query heads over its key head.

    Scores are ``[s, t]``, keys before queries, and are divided by their sum after the
    product with the values: so only the keys are transposed, and XLA runs both products
    and the softmax of a chunk as one kernel on a CPU.

    Args:
      heads: Queries, keys and values of whole rows.
      biases: From :func:`chunk_biases`.

    Returns:
      One value a query; of a query that may see nothing it is finite and meaningless.

    References:
      Ainslie et al., GQA (arXiv:2305.13245).
    """
    mixed = []
    chunks = causal_chunks(heads.keys.shape[2])
    for part, bias in zip(chunks, biases, strict=True):
        some = Heads(
            heads.queries[..., part],
            heads.keys[:, :, : part.stop],
            heads.values[..., : part.stop],
        )
        mixed.append(attend_from(some, bias))
    return jnp.concatenate(mixed, axis=-1)


def attend_from(heads: Heads, bias: Float[Array, "b s q"]) -> Float[Array, "b k c g t"]:
    """The same of some queries, over all keys.

    Args:
      heads: Queries of some tokens, keys and values of those that they may see.
      bias: From :func:`bias_of`.
    """
    queries = rearrange(heads.queries, "b k c g t -> b k c (g t)")
    scores = jnp.matmul(heads.keys, queries, preferred_element_type=jnp.float32)
    scores = scores + bias[:, None]
    peak = jax.lax.stop_gradient(jnp.max(scores, axis=2, keepdims=True))
    shares = jnp.exp(scores - peak)
    narrow = shares.astype(heads.values.dtype)
    flat = jnp.matmul(heads.values, narrow, preferred_element_type=jnp.float32)
    flat = flat / jnp.sum(shares, axis=2, keepdims=True)
    return flat.reshape(heads.queries.shape).astype(heads.values.dtype)
