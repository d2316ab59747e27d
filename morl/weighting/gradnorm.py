"""GradNorm: weighted gradient norms that follow how far each loss has come."""

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
    present_gramian,
    present_losses,
    present_of,
    watched,
)
from morl.weighting.shares import among, restored
from morl.weighting.stepping import StepState, step_state, stepped


class GradNormState(NamedTuple):
    """Weights, and the losses that progress is measured from.

    Attributes:
      weights: They add up to K, as in the paper.
      first: Loss of each objective when it was first present.
      seen: Objectives that have been present.
      steps: The optimizer's state.
    """

    weights: Float[Array, " k"]
    first: Float[Array, " k"]
    seen: Bool[Array, " k"]
    steps: StepState


def gradnorm(
    optimizer: optax.GradientTransformation | None = None, *, alpha: float = 1.5
) -> Weighting:
    r"""Weights that pull each weighted gradient norm towards a common, fair size.

    With norms :math:`n_k = \sqrt{G_{kk}}` and progress
    :math:`\tilde\ell_k = \ell_k / \ell_k(0)`, the weights descend

    .. math:: \sum_k \big| w_k n_k - \bar n \, r_k^\alpha \big|, \qquad
              \bar n = \tfrac{1}{K} \sum_j w_j n_j, \qquad
              r_k = \tilde\ell_k \Big/ \tfrac{1}{K} \sum_j \tilde\ell_j

    where the target is a constant, and are rescaled to add up to K.

    Args:
      optimizer: Of the weights; None for ``optax.sgd(0.025)``. It sees one entry at a
        time.
      alpha: How strongly what lags behind is pulled, at least 0; 0 asks for equal
        norms.

    Returns:
      A :class:`Weighting` with residual 0 that needs positive losses. What it answers
      with adds up to 1 over what is present: the paper's weights over K, from before
      the step. An absent objective's weight stands still.

    References:
      Chen et al., GradNorm (arXiv:1711.02257), 2018, equations 1 and 2 and algorithm 1.
      The gradient is divided by the mean of the norms, so that a rate means the same at
      every scale, and weights stop at 0, of which the paper says nothing. A public
      implementation learns the logits of a softmax instead.
    """
    optimizer = optax.sgd(0.025) if optimizer is None else optimizer

    losses_of = partial(present_losses, method="gradnorm")

    def init(num_objectives: int) -> State:
        even = jnp.ones(num_objectives)
        seen = jnp.zeros(num_objectives, bool)
        return GradNormState(even, even, seen, step_state(optimizer, even))

    def update(
        signals: Signals, state: GradNormState
    ) -> tuple[Solution, GradNormState]:
        present, kind = present_of(signals), state.weights.dtype
        losses = jnp.where(present, losses_of(signals), 1).astype(kind)
        first = jnp.where(state.seen | ~present, state.first, losses)
        # The diagonal of an unbiased Gramian may fall below 0.
        squares = jnp.maximum(jnp.diagonal(present_gramian(signals)), 0)
        norms = jnp.sqrt(squares).astype(kind)
        mine = among(state.weights, present)
        slope = _slope(
            mine, norms, losses / jnp.where(first != 0, first, 1), present, alpha
        )
        moved, steps = stepped(optimizer, slope, state.steps, state.weights, present)
        fresh = among(jnp.maximum(moved, 0), present)
        out = jnp.promote_types(signals.gramian.dtype, jnp.float32)
        return Solution(mine.astype(out), jnp.zeros((), out)), GradNormState(
            restored(fresh, state.weights, present), first, state.seen | present, steps
        )

    return watched(Weighting(init, update), present_gramian, losses_of)


def _slope(
    weights: Float[Array, " k"],
    norms: Float[Array, " k"],
    progress: Float[Array, " k"],
    present: Bool[Array, " k"],
    alpha: float,
) -> Float[Array, " k"]:
    """Gradient of the distance to the targets, over the mean of the norms."""
    count = jnp.maximum(jnp.sum(present), 1).astype(norms.dtype)
    mean = lambda values: jnp.sum(jnp.where(present, values, 0)) / count
    safe = lambda value: jnp.where(value > 0, value, 1)
    rate = jnp.maximum(progress / safe(mean(progress)), 0)
    scaled = norms / safe(mean(norms))
    size = weights * scaled
    return jnp.where(present, jnp.sign(size - mean(size) * rate**alpha) * scaled, 0)
