"""Weights that do not look at the gradients."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    preferences,
    watched,
)


def constant(prefs: Float[Array, " k"] | None = None) -> Weighting:
    """The same weights at every step: linear scalarization of the losses.

    Args:
      prefs: Weight of each objective; None for ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting` whose residual is 0. Where an objective is absent
      the others take over its weight in proportion to theirs.

    Examples:
      >>> solution, _ = constant().update(Signals(jnp.eye(2)), ())
      >>> solution.weights.tolist()
      [0.5, 0.5]
    """

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        weights = preferences(prefs, signals)
        return Solution(weights, jnp.zeros((), weights.dtype)), state

    return watched(Weighting(init, update))
