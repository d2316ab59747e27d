"""The smallest reward."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.scalarize.present import has_weight, keep_present, utility_type


def worst_case(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Smallest of the rewards that have any weight.

    .. math:: u(r) = \min_{k : w_k > 0} r_k

    The size of a positive weight does not matter, so the rewards must share a unit and
    an origin; :func:`morl.scalarize.chebyshev` is the weighted form. At a tie the
    gradient is shared equally.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`; an entry with weight 0 is left out.
      present: Entries that count; the utility is 0 where none with weight does.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> print(worst_case(jnp.array([3.0, 1.0, 2.0]), jnp.array([0.5, 0.0, 0.5])))
      2.0
    """
    kept, _, present = keep_present(rewards, weights, present)
    counted = present & has_weight(weights)
    least = jnp.min(jnp.where(counted, kept, jnp.inf))
    return jnp.where(jnp.any(counted), least, 0).astype(utility_type(rewards))
