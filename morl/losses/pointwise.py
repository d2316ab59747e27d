"""Losses on single responses, tokens or steps that have a score or a label.

Nothing here asks what an entry is. With tokens or steps as the last axis these are the
losses of token scores (:func:`squared_error`, :func:`huber_error`) and of process
rewards, where a step is right or wrong (:func:`binary_cross_entropy`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.losses.kept import kept
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

    Examples:
      >>> squared_error(jnp.array([3.0]), jnp.ones(1), jnp.ones(1, bool)).mean.item()
      4.0

    References:
      arXiv:2505.02666, pointwise reward modelling; HelpSteer (arXiv:2311.09528).
    """
    gap = kept(predicted, mask) - kept(scores, mask)
    return masked_sum(jnp.square(gap), mask, weights)


def huber_error(
    predicted: Float[Array, "*batch n"],
    scores: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    delta: float | Float[Array, ""] = 1.0,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Distance from the given scores: squared when small, absolute when large.

    .. math:: \sum_i c_i \big(|e_i| - \tfrac12 c_i\big), \quad
       c_i = \min(|e_i|, \delta), \quad e_i = r(x_i, y_i) - s_i

    A score that is far off pulls with a force of at most :math:`\delta`, so that single
    wrong labels cannot take over. Near zero it is *half* of :func:`squared_error`.

    Args:
      predicted: Rewards, in the unit of the scores.
      scores: Scores to meet.
      mask: Responses that are scored; elsewhere values may be NaN.
      delta: :math:`\delta > 0`, in the unit of the scores, where the square ends.
      weights: How much each response counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> far = jnp.array([3.0])
      >>> huber_error(far, jnp.zeros(1), jnp.ones(1, bool)).mean.item()
      2.5

    References:
      Huber, Robust Estimation of a Location Parameter, Annals of Mathematical
      Statistics 35, 1964.
    """
    size = jnp.abs(kept(predicted, mask) - kept(scores, mask))
    near = jnp.minimum(size, delta)
    return masked_sum(near * (size - near / 2), mask, weights)


def binary_cross_entropy(
    logits: Float[Array, "*batch n"],
    labels: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Cross-entropy of yes/no labels, soft ones too, under :math:`\sigma(r)`.

    .. math:: -\sum_i p_i \log \sigma(r_i) + (1 - p_i) \log \sigma(-r_i)

    Args:
      logits: Rewards read as log-odds of "yes", in nats.
      labels: Probability :math:`p_i` of "yes", in [0, 1].
      mask: Responses that are labelled; elsewhere values may be NaN.
      weights: How much each response counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> right = jnp.ones(1)
      >>> print(f"{binary_cross_entropy(jnp.ones(1), right, right > 0).mean:.4f}")
      0.3133
    """
    # A softplus a side: softplus(r) - p r would lose a small loss to cancellation.
    logits, labels = kept(logits, mask), kept(labels, mask)
    losses = labels * jax.nn.softplus(-logits) + (1 - labels) * jax.nn.softplus(logits)
    return masked_sum(losses, mask, weights)
