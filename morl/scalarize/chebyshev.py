"""Worst weighted shortfall from an ideal point, hard and soft."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.scalarize.present import keep_gaps, keep_present, utility_type


def chebyshev(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    ideal: Float[Array, " k"],
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Worst weighted shortfall from the ideal point, as a utility.

    .. math:: u(r) = \min_k w_k (r_k - z_k)

    Every point of the front, on concave parts too, maximises it for some weights. At a
    tie the gradient is shared equally among the tied entries.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0.
      ideal: Ideal point :math:`z`, an upper bound on each reward. Above it a larger
        weight makes an entry count less, not more.
      present: Entries that count; the weights are renormalised over them, and the
        utility is 0 where there is none.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([0.2, 0.9]), jnp.array([0.5, 0.5])
      >>> print(chebyshev(r, w, ideal=jnp.ones(2)))
      -0.4

    References:
      Steuer and Choo, An Interactive Weighted Tchebycheff Procedure for Multiple
      Objective Programming, Mathematical Programming 26, 1983.
    """
    shortfall, kept = _shortfalls(rewards, weights, ideal, present)
    return (-_peak(shortfall, kept)).astype(utility_type(rewards))


def augmented_chebyshev(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    ideal: Float[Array, " k"],
    rho: Float[Array, ""] | float = 0.05,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Worst weighted shortfall, and a little of all of them.

    .. math:: u(r) = \min_k w_k (r_k - z_k) + \rho \sum_k w_k (r_k - z_k)

    The sum separates points that :func:`chebyshev` holds equal, so that every maximiser
    is Pareto optimal in the objectives with weight. Points where the front bends inward
    by a slope beyond about :math:`\rho` are still reached.

    The sum is weighted, as in ParEGO; Steuer and Choo add the plain sum, in which an
    objective without weight would count too.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0.
      ideal: Ideal point :math:`z`, an upper bound on each reward.
      rho: Share :math:`\rho` of the sum, at least 0 and small; 0 gives
        :func:`chebyshev`.
      present: Entries that count; the weights are renormalised over them, and the
        utility is 0 where there is none.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([0.2, 0.9]), jnp.array([0.5, 0.5])
      >>> print(f"{augmented_chebyshev(r, w, ideal=jnp.ones(2), rho=0.1):.3f}")
      -0.445

    References:
      Steuer and Choo, An Interactive Weighted Tchebycheff Procedure for Multiple
      Objective Programming, Mathematical Programming 26, 1983; Knowles, ParEGO, IEEE
      Transactions on Evolutionary Computation 10, 2006, Equation 2.
    """
    shortfall, kept = _shortfalls(rewards, weights, ideal, present)
    utility = -_peak(shortfall, kept) - rho * jnp.sum(shortfall)
    return utility.astype(utility_type(rewards))


def smooth_chebyshev(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    ideal: Float[Array, " k"],
    temperature: Float[Array, ""] | float = 0.1,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Soft worst case of the weighted shortfalls from the ideal point.

    .. math:: u(r) = -\tau \log \sum_k \exp\big(w_k (z_k - r_k) / \tau\big)

    It lies within :math:`\tau \log K` below :func:`chebyshev`, reaches concave parts
    of the front, and has a gradient in every objective.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0.
      ideal: Ideal point :math:`z`, an upper bound on each reward.
      temperature: Smoothing :math:`\tau > 0`, in units of weighted reward.
      present: Entries that count; the weights are renormalised over them, and the
        utility is 0 where there is none.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.zeros(2), jnp.full(2, 0.5)
      >>> print(f"{smooth_chebyshev(r, w, ideal=jnp.ones(2), temperature=1.0):.4f}")
      -1.1931

    References:
      Lin et al., Smooth Tchebycheff Scalarization (arXiv:2402.19078), 2024.
    """
    shortfall, kept = _shortfalls(rewards, weights, ideal, present)
    # Subtract the peak before dividing: a small temperature would overflow float32
    # ahead of the shift that logsumexp makes for itself. The value does not depend on
    # the peak, so no gradient need pass through it.
    peak = jax.lax.stop_gradient(_peak(shortfall, kept))
    gap = jnp.where(kept, shortfall - peak, 0)
    spread = jax.nn.logsumexp(gap / temperature, where=kept)
    spread = jnp.where(jnp.any(kept), spread, 0)
    return (-peak - temperature * spread).astype(utility_type(rewards))


def _shortfalls(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    ideal: Float[Array, " k"],
    present: Bool[Array, " k"] | None,
) -> tuple[Float[Array, " k"], Bool[Array, " k"]]:
    rewards, weights, kept = keep_present(rewards, weights, present)
    return -weights * keep_gaps(rewards, ideal, kept), kept


def _peak(shortfall: Float[Array, " k"], kept: Bool[Array, " k"]) -> Float[Array, ""]:
    peak = jnp.max(jnp.where(kept, shortfall, -jnp.inf))
    return jnp.where(jnp.any(kept), peak, 0)
