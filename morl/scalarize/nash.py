"""The Nash product: the weighted geometric mean of gains."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.scalarize.present import keep_gaps, keep_shares, utility_type


def nash_product(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    disagreement: Float[Array, " k"],
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Weighted geometric mean of the gains over the disagreement point.

    .. math:: u(r) = \prod_k (r_k - d_k)^{w_k / \sum_j w_j}

    where every gain with weight is above 0, and the smallest of those gains,
    :math:`\min_k (r_k - d_k)`, elsewhere. The best point does not depend on the unit
    of any objective. Which concave parts are reached depends on the disagreement point:
    the closer to the front, the more.

    The product is defined for gains only. Below the disagreement point the worst gain
    continues it, so that the utility stays continuous and monotone, and its slope leads
    back. The mean and the product have the same maximisers.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Bargaining power :math:`w`, at least 0, of which the proportions matter;
        an entry with weight 0 is left out.
      disagreement: Point :math:`d` that each objective has without an agreement, such
        as the rewards of the reference policy.
      present: Entries that count; the utility is 0 where none has weight.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([4.0, 9.0]), jnp.array([0.5, 0.5])
      >>> print(f"{nash_product(r, w, disagreement=jnp.zeros(2)):.3f}")
      6.000

    References:
      Nash, The Bargaining Problem, Econometrica 18, 1950; Kalai, Nonsymmetric Nash
      Solutions and Replications of 2-Person Bargaining, International Journal of Game
      Theory 6, 1977.
    """
    kind = utility_type(rewards)
    rewards, shares, counted = keep_shares(rewards, weights, present)
    gain = keep_gaps(rewards, disagreement, counted)
    worst = jnp.min(jnp.where(counted, gain, jnp.inf))
    agreed = worst > 0
    safe = jnp.where(counted & agreed, gain, 1)
    mean = jnp.exp(jnp.sum(shares * jnp.log(safe)))
    utility = jnp.where(agreed, mean, worst)
    return jnp.where(jnp.any(counted), utility, 0).astype(kind)
