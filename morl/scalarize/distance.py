"""Weighted distance to the ideal point, in any Lp norm."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.numerics import length
from morl.scalarize.present import keep_gaps, keep_present, utility_type


def lp_distance(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    ideal: Float[Array, " k"],
    p: Float[Array, ""] | float = 2.0,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Weighted Lp distance short of the ideal point, as a utility.

    .. math:: u(r) = -\Big( \sum_k \big(w_k \max(z_k - r_k, 0)\big)^p \Big)^{1/p}

    For :math:`p = 1` it is the linear utility, for growing :math:`p` it tends to
    :func:`morl.scalarize.chebyshev` and reaches ever more strongly concave parts of the
    front.

    Two conventions are about: weights inside the power, as here, so that the limit is
    Chebyshev with the same weights, or in front of it. Beyond the ideal the distance
    would grow again and punish an improvement; here such an entry counts as arrived.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0.
      ideal: Ideal point :math:`z`, an upper bound on each reward.
      p: Order of the norm, finite and at least 1.
      present: Entries that count; the weights are renormalised over them, and the
        utility is 0 where there is none.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([0.4, 0.2]), jnp.array([0.5, 0.5])
      >>> print(f"{lp_distance(r, w, ideal=jnp.ones(2), p=2.0):.3f}")
      -0.500

    References:
      Yu, A Class of Solutions for Group Decision Problems, Management Science 19, 1973;
      Marler and Arora, Survey of Multi-Objective Optimization Methods for Engineering,
      Structural and Multidisciplinary Optimization 26, 2004, Section 3.1.
    """
    kind = utility_type(rewards)
    rewards, weights, kept = keep_present(rewards, weights, present)
    short = jnp.maximum(-keep_gaps(rewards, ideal, kept), 0)
    return -length(weights * short, p).astype(kind)
