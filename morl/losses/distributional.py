"""Heads that predict a distribution: losses on scores, log-odds of preferences.

The log-odds go where a difference of rewards would: into
:func:`morl.losses.binary_cross_entropy` with the probability that the first response is
the better one as label, or into :func:`morl.losses.ordinal_loss` with degrees.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.losses.kept import kept
from morl.numerics import WeightedSum, masked_sum


def pinball_loss(
    quantiles: Float[Array, "*batch n q"],
    scores: Float[Array, "*batch n"],
    levels: Float[Array, " q"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Mean pinball loss of predicted quantiles.

    .. math:: \sum_i \frac1q \sum_j \rho_{\tau_j}(s_i - q_{ij}), \qquad
       \rho_\tau(u) = \max\big(\tau u, (\tau - 1) u\big)

    The expectation is least where each prediction is the quantile of its level. A mean
    over levels, so that a finer head is not a larger loss. Nothing keeps quantiles from
    crossing: sort them where they are read.

    Args:
      quantiles: Predicted quantiles, in the unit of the scores.
      scores: Scores :math:`s_i`.
      levels: Level :math:`\tau_j` of each quantile, in (0, 1).
      mask: Responses that are scored; elsewhere values may be NaN.
      weights: How much each response counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> low, score = jnp.array([[1.0]]), jnp.array([3.0])
      >>> loss = pinball_loss(low, score, jnp.array([0.9]), jnp.ones(1, bool))
      >>> print(f"{loss.mean:.4f}")
      1.8000

    References:
      Koenker and Bassett, Regression Quantiles, Econometrica 46, 1978; Dorka, Quantile
      Regression for Distributional Reward Models in RLHF (arXiv:2409.10164), 2024.
    """
    gap = kept(scores, mask)[..., None] - kept(quantiles, mask[..., None])
    level = jnp.broadcast_to(kept(levels, None), gap.shape)
    losses = jnp.mean(jnp.maximum(level * gap, (level - 1) * gap), axis=-1)
    return masked_sum(losses, mask, weights)


def gaussian_nll(
    means: Float[Array, "*batch n"],
    log_variances: Float[Array, "*batch n"],
    scores: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Negative log-likelihood of scores under a Gaussian for each response.

    .. math:: \sum_i \tfrac12 \big(\log 2\pi + v_i + (s_i - \mu_i)^2 e^{-v_i}\big)

    It has no lower bound: a head that meets a score exactly gains from ever less
    variance. Bound the log-variance in the head; below -87 float32 overflows.

    Args:
      means: Predicted means :math:`\mu_i`, in the unit of the scores.
      log_variances: Logarithms :math:`v_i` of the predicted variances.
      scores: Scores :math:`s_i`.
      mask: Responses that are scored; elsewhere values may be NaN.
      weights: How much each response counts; 1 where not given.

    Returns:
      The summed loss in nats and what it is to be divided by.

    Examples:
      >>> zero = jnp.zeros(1)
      >>> print(f"{gaussian_nll(zero, zero, zero, zero == 0).mean:.4f}")
      0.9189

    References:
      Nix and Weigend, Estimating the Mean and Variance of the Target Probability
      Distribution, ICNN 1994; Lou et al., Uncertainty-aware Reward Model
      (arXiv:2410.00847), 2024.
    """
    gap = kept(scores, mask) - kept(means, mask)
    log_variances = kept(log_variances, mask)
    deviance = jnp.square(gap) * jnp.exp(-log_variances)
    losses = (math.log(2 * math.pi) + log_variances + deviance) / 2
    return masked_sum(losses, mask, weights)


def gaussian_log_odds(
    better_mean: Float[Array, "*batch"],
    worse_mean: Float[Array, "*batch"],
    better_var: Float[Array, "*batch"],
    worse_var: Float[Array, "*batch"],
    *,
    mask: Bool[Array, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Log-odds of a preference between two independent Gaussian rewards.

    .. math:: \operatorname{logit} \mathrm{E}\, \sigma(r_w - r_l) \approx
       \frac{\mu_w - \mu_l}{\sqrt{1 + \tfrac{\pi}{8} (s_w^2 + s_l^2)}}

    The logistic function is replaced by a Gaussian integral of the same slope at zero,
    for which the expectation has this closed form. The probability is off by less than
    0.02 everywhere. Preferences alone cannot tell a large gap with large variances from
    a small one with small variances: something else has to hold the scale.

    Args:
      better_mean: Means :math:`\mu_w` of the preferred responses, in nats of log-odds.
      worse_mean: Means :math:`\mu_l` of the others.
      better_var: Variances :math:`s_w^2 \ge 0`, in squared nats.
      worse_var: Variances :math:`s_l^2 \ge 0`.
      mask: Pairs that count; elsewhere values may be NaN. None where all count.

    Returns:
      Log-odds that the first is preferred, in nats, in float32 at least; 0 off the
      mask.

    Examples:
      >>> mean, var = jnp.array(2.0), jnp.array(4.0)
      >>> print(f"{gaussian_log_odds(mean, 0 * mean, var, var):.4f}")
      0.9828

    References:
      MacKay, The Evidence Framework Applied to Classification Networks, Neural
      Computation 4, 1992; Bishop, Pattern Recognition and Machine Learning, 2006,
      Equations 4.153 and 4.154.
    """
    gap = kept(better_mean, mask) - kept(worse_mean, mask)
    variance = kept(better_var, mask) + kept(worse_var, mask)
    return gap / jnp.sqrt(1 + math.pi / 8 * variance)


def quantile_log_odds(
    better: Float[Array, "*batch q"],
    worse: Float[Array, "*batch q"],
    *,
    mask: Bool[Array, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Log-odds of a preference between two rewards that are known by quantiles.

    .. math:: \operatorname{logit} \frac1{q^2} \sum_{ij} \sigma(a_i - b_j)

    The expectation of :math:`\sigma` over both rewards, each quantile taken with the
    same probability: right for evenly spaced levels :math:`(j - \tfrac12) / q`. Time
    and memory grow with :math:`q^2` a pair.

    Args:
      better: Quantiles :math:`a` of the preferred responses, in nats of log-odds.
      worse: Quantiles :math:`b` of the others.
      mask: Pairs that count; elsewhere values may be NaN. None where all count.

    Returns:
      Log-odds that the first is preferred, in nats, in float32 at least; 0 off the
      mask.

    Examples:
      >>> wide, narrow = jnp.array([-3.0, 5.0]), jnp.zeros(2)
      >>> print(f"{quantile_log_odds(wide, narrow):.4f}")
      0.0815
    """
    row = None if mask is None else mask[..., None]
    gap = kept(better, row)[..., :, None] - kept(worse, row)[..., None, :]
    # Both means in log space: where all gaps are large, one of them underflows.
    first = jax.nn.logsumexp(jax.nn.log_sigmoid(gap), axis=(-2, -1))
    second = jax.nn.logsumexp(jax.nn.log_sigmoid(-gap), axis=(-2, -1))
    return first - second
