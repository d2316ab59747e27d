"""The weighted sum of rewards."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.scalarize.present import keep_present, utility_type


def linear(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Weighted sum of the rewards.

    .. math:: u(r) = \sum_k w_k r_k

    Over stochastic policies, whose attainable mean rewards form a convex set, its
    maximisers for all weights trace the whole front; over a finite set of designs it
    misses the concave parts.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`, of any sign and sum.
      present: Entries that count; the weights are renormalised over them, and the
        utility is 0 where there is none.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> print(linear(jnp.array([1.0, 2.0]), jnp.array([0.5, 0.25])))
      1.0
    """
    kept, weights, _ = keep_present(rewards, weights, present)
    return jnp.sum(weights * kept).astype(utility_type(rewards))
