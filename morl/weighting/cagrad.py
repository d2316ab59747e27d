"""CAGrad: the best worst improvement in a ball around the mean gradient."""

import math

from morl.errors import InputError
from morl.numerics.conflict_averse import conflict_averse
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

DEFAULT_RADIUS = 0.5


def cagrad(c: float = DEFAULT_RADIUS, prefs: Prefs | None = None) -> Weighting:
    r"""CAGrad: improves the objective that improves least, near the mean gradient.

    .. math:: \max_d \min_k g_k \cdot d \quad \text{s.t. } \|d - g_0\| \le c \|g_0\|

    With ``c = 0`` it is the mean, and the larger ``c``, the nearer to MGDA's direction.
    Below 1 it ends where the mean of the losses is stationary.

    Args:
      c: Radius of the ball over the length of :math:`g_0`, at least 0.
      prefs: Weights of :math:`g_0`, at least 0; None for ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting`. Its residual is that of
      :func:`morl.numerics.conflict_averse`. Where the gradients cancel and the ball
      holds directions that hurt none, the rule does not say which; the nearest to
      :math:`g_0` is taken.

    Raises:
      InputError: ``c`` or an entry of ``prefs`` is negative or not finite, or all
        preferences are 0.

    Examples:
      >>> import jax.numpy as jnp
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = cagrad(0.5).update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.4f}" for weight in weights]
      ['0.7041', '0.5000']

    References:
      Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning
      (arXiv:2110.14048), algorithm 1. Public implementations minimise the dual by SLSQP
      or by a cone solver on the host and divide the direction by a function of ``c``;
      here it is exact, on the device, and as long as the paper says.
    """
    radius = checked_radius(c, "cagrad")
    wanted = checked_prefs(prefs, "cagrad")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        centre = preferences(wanted, signals)
        found = conflict_averse(
            present_gramian(signals), centre, radius, present=signals.present
        )
        weights = centre + found.move
        return Solution(weights, found.residual), state

    return watched(Weighting(init, update), present_gramian)


def checked_radius(c: float, method: str) -> float:
    """The radius as it is.

    Raises:
      InputError: It is negative or not finite.
    """
    if not (math.isfinite(c) and c >= 0):
        raise InputError(
            f"c is {c}, expected a finite number that is at least 0",
            where=f"weighting {method}",
        )
    return float(c)
