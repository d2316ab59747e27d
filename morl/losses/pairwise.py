"""Losses on pairs of which one response was preferred."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.numerics import WeightedSum, masked_sum


def bradley_terry(
    better: Float[Array, "*batch n"],
    worse: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Negative log-likelihood of the preferences under Bradley-Terry.

    .. math:: -\sum_i \log \sigma\big(r(x_i, y_i^w) - r(x_i, y_i^l)\big)

    Args:
      better: Rewards of the preferred responses, in nats of log-odds.
      worse: Rewards of the others.
      mask: Pairs that this objective labels; elsewhere values may be NaN.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> one = jnp.ones(1)
      >>> print(f"{bradley_terry(one, 0 * one, one > 0).mean:.4f}")
      0.3133

    References:
      Bradley and Terry, Biometrika 39 (1952); arXiv:2505.02666, reward modelling.
    """
    margin = jnp.zeros_like(better)
    return margin_bradley_terry(better, worse, margin, mask, weights=weights)


def margin_bradley_terry(
    better: Float[Array, "*batch n"],
    worse: Float[Array, "*batch n"],
    strength: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    scale: float | Float[Array, ""] = 1.0,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Bradley-Terry in which a stronger preference asks for a wider gap.

    .. math:: -\sum_i \log \sigma\big(r(y_i^w) - r(y_i^l) - \alpha m_i\big)

    Args:
      better: Rewards of the preferred responses, in nats of log-odds.
      worse: Rewards of the others.
      strength: Strength :math:`m_i \ge 0` of each preference.
      mask: Pairs that count; elsewhere values may be NaN.
      scale: :math:`\alpha`, nats of log-odds a unit of strength.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    References:
      Touvron et al., Llama 2 (arXiv:2307.09288), equation 2.
    """
    gap = better - worse - scale * strength
    # The inner where keeps NaN of masked pairs out of the backward pass.
    losses = -jax.nn.log_sigmoid(jnp.where(mask, gap, 0))
    return masked_sum(losses, mask, weights)
