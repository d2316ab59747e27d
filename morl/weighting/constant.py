"""Weights that do not look at the gradients."""

import jax.numpy as jnp

from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    checked_prefs,
    preferences,
    watched,
)


def constant(prefs: Prefs | None = None) -> Weighting:
    """The same weights at every step: linear scalarization of the losses.

    Args:
      prefs: Weight of each objective, at least 0; None for ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting` whose residual is 0. Where an objective is absent
      the others take over its weight in proportion to theirs.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    Examples:
      >>> solution, _ = constant().update(Signals(jnp.eye(2)), ())
      >>> solution.weights.tolist()
      [0.5, 0.5]
    """

    wanted = checked_prefs(prefs, "constant")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        weights = preferences(wanted, signals)
        return Solution(weights, jnp.zeros((), weights.dtype)), state

    return watched(Weighting(init, update))
