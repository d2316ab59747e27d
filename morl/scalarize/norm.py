"""Lengths of vectors that neither overflow nor lose their gradient at zero."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def length(
    values: Float[Array, " k"], order: Float[Array, ""] | float = 2.0
) -> Float[Array, ""]:
    r"""The norm :math:`(\sum_k |v_k|^p)^{1/p}`; at zero its gradient is 0.

    Args:
      values: Vector :math:`v`, finite.
      order: :math:`p`, at least 1.

    Examples:
      >>> print(length(jnp.array([3e30, 4e30])))
      5e+30
    """
    size, order = jnp.abs(values), jnp.asarray(order, values.dtype)
    peak = jax.lax.stop_gradient(jnp.max(size, initial=0))
    some = peak > 0
    # Over the peak no power overflows. Roots and powers of a zero have no slope, so
    # that zeros are replaced before and left out after.
    shares = jnp.where(size > 0, size / jnp.where(some, peak, 1), 1)
    powers = jnp.sum(jnp.where(size > 0, shares**order, 0))
    root = jnp.where(some, powers, 1) ** (1 / order)
    return jnp.where(some, peak * root, 0)


def unit(values: Float[Array, " k"]) -> Float[Array, " k"]:
    """The vector of length 1 in the same direction; zeros stay zeros.

    Examples:
      >>> print(unit(jnp.array([3e-30, 4e-30])))
      [0.6 0.8]
    """
    # A direction has no scale: dividing by the peak keeps squares within float32.
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(values), initial=0))
    scaled = values / jnp.where(peak > 0, peak, 1)
    size = length(scaled)
    return scaled / jnp.where(size > 0, size, 1)
