"""RACO: CAGrad's correction, no larger for any objective than its preference."""

import jax.numpy as jnp

from morl.numerics.conflict_averse import conflict_averse, square_noise
from morl.weighting.cagrad import DEFAULT_RADIUS, checked_radius
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


def raco(c: float = DEFAULT_RADIUS, prefs: Prefs | None = None) -> Weighting:
    r"""RACO: around the preferred gradient, with the dual clipped at the preferences.

    .. math:: \tilde p = \min(p^*, u), \quad
       d = g_0 + c \|g_0\| \frac{g_{\tilde p}}{\|g_{\tilde p}\|}

    with CAGrad's dual solution :math:`p^*`. The correction cannot go to an objective
    further than the user's preference for it.

    Args:
      c: Length of the correction over that of :math:`g_0`, at least 0.
      prefs: Preferences :math:`u`, weights of :math:`g_0`, at least 0; None for
        ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting` with the residual of :func:`cagrad`. Where the
      clipped combination is zero the weights are those of :math:`g_0`.

    Raises:
      InputError: ``c`` or an entry of ``prefs`` is negative or not finite, or all
        preferences are 0.

    Examples:
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = raco(0.5, jnp.array([0.3, 0.7])).update(Signals(gramian), ())[0]
      >>> [f"{weight:.4f}" for weight in weights.weights]
      ['0.6909', '0.7000']

    References:
      Chen, Li, Chen and Lin, Reward-free Alignment for Conflicting Objectives
      (arXiv:2602.02495).
    """
    radius = checked_radius(c, "raco")
    wanted = checked_prefs(prefs, "raco")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        centre = preferences(wanted, signals)
        gramian = present_gramian(signals)
        found = conflict_averse(gramian, centre, radius, present=signals.present)
        clipped = jnp.minimum(found.point, centre)
        # Lengths relative to the longest gradient, whose square may not overflow.
        size = jnp.max(jnp.diagonal(gramian))
        scaled = gramian / jnp.where(size > 0, size, 1)
        square = clipped @ scaled @ clipped
        known = square > square_noise(scaled, clipped)
        ratio = (centre @ scaled @ centre) / jnp.where(known, square, 1)
        length = jnp.where(known & (ratio > 0), ratio, 1)
        length = jnp.where(known & (ratio > 0), radius * jnp.sqrt(length), 0)
        return Solution(centre + length * clipped, found.residual), state

    return watched(Weighting(init, update), present_gramian)
