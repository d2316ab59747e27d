"""What a scalarizer does with rewards that are absent."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, DTypeLike, Float, Real


def widen(values: Real[Array, " k"]) -> Float[Array, " k"]:
    """``values`` in float32 at least: bfloat16 cannot carry a sum of rewards."""
    return values if values.dtype == jnp.float64 else values.astype(jnp.float32)


def utility_type(rewards: Real[Array, "..."]) -> DTypeLike:
    """The type of a utility: that of the rewards, float32 where they are integers."""
    kind = jnp.result_type(rewards)
    return kind if jnp.issubdtype(kind, jnp.floating) else jnp.dtype(jnp.float32)


def has_weight(weights: Float[Array, " k"]) -> Bool[Array, " k"]:
    """Entries that are not left out: weights above 0, and NaN, which must be seen."""
    return ~(weights <= 0)


def keep_present(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    present: Bool[Array, " k"] | None,
) -> tuple[Float[Array, " k"], Float[Array, " k"], Bool[Array, " k"]]:
    r"""Rewards, and weights renormalised over the entries that are present.

    .. math:: w'_k = m_k w_k \frac{\sum_j |w_j|}{\sum_j m_j |w_j|}

    The weights keep their total size, so a utility with an entry missing stays
    comparable with one that has them all; with every entry present they are unchanged
    to the last bit.

    Args:
      rewards: Reward vector; absent entries may hold NaN.
      weights: Weight of each entry, of any sign.
      present: Mask :math:`m`; None where all are present.

    Returns:
      Rewards (zero where absent, NaN where the weight is), weights (zero where absent,
      all zero where nothing that is present has weight) and the mask, the first two in
      float32 at least.
    """
    rewards, weights = _widened(rewards, weights)
    if present is None:
        return rewards, weights, jnp.ones_like(rewards, bool)
    kept = jnp.where(present, weights, 0)
    total, left = jnp.sum(jnp.abs(weights)), jnp.sum(jnp.abs(kept))
    some = left > 0
    factor = jnp.where(some, total / jnp.where(some, left, 1), 1)
    return jnp.where(present, rewards, 0), kept * factor, present


def keep_shares(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    present: Bool[Array, " k"] | None,
) -> tuple[Float[Array, " k"], Float[Array, " k"], Bool[Array, " k"]]:
    r"""Rewards, and weights as shares of their sum over the entries that are present.

    .. math:: p_k = \frac{m_k w_k}{\sum_j m_j w_j}

    For the scalarizers that read weights as probabilities or as a direction.

    Args:
      rewards: Reward vector; absent entries may hold NaN.
      weights: Weight of each entry, at least 0.
      present: Mask :math:`m`; None where all are present.

    Returns:
      Rewards (zero where absent, NaN where the weight is), shares (zero where absent,
      all zero where nothing that is present has weight) and where the shares are above
      0 or NaN, the first two in float32 at least.
    """
    rewards, weights = _widened(rewards, weights)
    if present is not None:
        rewards, weights = (
            jnp.where(present, rewards, 0),
            jnp.where(present, weights, 0),
        )
    # Shares do not depend on the peak, and the square of a small total would underflow
    # in the gradient of the quotient.
    peak = jax.lax.stop_gradient(jnp.max(weights, initial=0))
    weights = weights / jnp.where(peak > 0, peak, 1)
    total = jnp.sum(weights)
    shares = weights / jnp.where(total > 0, total, 1)
    return rewards, shares, has_weight(shares)


def keep_gaps(
    rewards: Float[Array, " k"], point: Float[Array, " k"], kept: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """How far ``rewards`` lie above ``point``; 0 where nothing is kept.

    Args:
      rewards: Reward vector, zero where nothing is kept.
      point: Ideal or reference point; may hold NaN where nothing is kept.
      kept: Entries that count.
    """
    return jnp.where(kept, rewards - jnp.where(kept, widen(point), 0), 0)


def _widened(
    rewards: Real[Array, " k"], weights: Float[Array, " k"]
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Both in float32 at least, and the rewards NaN where the weights are.

    A utility that takes no more than the order of the weights would not see it.
    """
    rewards, weights = widen(rewards), widen(weights)
    return jnp.where(jnp.isnan(weights), jnp.nan, rewards), weights
