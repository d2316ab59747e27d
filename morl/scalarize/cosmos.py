"""COSMOS: a weighted sum that is drawn towards the direction of its weights."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.numerics import unit
from morl.scalarize.present import keep_gaps, keep_present, utility_type


def cosmos(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    reference: Float[Array, " k"],
    penalty: Float[Array, ""] | float = 1.0,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Weighted sum of gains, and their cosine with the weights.

    .. math::
        u(r) = w \cdot g + \lambda \frac{w \cdot g}{\lVert w \rVert \lVert g \rVert},
        \qquad g = r - z

    The cosine spreads the maximisers for all weights over the front, on concave parts
    too when it counts enough. Raising one objective can turn the gains away from the
    weights and lower the utility: it is not monotone.

    The paper minimises :math:`w \cdot L - \lambda \cos(w, L)` for losses, where the two
    terms pull apart: a preferred loss is to be small, and large in proportion. Gains
    over a reference take the place of losses here, and both terms agree. A public
    variant divides the sum by the length of the weights; the paper and this do not.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Preference :math:`w`, at least 0.
      reference: Point :math:`z` from which gains are counted, a lower bound on each
        reward.
      penalty: Weight :math:`\lambda \ge 0` of the cosine, in units of reward.
      present: Entries that count; the weights are renormalised over them, and the
        utility is 0 where there is none. The cosine with no gain at all is 0.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([3.0, 4.0]), jnp.array([0.5, 0.5])
      >>> print(f"{cosmos(r, w, reference=jnp.zeros(2), penalty=2.0):.4f}")
      5.4799

    References:
      Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep Multi-Objective
      Learning (arXiv:2103.13392), 2021, Equation 5.
    """
    kind = utility_type(rewards)
    rewards, weights, kept = keep_present(rewards, weights, present)
    gain = keep_gaps(rewards, reference, kept)
    cosine = jnp.sum(unit(weights) * unit(gain))
    return (jnp.sum(weights * gain) + penalty * cosine).astype(kind)
