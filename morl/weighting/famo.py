"""FAMO: all losses fall at about the same rate, by their values alone."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_losses,
    present_of,
    watched,
)
from morl.weighting.shares import shares
from morl.weighting.stepping import StepState, step_state, stepped

# Keeps the logarithm of a loss that has reached its bound finite.
EPSILON = 1e-8


class FamoState(NamedTuple):
    """Logits, and the losses that they were last judged by.

    Attributes:
      logits: One an objective.
      before: Logarithm of each loss above its bound, when it was last present.
      seen: Objectives that have been present.
      steps: The optimizer's state.
    """

    logits: Float[Array, " k"]
    before: Float[Array, " k"]
    seen: Bool[Array, " k"]
    steps: StepState


def famo(
    optimizer: optax.GradientTransformation | None = None,
    *,
    lowest: Float[Array, " k"] | None = None,
) -> Weighting:
    r"""Logits that grow where the logarithm of a loss fell least.

    With :math:`D_k = \ell_k - b_k + 10^{-8}` and :math:`z = \mathrm{softmax}(\xi)`

    .. math:: w_k = \frac{z_k / D_k}{\sum_j z_j / D_j}, \qquad
              \delta_k = \log D_k(t) - \log D_k(t + 1), \qquad
              \xi \leftarrow \text{step}(\xi, \nabla z^\top \delta)

    Args:
      optimizer: Of the logits; None for Adam with a rate of 0.025 on the gradient plus
        0.001 times the logits, as in the paper's practical algorithm (the public code
        has 1e-2 or 1e-5 there). It sees one entry at a time.
      lowest: Lower bounds :math:`b` of the losses; None for 0.

    Returns:
      A :class:`Weighting` with residual 0 that needs losses; the weights add up to 1.
      An absent objective's logit stands still.

    References:
      Liu et al., FAMO: Fast Adaptive Multitask Optimization (arXiv:2306.03792), 2023,
      algorithm 1. The paper evaluates the same batch again after the step; here
      :math:`\delta` compares it with the next batch, which costs no forward pass and
      adds the noise of the batches. A loss below its bound counts as at the bound,
      where public code takes the logarithm of a negative number.
    """
    if optimizer is None:
        optimizer = optax.chain(optax.add_decayed_weights(1e-3), optax.adam(0.025))

    losses_of = partial(present_losses, method="famo")

    def init(num_objectives: int) -> State:
        start = jnp.zeros(num_objectives)
        seen = jnp.zeros(num_objectives, bool)
        return FamoState(start, start, seen, step_state(optimizer, start))

    def update(signals: Signals, state: FamoState) -> tuple[Solution, FamoState]:
        present, kind = present_of(signals), state.logits.dtype
        bound = jnp.asarray(0 if lowest is None else lowest, kind)
        above = losses_of(signals).astype(kind) - bound
        logs = jnp.log(jnp.maximum(above, 0) + EPSILON)
        both = present & state.seen
        fell = jnp.where(both, state.before - logs, 0)
        share = shares(state.logits, both)
        slope = share * (fell - jnp.sum(share * fell))
        logits, steps = stepped(optimizer, slope, state.steps, state.logits, both)
        out = jnp.promote_types(signals.gramian.dtype, jnp.float32)
        weights = shares(logits - logs, present).astype(out)
        before = jnp.where(present, logs, state.before)
        return Solution(weights, jnp.zeros((), out)), FamoState(
            logits, before, state.seen | present, steps
        )

    return watched(Weighting(init, update), losses_of)
