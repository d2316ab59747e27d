"""Exponential weighted criterion and the log-sum-exp utility."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.scalarize.present import has_weight, keep_present, keep_shares, utility_type


def exponential(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    sharpness: Float[Array, ""] | float = 1.0,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Exponential weighted criterion, in units of reward.

    .. math:: u(r) = -\frac1p \log \sum_k (e^{p w_k} - 1) \, e^{-p r_k}

    A low reward costs exponentially more, so that for a sharpness above the curvature
    of the front concave parts are reached without an ideal point. Adding a number to
    every reward adds it to the utility.

    The paper minimises the sum itself, over losses. Its logarithm has the same
    maximisers; unlike the sum it stays finite for every finite reward. The mean over
    prompts is then a mean of certainty equivalents, not of exponentials.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0; an entry with weight 0 is left out.
      sharpness: :math:`p > 0`, in units of 1 / reward.
      present: Entries that count; the weights are renormalised over them, and the
        utility is 0 where none has weight.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([0.0, 1.0]), jnp.array([0.5, 0.5])
      >>> print(f"{exponential(r, w, sharpness=2.0):.4f}")
      -0.3341

    References:
      Athan and Papalambros, A Note on Weighted Criteria Methods for Compromise
      Solutions in Multi-Objective Optimization, Engineering Optimization 27, 1996.
    """
    kind = utility_type(rewards)
    rewards, weights, _ = keep_present(rewards, weights, present)
    steep = sharpness * weights
    counted = has_weight(steep)
    some = jnp.any(counted)
    # log(e^a - 1) is a + log(1 - e^-a), which overflows for no weight.
    height = jnp.where(counted, sharpness * (weights - rewards), -jnp.inf)
    peak = jax.lax.stop_gradient(jnp.where(some, jnp.max(height), 0))
    size = jnp.exp(jnp.where(counted, height - peak, 0)) * -jnp.expm1(-steep)
    total = jnp.sum(jnp.where(counted, size, 0))
    utility = -(peak + jnp.log(jnp.where(some, total, 1))) / sharpness
    return jnp.where(some, utility, 0).astype(kind)


def log_sum_exp(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    temperature: Float[Array, ""] | float = -1.0,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Soft worst or soft best reward: the entropic mean over objectives.

    .. math:: u(r) = \tau \log \frac{\sum_k w_k e^{r_k / \tau}}{\sum_k w_k}

    It lies between the smallest and the largest reward that have weight. A negative
    temperature leans to the worst, as risk aversion does, and reaches concave parts of
    the front; a positive one leans to the best. For :math:`|\tau| \to \infty` it is the
    weighted mean, for :math:`\tau \to 0^-` the worst case and for :math:`\tau \to 0^+`
    the best case.

    With :math:`\beta = 1 / \tau` and weights as probabilities this is the exponential
    (entropic) certainty equivalent of risk-sensitive control. The log-sum-exp without
    weights is larger by :math:`\tau \log K`.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0, of which the proportions matter.
      temperature: :math:`\tau`, of either sign and not 0, in units of reward.
      present: Entries that count; the utility is 0 where none has weight.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([0.0, 1.0]), jnp.array([0.5, 0.5])
      >>> print(f"{log_sum_exp(r, w, temperature=-0.5):.4f}")
      0.2831

    References:
      Howard and Matheson, Risk-Sensitive Markov Decision Processes, Management Science
      18, 1972.
    """
    kind = utility_type(rewards)
    rewards, shares, counted = keep_shares(rewards, weights, present)
    sign = jnp.sign(jnp.asarray(temperature, rewards.dtype))
    signed = jnp.where(counted, sign * rewards, -jnp.inf)
    some = jnp.any(counted)
    peak = jax.lax.stop_gradient(sign * jnp.where(some, jnp.max(signed), 0))
    gap = jnp.where(counted, rewards - peak, 0) / temperature
    # Near the mean, in the heat, the logarithm of nearly 1 would lose every digit.
    change = jnp.sum(shares * jnp.expm1(gap))
    mild = change > -0.5
    rest = jnp.log(jnp.where(mild | ~some, 1, jnp.sum(shares * jnp.exp(gap))))
    spread = jnp.where(mild, jnp.log1p(jnp.where(mild, change, 0)), rest)
    return jnp.where(some, peak + temperature * spread, 0).astype(kind)
