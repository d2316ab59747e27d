"""Conditional value at risk over objectives: the mean of the worst share."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.scalarize.present import keep_shares, utility_type


def cvar(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    alpha: Float[Array, ""] | float = 0.5,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Mean of the worst share of the objectives, the weights being their masses.

    .. math::
        u(r) = \min_q \Big\{ \sum_k q_k r_k :
        0 \le q_k \le \frac{w_k}{\alpha \sum_j w_j}, \ \sum_k q_k = 1 \Big\}

    Objectives are taken from the worst up, each with its mass, until a mass of
    :math:`\alpha` is full. For :math:`\alpha = 1` it is the weighted mean, for
    :math:`\alpha \to 0` the worst case. Entries that are equal share what is taken of
    them by their masses, and so does the gradient.

    Args:
      rewards: Reward vector :math:`r`, in one unit; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0, of which the proportions matter.
      alpha: Share :math:`0 < \alpha \le 1`.
      present: Entries that count; the utility is 0 where none has weight.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([3.0, 1.0, 2.0]), jnp.array([0.5, 0.25, 0.25])
      >>> print(f"{cvar(r, w, alpha=0.5):.2f}")
      1.50

    References:
      Rockafellar and Uryasev, Conditional Value-at-Risk for General Loss Distributions,
      Journal of Banking and Finance 26, 2002, of the lower tail.
    """
    kind = utility_type(rewards)
    rewards, shares, _ = keep_shares(rewards, weights, present)
    column, row = rewards[:, None], rewards[None, :]
    equal = row == column
    below = jnp.sum(jnp.where(row < column, shares[None, :], 0), -1)
    tied = jnp.sum(jnp.where(equal, shares[None, :], 0), -1)
    # Over their peak, so that the square of tiny masses does not underflow in the
    # gradient of the quotient, which does not depend on it.
    peak = jax.lax.stop_gradient(jnp.max(jnp.where(equal, shares[None, :], 0), -1))
    peak = jnp.where(peak > 0, peak, 1)
    part = (shares / peak) / jnp.where(tied > 0, tied / peak, 1)
    taken = part * jnp.clip(alpha - below, 0, tied)
    # The whole taken is alpha but for rounding; dividing by it keeps a mean a mean.
    whole = jnp.sum(taken)
    utility = jnp.sum(taken * rewards) / jnp.where(whole > 0, whole, 1)
    return utility.astype(kind)
