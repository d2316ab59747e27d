"""Lengths of vectors that neither overflow nor lose their gradient at zero."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def length(
    values: Float[Array, "*batch k"], order: Float[Array, ""] | float = 2.0
) -> Float[Array, "*batch"]:
    r"""The norm :math:`(\sum_k |v_k|^p)^{1/p}`; at zero its gradient is 0.

    Args:
      values: Vectors :math:`v` along the last axis.
      order: :math:`p`, at least 1.

    Returns:
      The norms: NaN of a vector that holds NaN, else infinite of one that is infinite
      somewhere.

    Examples:
      >>> print(length(jnp.array([3e30, 4e30])))
      5e+30
    """
    size, order = jnp.abs(values), jnp.asarray(order, values.dtype)
    peak = jax.lax.stop_gradient(jnp.max(size, axis=-1, keepdims=True, initial=0))
    # Over the peak no power overflows; an infinite one would leave no quotient.
    scale = jnp.where((peak > 0) & (peak < jnp.inf), peak, 1)
    # Roots and powers of a zero have no slope, so that zeros are replaced before and
    # left out after. What is NaN is not zero, and stays.
    zero, none = size == 0, peak[..., 0] == 0
    shares = jnp.where(zero, 1, size / scale)
    powers = jnp.sum(jnp.where(zero, 0, shares**order), axis=-1)
    root = jnp.where(none, 1, powers) ** (1 / order)
    return jnp.where(none, 0, scale[..., 0] * root)


def unit(values: Float[Array, " k"]) -> Float[Array, " k"]:
    """The vector of length 1 in the same direction; zeros stay zeros, a NaN spreads.

    Examples:
      >>> print(unit(jnp.array([3e-30, 4e-30])))
      [0.6 0.8]
    """
    # A direction has no scale: dividing by the peak keeps squares within float32.
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(values), initial=0))
    scaled = values / jnp.where(peak > 0, peak, 1)
    size = length(scaled)
    return scaled / jnp.where(size == 0, 1, size)
