"""Uncertainty weighting: each loss divided by a noise variance that is learnt."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_losses,
    present_of,
    watched,
)
from morl.weighting.stepping import StepState, step_state, stepped


class UncertaintyState(NamedTuple):
    """What is learnt.

    Attributes:
      log_variances: Logarithm of each objective's noise variance.
      steps: The optimizer's state.
    """

    log_variances: Float[Array, " k"]
    steps: StepState


def uncertainty(
    optimizer: optax.GradientTransformation | None = None,
    *,
    factors: Float[Array, " k"] | None = None,
) -> Weighting:
    r"""Weights that fall with the noise of each objective, learnt beside the model.

    The log variances :math:`s` descend the joint loss, whose least is at
    :math:`e^{s_k} = 2 c_k \ell_k`, where the weight is :math:`1 / (2 \ell_k)`:

    .. math:: \sum_k c_k e^{-s_k} \ell_k + s_k / 2, \qquad w_k = c_k e^{-s_k}

    Args:
      optimizer: Of the log variances; None for ``optax.adam(1e-2)``. It sees one entry
        at a time.
      factors: :math:`c`: 1/2 for a squared error (each one's default), 1 for a cross
        entropy, as in the paper.

    Returns:
      A :class:`Weighting` with residual 0 that needs positive losses. Its weights do
      not add up to a constant. They are those of before the step on :math:`s`; an
      absent objective's :math:`s` stands still.

    References:
      Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses
      (arXiv:1705.07115), 2018, equations 7 and 10. The variances start at 1; a public
      implementation starts at ``s = -0.5``.
    """
    optimizer = optax.adam(1e-2) if optimizer is None else optimizer

    losses_of = partial(present_losses, method="uncertainty")

    def init(num_objectives: int) -> State:
        start = jnp.zeros(num_objectives)
        return UncertaintyState(start, step_state(optimizer, start))

    def update(
        signals: Signals, state: UncertaintyState
    ) -> tuple[Solution, UncertaintyState]:
        present, logs = present_of(signals), state.log_variances
        kind = jnp.promote_types(signals.gramian.dtype, jnp.float32)
        scale = jnp.asarray(0.5 if factors is None else factors, logs.dtype)
        weights = jnp.where(present, scale * jnp.exp(-logs), 0)
        safe = losses_of(signals).astype(logs.dtype)
        slope = jnp.asarray(0.5, logs.dtype) - weights * safe
        logs, steps = stepped(optimizer, slope, state.steps, logs, present)
        solution = Solution(weights.astype(kind), jnp.zeros((), kind))
        return solution, UncertaintyState(logs, steps)

    return watched(Weighting(init, update), losses_of)
