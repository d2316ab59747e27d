"""Losses on single responses with a score or a label."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.numerics import WeightedSum, masked_sum


def squared_error(
    predicted: Float[Array, "*batch n"],
    scores: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Squared distance :math:`\sum_i (r(x_i, y_i) - s_i)^2` from the given scores.

    Args:
      predicted: Rewards, in the unit of the scores.
      scores: Scores to meet.
      mask: Responses that are scored; elsewhere values may be NaN.
      weights: How much each response counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    References:
      arXiv:2505.02666, pointwise reward modelling; HelpSteer (arXiv:2311.09528).
    """
    gap = jnp.where(mask, predicted - scores, 0)
    return masked_sum(jnp.square(gap), mask, weights)


def binary_cross_entropy(
    logits: Float[Array, "*batch n"],
    labels: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Cross-entropy of yes/no labels, soft ones too, under :math:`\sigma(r)`.

    Args:
      logits: Rewards read as log-odds of "yes", in nats.
      labels: Probability of "yes", in [0, 1].
      mask: Responses that are labelled; elsewhere values may be NaN.
      weights: How much each response counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.
    """
    safe = jnp.where(mask, logits, 0)
    target = jnp.where(mask, labels, 0)
    losses = jax.nn.softplus(safe) - target * safe
    return masked_sum(losses, mask, weights)
