"""Bounds of a design, and what they leave of the gradients at it."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


class Box(NamedTuple):
    """Bounds of every variable of a design.

    Attributes:
      lower: Lower ends; minus infinity where there is none.
      upper: Upper ends; infinity where there is none.

    Examples:
      >>> box = Box(jnp.zeros(2), jnp.ones(2))
      >>> print(inside(jnp.array([-1.0, 0.5]), box))
      [0.  0.5]
    """

    lower: Float[Array | np.ndarray, " d"]
    upper: Float[Array | np.ndarray, " d"]


def inside(designs: Float[Array, "*n d"], box: Box | None) -> Float[Array, "*n d"]:
    """The nearest designs in the box; None bounds nothing."""
    if box is None:
        return designs
    lower, upper = (
        jnp.expand_dims(jnp.asarray(end, designs.dtype), range(designs.ndim - 1))
        for end in box
    )
    return jnp.clip(designs, lower, upper)


def free_rows(
    rows: Float[Array, "k d"], design: Float[Array, " d"], box: Box | None
) -> Float[Array, "k d"]:
    """Gradients of losses without the variables that are held by a bound.

    A variable at its bound is held when no loss falls by moving it back inside. Every
    combination of the gradients with weights at least 0 then pushes it outwards, so it
    stays, and must not count in the gradients' inner products: the common descent is
    sought within the face of the box.

    Args:
      rows: Gradient of each loss.
      design: Where they were taken; inside the box.
      box: The bounds.

    Returns:
      The gradients, zero in the held variables.

    Examples:
      >>> rows = jnp.array([[1.0, 1.0], [2.0, -1.0]])
      >>> print(free_rows(rows, jnp.zeros(2), Box(jnp.zeros(2), jnp.ones(2))))
      [[ 0.  1.]
       [ 0. -1.]]
    """
    if box is None:
        return rows
    lower, upper = (jnp.asarray(end, design.dtype) for end in box)
    return jnp.where(_held(rows, design <= lower, design >= upper)[None], 0, rows)


def _held(
    rows: Float[Array, "k d"], low: Bool[Array, " d"], high: Bool[Array, " d"]
) -> Bool[Array, " d"]:
    return (low & jnp.all(rows >= 0, axis=0)) | (high & jnp.all(rows <= 0, axis=0))
