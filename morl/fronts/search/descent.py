"""One design that follows a combination of the gradients of its losses."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from morl.fronts.search.box import Box, free_rows, inside

Rewards: TypeAlias = Callable[[Float[Array, " d"]], Float[Array, " k"]]


class Slopes(NamedTuple):
    """What a search knows at a design.

    Attributes:
      rewards: Its reward vector.
      rows: Gradient of each loss, which is minus a reward; zero in the variables that
        a bound holds.
    """

    rewards: Float[Array, " k"]
    rows: Float[Array, "k d"]


Choice: TypeAlias = Callable[
    [Slopes, PyTree[Array]],
    tuple[Float[Array, " k"], PyTree[Array], Float[Array, ""]],
]


def slopes(rewards: Rewards, design: Float[Array, " d"], box: Box | None) -> Slopes:
    """Rewards and gradients of the losses at one design.

    Examples:
      >>> print(slopes(lambda x: jnp.stack([x[0], -x[1]]), jnp.ones(2), None).rows)
      [[-1.  0.]
       [ 0.  1.]]
    """
    values, back = jax.vjp(rewards, design)
    units = jnp.eye(values.size, dtype=values.dtype)
    (rows,) = jax.vmap(back)(-units)
    return Slopes(values, free_rows(rows, design, box))


def follow(
    rewards: Rewards,
    start: Float[Array, " d"],
    choose: Choice,
    state: PyTree[Array],
    *,
    box: Box | None,
    optimizer: optax.GradientTransformation,
    num_steps: int,
) -> tuple[Float[Array, " d"], Float[Array, " t"]]:
    """Descends along the combination of the losses' gradients that ``choose`` picks.

    Args:
      rewards: From a design to its reward vector.
      start: First design; moved into the box.
      choose: From slopes and state to the losses' weights, the next state, and a
        measure of progress.
      state: First state of ``choose``.
      box: Bounds, kept by projection.
      optimizer: Takes the combined gradient as that of one loss.
      num_steps: Steps taken.

    Returns:
      The last design, and the measure before each step.
    """

    def step(carry: PyTree[Array], _: None) -> tuple[PyTree[Array], Float[Array, ""]]:
        design, state, memory = carry
        here = slopes(rewards, design, box)
        weights, state, measure = choose(here, state)
        updates, memory = optimizer.update(weights @ here.rows, memory, design)
        moved = jnp.asarray(optax.apply_updates(design, updates))
        design = inside(moved, box)
        return (design, state, memory), measure

    first = inside(start, box)
    carry = first, state, optimizer.init(first)
    (design, _, _), trace = jax.lax.scan(step, carry, length=num_steps)
    return design, trace
