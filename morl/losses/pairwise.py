"""Losses on pairs of which one response was preferred, or neither."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.losses.kept import kept
from morl.losses.ordinal import ordinal_loss
from morl.losses.pointwise import binary_cross_entropy
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
    gap = _gap(better, worse, mask)
    return masked_sum(-jax.nn.log_sigmoid(gap), mask, weights)


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

    Examples:
      >>> one = jnp.ones(1)
      >>> print(f"{margin_bradley_terry(one, 0 * one, one, one > 0).mean:.4f}")
      0.6931

    References:
      Touvron et al., Llama 2 (arXiv:2307.09288), equation 2.
    """
    gap = _gap(better, worse, mask) - scale * kept(strength, mask)
    return masked_sum(-jax.nn.log_sigmoid(gap), mask, weights)


def scaled_bradley_terry(
    better: Float[Array, "*batch n"],
    worse: Float[Array, "*batch n"],
    strength: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Bradley-Terry in which a stronger preference pulls harder.

    .. math:: -\sum_i m_i \log \sigma\big(r(y_i^w) - r(y_i^l)\big)

    The mean is over pairs: the strength is in the loss and not in what it is divided
    by, unlike a weight, so that a batch of strong preferences takes a larger step.

    Args:
      better: Rewards of the preferred responses, in nats of log-odds.
      worse: Rewards of the others.
      strength: Strength :math:`m_i \ge 0` of each preference.
      mask: Pairs that count; elsewhere values may be NaN.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> one = jnp.ones(1)
      >>> print(f"{scaled_bradley_terry(one, 0 * one, 3 * one, one > 0).mean:.4f}")
      0.9398

    References:
      Wang et al., HelpSteer2-Preference (arXiv:2410.01257), 2024, the scaled
      Bradley-Terry loss.
    """
    losses = -jax.nn.log_sigmoid(_gap(better, worse, mask))
    return masked_sum(kept(strength, mask) * losses, mask, weights)


def soft_bradley_terry(
    better: Float[Array, "*batch n"],
    worse: Float[Array, "*batch n"],
    confidence: float | Float[Array, ""] | Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Bradley-Terry with labels that may be wrong.

    .. math:: -\sum_i p_i \log \sigma(d_i) + (1 - p_i) \log \sigma(-d_i), \qquad
       d_i = r(y_i^w) - r(y_i^l)

    The cross-entropy of "the first is better". It is least at a gap of
    :math:`\operatorname{logit} p_i`, where plain Bradley-Terry would widen the gap
    without end. One number for all pairs is label smoothing, a share of annotators a
    soft label.

    Args:
      better: Rewards of the responses said to be preferred, in nats of log-odds.
      worse: Rewards of the others.
      confidence: Probability :math:`p_i` that the stated preference is right.
      mask: Pairs that count; elsewhere values may be NaN.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> one = jnp.ones(1)
      >>> print(f"{soft_bradley_terry(one, 0 * one, 0.9, one > 0).mean:.4f}")
      0.4133

    References:
      Christiano et al., Deep Reinforcement Learning from Human Preferences
      (arXiv:1706.03741), 2017, Section 2.2.3.
    """
    labels = jnp.broadcast_to(confidence, mask.shape)
    return binary_cross_entropy(
        _gap(better, worse, mask), labels, mask, weights=weights
    )


def rao_kupper(
    better: Float[Array, "*batch n"],
    worse: Float[Array, "*batch n"],
    tied: Bool[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    threshold: float | Float[Array, ""],
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Preferences and ties, where a gap below a threshold often goes unnoticed.

    .. math:: P(w \succ l) = \sigma(d - \eta), \quad
       P(w \sim l) = \sigma(\eta - d) - \sigma(-\eta - d), \quad d = r(y^w) - r(y^l)

    Three ordered outcomes of the gap: :func:`morl.losses.ordinal_loss` with thresholds
    :math:`\mp\eta`. With a threshold of 0 ties are impossible and it is Bradley-Terry.

    Args:
      better: Rewards of the preferred responses, in nats of log-odds; of either one
        where they are tied.
      worse: Rewards of the others.
      tied: Pairs of which neither was preferred.
      mask: Pairs that count; elsewhere values may be NaN.
      threshold: :math:`\eta = \log \theta \ge 0`, in nats, above 0 where there are
        ties; may be learned.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> one = jnp.ones(1)
      >>> loss = rao_kupper(one, one, one > 0, one > 0, threshold=1.0)
      >>> print(f"{jnp.exp(-loss.mean):.4f}")
      0.4621

    References:
      Rao and Kupper, Ties in Paired-Comparison Experiments, Journal of the American
      Statistical Association 62, 1967; Liu et al., Reward Learning From Preference With
      Ties (arXiv:2410.05328), 2024.
    """
    thresholds = jnp.stack([-jnp.asarray(threshold), jnp.asarray(threshold)])
    gap, outcome = _gap(better, worse, mask), jnp.where(tied, 1, 2)
    return ordinal_loss(gap, outcome, thresholds, mask, weights=weights)


def davidson(
    better: Float[Array, "*batch n"],
    worse: Float[Array, "*batch n"],
    tied: Bool[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
    *,
    tie_reward: float | Float[Array, ""],
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Preferences and ties, where a tie is a third choice between the two.

    .. math:: P(w \succ l) = \frac{e^{r_w}}{Z}, \quad
       P(w \sim l) = \frac{e^{\tau + (r_w + r_l) / 2}}{Z}, \quad
       Z = e^{r_w} + e^{r_l} + e^{\tau + (r_w + r_l) / 2}

    Given that the pair is not tied it is Bradley-Terry, which
    :func:`rao_kupper` is not.

    Args:
      better: Rewards of the preferred responses, in nats of log-odds; of either one
        where they are tied.
      worse: Rewards of the others.
      tied: Pairs of which neither was preferred.
      mask: Pairs that count; elsewhere values may be NaN.
      tie_reward: :math:`\tau = \log \nu`, in nats: how far the choice "tie" lies above
        the mean of both rewards; may be learned.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by.

    Examples:
      >>> one = jnp.ones(1)
      >>> loss = davidson(one, one, one > 0, one > 0, tie_reward=0.0)
      >>> print(f"{jnp.exp(-loss.mean):.4f}")
      0.3333

    References:
      Davidson, On Extending the Bradley-Terry Model to Accommodate Ties in Paired
      Comparison Experiments, Journal of the American Statistical Association 65, 1970.
    """
    half = _gap(better, worse, mask) / 2
    tie = jnp.broadcast_to(jnp.asarray(tie_reward, half.dtype), half.shape)
    chosen, other = jnp.where(tied, tie, half), jnp.where(tied, half, tie)
    # The odds against what happened: a small loss stays exact, as in log_sigmoid.
    rivals = jnp.logaddexp(other - chosen, -half - chosen)
    return masked_sum(jax.nn.softplus(rivals), mask, weights)


def _gap(
    better: Float[Array, "*batch n"],
    worse: Float[Array, "*batch n"],
    mask: Bool[Array, "*batch n"],
) -> Float[Array, "*batch n"]:
    return kept(better, mask) - kept(worse, mask)
