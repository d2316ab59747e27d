"""Penalty boundary intersection: along a ray from the ideal point, and off it."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.numerics import length, unit
from morl.scalarize.present import has_weight, keep_gaps, keep_present, utility_type


def penalty_boundary(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    ideal: Float[Array, " k"],
    penalty: Float[Array, ""] | float = 5.0,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Distance from the ideal along the ray of the weights, and a penalty off the ray.

    .. math::
        u(r) = -d_1 - \theta d_2, \quad
        d_1 = \frac{(z - r) \cdot w}{\lVert w \rVert}, \quad
        d_2 = \Big\lVert z - r - d_1 \frac{w}{\lVert w \rVert} \Big\rVert

    The weights are the direction of the *shortfall*: of an objective with more weight
    more is given up. Each ray meets the front in one place, so concave parts are
    reached as soon as the penalty is steep enough. Raising one objective can leave the
    ray and lower the utility: it is not monotone.

    The paper takes the size of :math:`d_1`; here it keeps its sign, so that going
    beyond the ideal along the ray is better and not worse.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Direction :math:`w`, at least 0; its length does not matter.
      ideal: Ideal point :math:`z`, an upper bound on each reward.
      penalty: Price :math:`\theta \ge 0` of distance from the ray.
      present: Entries that count: ray and distances are taken among them. The utility
        is 0 where none has weight.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([0.0, 1.0]), jnp.array([0.6, 0.8])
      >>> print(f"{penalty_boundary(r, w, ideal=jnp.ones(2), penalty=2.0):.3f}")
      -2.200

    References:
      Zhang and Li, MOEA/D, IEEE Transactions on Evolutionary Computation 11, 2007,
      Section II-C.
    """
    kind = utility_type(rewards)
    rewards, weights, kept = keep_present(rewards, weights, present)
    gap, ray = -keep_gaps(rewards, ideal, kept), unit(weights)
    along = jnp.sum(ray * gap)
    across = length(gap - along * ray)
    utility = jnp.where(jnp.any(has_weight(ray)), -along - penalty * across, 0)
    return utility.astype(kind)
