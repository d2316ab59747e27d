"""Boxes taken one by one, as the first objective falls, over a grid of the middle ones.

Between two values of the first objective, a set of boxes covers what those of them that
reach beyond cover in the other objectives. Taken in falling order each box only adds to
that, so a grid of the objectives between the first and the last, with heights along the
last, is kept up to date in one step a box.
"""

from collections.abc import Callable
from math import isqrt
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.pareto.carry import zeros_beside

# Cells of the largest grid: 4 MB in float32, and a gradient keeps 2 sqrt(n) of them.
GRID_CELLS = 2**20

State = TypeVar("State")


class Sweep(NamedTuple):
    """Boxes in the order of a sweep.

    Attributes:
      sides: Sides of each box.
      width: How far the first objective falls until the next box.
      place: Row that the box came from.
    """

    sides: Float[Array, "*n k"]
    width: Float[Array, "*n"]
    place: Int[Array, "*n"]


def fits(extents: Float[Array, "n k"]) -> bool:
    """Whether the grid of the middle objectives is not too large."""
    n, k = extents.shape
    return n ** (k - 2) <= GRID_CELLS


def sweep(extents: Float[Array, "n k"]) -> Sweep:
    """The boxes by falling first side."""
    order = jnp.argsort(-extents[:, 0])
    ordered = extents[order]
    return Sweep(ordered, -jnp.diff(ordered[:, 0], append=0), order)


def covers(box: Float[Array, " k"], sides: Float[Array, "n j"]) -> Bool[Array, "..."]:
    """Which cells of the grid lie within a box.

    Args:
      box: Its sides.
      sides: Upper ends of the cells along each middle objective, rising. Equal ones
        leave cells without width between them.

    Returns:
      One flag a cell; a single one where there is no middle objective.
    """
    axes = sides.shape[1]
    found = jnp.ones((1,) * axes, bool)
    for axis in range(axes):
        within = sides[:, axis] <= box[axis + 1]
        found = found & jnp.expand_dims(within, [a for a in range(axes) if a != axis])
    return found


def contract_cells(
    heights: Float[Array, "..."], sides: Float[Array, "n j"]
) -> Float[Array, ""]:
    """The volume under a grid of heights.

    Args:
      heights: One a cell.
      sides: Upper ends of the cells along each axis, rising.

    Returns:
      The sum over all cells of height times widths.
    """
    for side in reversed(sides.T):
        width = jnp.diff(side, prepend=0)
        heights = jnp.matmul(heights, width, precision="highest")
    return heights


def fold(
    step: Callable[[State, Sweep], tuple[State, None]], state: State, boxes: Sweep
) -> State:
    """The state after all boxes.

    Steps are grouped, and both groups and steps are computed again in the backward
    pass: it then keeps the states of :math:`2 \\sqrt n` steps, not of all.

    Args:
      step: From a state and a box to the next state; a box without sides must leave
        the state as it is.
      state: The first state.
      boxes: What is folded in.

    Returns:
      The last state.
    """
    n = len(boxes.width)
    size = isqrt(n - 1) + 1
    blank = -(-n // size) * size - n
    pad = lambda x: jnp.pad(x, ((0, blank),) + ((0, 0),) * (x.ndim - 1))
    groups = jax.tree.map(lambda x: pad(x).reshape(-1, size, *x.shape[1:]), boxes)
    one = jax.checkpoint(step)
    group = jax.checkpoint(lambda state, boxes: jax.lax.scan(one, state, boxes))
    return jax.lax.scan(group, state, groups)[0]


def in_slices(
    measure: Callable[[Float[Array, "n j"]], Float[Array, "..."]],
    extents: Float[Array, "n k"],
) -> Float[Array, "..."]:
    """What a measure of volume is in all, one slice after the other along the last.

    Args:
      measure: Of boxes of one objective less.
      extents: Sides of the boxes.

    Returns:
      The sum over the slices of thickness times measure.
    """
    ends = jnp.sort(extents[:, -1])
    thickness = jnp.diff(ends, prepend=0)

    # Recomputed in the backward pass, which would otherwise keep all slices at once.
    @jax.checkpoint
    def part(end: Float[Array, ""], thick: Float[Array, ""]) -> Float[Array, "..."]:
        reaches = extents[:, -1] >= end
        return thick * measure(jnp.where(reaches[:, None], extents[:, :-1], 0))

    add = lambda total, slab: (total + part(*slab), None)
    like = jax.eval_shape(part, ends[0], ends[0])
    start = zeros_beside(extents, like.shape, like.dtype)
    return jax.lax.scan(add, start, (ends, thickness))[0]
