"""Gradient steps on one number an objective, each with a state of its own."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

StepState: TypeAlias = PyTree[Array]


def step_state(
    optimizer: optax.GradientTransformation, values: Float[Array, " k"]
) -> StepState:
    """The optimizer's state for every entry, counts included."""
    return jax.vmap(optimizer.init)(values)


def stepped(
    optimizer: optax.GradientTransformation,
    gradient: Float[Array, " k"],
    state: StepState,
    values: Float[Array, " k"],
    present: Bool[Array, " k"],
) -> tuple[Float[Array, " k"], StepState]:
    """One step of every entry that is present.

    Args:
      optimizer: What turns a gradient into a step; sees one entry at a time.
      gradient: Gradient of each entry, finite.
      state: From :func:`step_state` or the last step.
      values: Where each entry is.
      present: Entries that move; the values and the states of others stay.

    Returns:
      The next values and the next state.
    """
    moves, fresh = jax.vmap(optimizer.update)(gradient, state, values)

    def chosen(new: Array, old: Array) -> Array:
        column = present.reshape((-1,) + (1,) * (new.ndim - 1))
        return jnp.where(column, new, old)

    moved = jnp.where(present, jax.tree.map(jnp.add, values, moves), values)
    return moved, jax.tree.map(chosen, fresh, state)
