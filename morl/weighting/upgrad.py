"""UPGrad: every gradient projected onto the cone that hurts nothing, then summed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from morl.numerics.small_qp import QPSolution, above_qp
from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    checked_prefs,
    preferences,
    present_gramian,
    watched,
)

# Programs solved side by side: a large batch of more leaves a core's cache.
AT_ONCE = 8


def upgrad(prefs: Prefs | None = None) -> Weighting:
    r"""Sums the projections of the gradients onto their dual cone.

    .. math:: w = \sum_i \arg\min_{v \ge u_i e_i} v^\top G v

    The direction hurts no objective, and grows with each gradient on its own. Public
    code adds a small multiple of the identity to a normalised Gramian; here there is
    none, so the weights are those of the formula.

    Args:
      prefs: Preferences :math:`u`, at least 0; None for ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting` with the largest residual of the ``k`` programs.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    Examples:
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = upgrad().update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.6f}" for weight in weights]
      ['1.111111', '0.789474']

    References:
      Quinton and Rey, Jacobian Descent for Multi-Objective Optimization
      (arXiv:2406.16232), section 3.
    """

    wanted = checked_prefs(prefs, "upgrad")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        lower = preferences(wanted, signals)
        gramian = present_gramian(signals)

        def projected(bound: Float[Array, " k"]) -> QPSolution:
            return above_qp(gramian, bound, present=signals.present)

        each = jax.lax.map(projected, jnp.diag(lower), batch_size=AT_ONCE)
        return Solution(jnp.sum(each.point, axis=0), jnp.max(each.residual)), state

    return watched(Weighting(init, update), present_gramian)
