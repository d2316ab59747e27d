"""One token from logits: temperature, filters, and an inverse-CDF draw.

All functions take one distribution over the vocabulary; the caller vmaps.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.numerics import first_largest

BLOCK = 256


class Sampler(NamedTuple):
    """How a token is drawn; values are traced, only what is None is compiled in.

    Filters apply in the order of the fields, each to what the one before left. Tokens
    exactly as probable as the last one kept are kept too.

    Attributes:
      temperature: Divides the logits, > 0; None takes the most probable token.
      top_k: Keep this many most probable tokens, >= 1.
      top_p: Keep the fewest tokens whose probability is at least this, in (0, 1].
      min_p: Keep tokens at least this share of the most probable one, in [0, 1].
    """

    temperature: Float[Array, ""] | None
    top_k: Int[Array, ""] | None = None
    top_p: Float[Array, ""] | None = None
    min_p: Float[Array, ""] | None = None


class Drawn(NamedTuple):
    """A token, and two log-probabilities of it.

    Attributes:
      token: Its id.
      log_prob: Under the model itself: temperature 1, no filter.
      sampled_log_prob: Under the tempered and filtered distribution it was drawn from;
        zero where the most probable token was taken.
    """

    token: Int[Array, ""]
    log_prob: Float[Array, ""]
    sampled_log_prob: Float[Array, ""]


def largest_threshold(
    shares: Float[Array, " v"], enough: Callable[[Bool[Array, " v"]], Bool[Array, ""]]
) -> Float[Array, ""]:
    """The largest value at or above which there are ``enough`` entries.

    Bisection over the bit patterns of float32, which order non-negative numbers as
    integers do: exact after 31 passes, where a sort of the vocabulary costs far more.

    Args:
      shares: Values in [0, 1].
      enough: Of the entries kept; true for all of them, and monotone.
    """

    def halve(_: Int[Array, ""], bounds: tuple) -> tuple:
        low, high = bounds
        middle = low + (high - low) // 2
        kept = shares >= jax.lax.bitcast_convert_type(middle, jnp.float32)
        fits = enough(kept)
        return jnp.where(fits, middle, low), jnp.where(fits, high, middle)

    above_one = jax.lax.bitcast_convert_type(jnp.float32(1), jnp.int32) + 1
    low, _ = jax.lax.fori_loop(0, 31, halve, (jnp.int32(0), above_one))
    return jax.lax.bitcast_convert_type(low, jnp.float32)


def filtered(logits: Float[Array, " v"], sampler: Sampler) -> Float[Array, " v"]:
    """Unnormalised probabilities after the filters; the peak is one.

    Args:
      logits: Already divided by the temperature.
      sampler: Filters.

    Examples:
      >>> sampler = Sampler(jnp.float32(1), top_k=jnp.int32(2))
      >>> shares = filtered(jnp.log(jnp.array([0.25, 0.5, 0.3])), sampler)
      >>> [f"{share:.2f}" for share in shares]
      ['0.00', '1.00', '0.60']
    """
    shares = jnp.exp(logits - jnp.max(logits))
    if sampler.top_k is not None:
        top_k = sampler.top_k
        least = largest_threshold(shares, lambda kept: jnp.sum(kept) >= top_k)
        shares = jnp.where(shares >= least, shares, 0)
    if sampler.top_p is not None:
        # Summed the same way as inside the search, so that 1 keeps everything.
        mass = sampler.top_p * jnp.sum(jnp.where(shares >= 0, shares, 0))
        least = largest_threshold(
            shares, lambda kept: jnp.sum(jnp.where(kept, shares, 0)) >= mass
        )
        shares = jnp.where(shares >= least, shares, 0)
    if sampler.min_p is not None:
        shares = jnp.where(shares >= sampler.min_p, shares, 0)
    return shares


def inverse_cdf(
    shares: Float[Array, " v"], uniform: Float[Array, ""]
) -> Int[Array, ""]:
    """The first index at which the running sum exceeds ``uniform`` of the total.

    One uniform number a token instead of one a vocabulary entry, and a running sum in
    two levels: random bits and a long cumulative sum are what sampling costs on a CPU.

    Args:
      shares: Unnormalised probabilities, at least one positive.
      uniform: In [0, 1).

    Examples:
      >>> shares, uniforms = jnp.array([1.0, 0, 3]), jnp.array([0.2, 0.3])
      >>> jax.vmap(inverse_cdf, in_axes=(None, 0))(shares, uniforms)
      Array([0, 2], dtype=int32)
    """
    blocks = jnp.pad(shares, (0, -shares.shape[0] % BLOCK)).reshape(-1, BLOCK)
    outer = jnp.cumsum(jnp.sum(blocks, axis=1))
    # Rounding must not carry the target to the total, which no running sum exceeds.
    shy = 1 - 1e-6
    target = uniform * outer[-1] * shy
    row = jnp.argmax(outer > target)
    inner = jnp.cumsum(blocks[row])
    before = jnp.where(row > 0, outer[row - 1], 0)
    inside = jnp.clip(target - before, 0, inner[-1] * shy)
    return row * BLOCK + jnp.argmax(inner > inside)


def draw(
    logits: Float[Array, " v"], uniform: Float[Array, ""], sampler: Sampler
) -> Drawn:
    """Draws one token.

    Args:
      logits: Of the model, in float32.
      uniform: A number in [0, 1), used once.
      sampler: Temperature and filters.

    References:
      Holtzman et al., nucleus sampling (arXiv:1904.09751); Nguyen et al., min-p
      (arXiv:2407.01082).
    """
    normaliser = jax.nn.logsumexp(logits)
    if sampler.temperature is None:
        _, token = first_largest(logits)
        return Drawn(token, logits[token] - normaliser, jnp.float32(0))
    # Less the peak before the division: a tiny temperature would make it infinite.
    shares = filtered((logits - jnp.max(logits)) / sampler.temperature, sampler)
    token = inverse_cdf(shares, uniform)
    sampled = jnp.log(shares[token]) - jnp.log(jnp.sum(shares))
    return Drawn(token, logits[token] - normaliser, sampled)
