"""Aligned-MTL: gradients made orthogonal and equally long, then mixed."""

import jax.numpy as jnp

from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    checked_prefs,
    preferences,
    present_gramian,
    present_of,
    watched,
)
from morl.weighting.equal_projection import spectrum


def aligned(prefs: Prefs | None = None) -> Weighting:
    r"""Aligned-MTL: the nearest gradients whose Gramian is a multiple of the identity.

    .. math:: w = \sqrt{\lambda_{\min}}\, V \Lambda^{-1/2} V^\top p, \quad
       G = V \Lambda V^\top

    over the eigenvalues that are not zero: above ``10 * k`` times the machine epsilon
    of the largest one. So absent and zero gradients have weight 0, and so has one that
    is too short beside the longest for its square to be told from rounding.

    Args:
      prefs: Preferences :math:`p`, at least 0; None for ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting` with residual 0.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    Examples:
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = aligned().update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.4f}" for weight in weights]
      ['0.5591', '0.4083']

    References:
      Senushkin et al., Independent Component Alignment for Multi-Task Learning
      (arXiv:2305.19000), algorithm 1, the scale by the least singular value.
    """

    wanted = checked_prefs(prefs, "aligned")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        base = preferences(wanted, signals)
        gramian = present_gramian(signals)
        size = jnp.max(jnp.diagonal(gramian))
        values, vectors, kept = spectrum(gramian / jnp.where(size > 0, size, 1))
        least = jnp.min(jnp.where(kept, values, jnp.inf))
        ratio = jnp.where(kept, least, 0) / jnp.where(kept, values, 1)
        root = jnp.where(kept, jnp.sqrt(jnp.where(kept, ratio, 1)), 0)
        weights = vectors @ (root * (base @ vectors))
        alive = present_of(signals) & (jnp.diagonal(gramian) > 0)
        weights = jnp.where(alive, weights, 0)
        return Solution(weights, jnp.zeros((), weights.dtype)), state

    return watched(Weighting(init, update), present_gramian)
