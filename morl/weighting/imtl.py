"""IMTL-G: the direction on which all unit gradients project equally."""

import jax.numpy as jnp

from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_gramian,
    watched,
)
from morl.weighting.equal_projection import equal_projection


def imtl() -> Weighting:
    r"""IMTL-G: weights that add up to 1 and give all unit gradients equal projections.

    .. math:: w = v / \sum_k v_k, \quad v = D^{-1} R^+ 1

    with :math:`D` the norms and :math:`R` the cosines of the gradients. Where they are
    independent, :math:`v = G^+ \sqrt{\operatorname{diag} G}`, the paper's rule. Where
    they are not, the two differ: this one still projects duplicates of different
    lengths equally, and does not depend on the unit of a loss.

    Returns:
      A stateless :class:`Weighting`. Its residual is the largest distance of a
      projection from what all share, relative to it. The sum of :math:`v` may be
      negative; then the rule as published points backwards, all projections are equal
      and negative, and the residual is 2. Where gradients cancel so that no direction
      is left, the weights are 0 and the residual is 1.

    Examples:
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = imtl().update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.4f}" for weight in weights]
      ['0.5923', '0.4077']

    References:
      Liu et al., Towards Impartial Multi-task Learning (ICLR 2021), section 3.1.
    """

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        found = equal_projection(signals)
        least = jnp.min(jnp.where(found.counted, found.norms, jnp.inf))
        least = jnp.where(jnp.isfinite(least), least, 1)
        # Relative to the shortest gradient: a sum of reciprocals could overflow.
        parts = found.coefficients * (least / found.norms)
        total = jnp.sum(parts)
        weights = parts / jnp.where(total == 0, 1, total)
        gap = jnp.abs(jnp.sign(total) * found.projections - 1)
        return Solution(weights, jnp.max(jnp.where(found.counted, gap, 0))), state

    return watched(Weighting(init, update), present_gramian)
