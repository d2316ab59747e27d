"""ConFIG: the conflict-free direction, as long as the gradients reach along it."""

import jax.numpy as jnp

from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    checked_prefs,
    present_gramian,
    watched,
)
from morl.weighting.equal_projection import equal_projection


def config(prefs: Prefs | None = None) -> Weighting:
    r"""ConFIG: projections of the unit gradients as preferred, and the sum of the full.

    .. math:: d = \Big(\sum_k g_k \cdot u\Big) u, \quad
       u = \frac{\hat{J}^+ p}{\|\hat{J}^+ p\|}

    with the unit gradients in the rows of :math:`\hat{J}`. Scaling one gradient changes
    the length of the direction, nothing else.

    Args:
      prefs: Projections :math:`p` of the unit gradients on the direction, up to a
        common factor, at least 0; None for equal ones.

    Returns:
      A stateless :class:`Weighting`. Its residual is the largest distance of a
      projection from what is wanted, relative to the largest that is. Where
      gradients cancel so that no direction is left, the weights are 0 and the residual
      is 1.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    Examples:
      >>> rows = jnp.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])
      >>> weights = config().update(Signals(rows @ rows.T), ())[0].weights
      >>> [f"{entry:.4f}" for entry in weights @ rows]
      ['0.1588', '2.0706', '2.0706']

    References:
      Liu et al., ConFIG: Towards Conflict-free Training of Physics Informed Neural
      Networks (arXiv:2408.11104), equations 2 to 4. The length is that of the paper
      whatever the preferences are, the sum of the projections.
    """

    asked = checked_prefs(prefs, "config")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        found = equal_projection(signals, asked)
        omega, reach, norms = found.coefficients, found.projections, found.norms
        square = omega @ reach
        known = square > 0
        length = jnp.sum(jnp.where(found.counted, norms * reach, 0))
        scale = jnp.where(known, length / jnp.where(known, square, 1), 0)
        gap = jnp.where(found.counted, jnp.abs(reach - found.wanted), 0)
        return Solution(omega * scale / norms, jnp.max(gap)), state

    return watched(Weighting(init, update), present_gramian)
