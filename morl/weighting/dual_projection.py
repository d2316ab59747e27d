"""DualProj: the preferred combination, projected onto the cone that hurts nothing."""

from morl.numerics.small_qp import above_qp
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


def dual_projection(prefs: Prefs | None = None) -> Weighting:
    r"""Projects the preferred combination onto the dual cone of the gradients.

    .. math:: w = \arg\min_{v \ge u} v^\top G v

    The result is the nearest direction to :math:`\sum_k u_k g_k` with
    :math:`d \cdot g_k \ge 0` for every objective.

    Args:
      prefs: Preferences :math:`u`, at least 0; None for ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting` with the residual of the program's conditions.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = dual_projection().update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.4f}" for weight in weights]
      ['0.6111', '0.5000']

    References:
      Lopez-Paz and Ranzato, Gradient Episodic Memory (arXiv:1706.08840), equation 11.
    """

    wanted = checked_prefs(prefs, "dual_projection")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        lower = preferences(wanted, signals)
        gramian = present_gramian(signals)
        return Solution(*above_qp(gramian, lower, present=signals.present)), state

    return watched(Weighting(init, update), present_gramian)
