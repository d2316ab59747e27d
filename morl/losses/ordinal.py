"""The loss of ordered categories: grades, Likert scales, degrees of preference."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.losses.kept import kept
from morl.numerics import WeightedSum, masked_sum


def ordinal_loss(
    rewards: Float[Array, "*batch n"],
    categories: Int[Array, "*batch n"],
    thresholds: Float[Array, " cuts"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Negative log-likelihood of ordered categories under proportional odds.

    .. math:: -\sum_i \log \big(
       \sigma(\theta_{y_i} - r_i) - \sigma(\theta_{y_i - 1} - r_i) \big),
       \qquad \theta_{-1} = -\infty, \; \theta_{c-1} = \infty

    Unlike a squared error it does not take the steps between grades to be equal: the
    thresholds say how far apart they are. A constant added to rewards and thresholds
    alike changes nothing. With the gap between two responses in place of the reward,
    and thresholds symmetric about zero, it is the loss of graded preferences ("much
    better" to "much worse").

    Args:
      rewards: Rewards :math:`r_i`, in nats of log-odds.
      categories: Category :math:`y_i` of each response, 0 (worst) to ``c - 1``.
      thresholds: :math:`\theta`, strictly increasing, in nats; a category between two
        equal ones is impossible. See :func:`ordered_thresholds`.
      mask: Responses that have a category; elsewhere values mean nothing.
      weights: How much each response counts; 1 where not given.

    Returns:
      The summed loss in nats and what it is to be divided by.

    Examples:
      >>> grades, cuts = jnp.array([0, 1, 2]), jnp.array([-1.0, 1.0])
      >>> loss = ordinal_loss(jnp.zeros(3), grades, cuts, jnp.ones(3, bool))
      >>> print(f"{loss.mean:.4f}")
      1.1328

    References:
      McCullagh, Regression Models for Ordinal Data, Journal of the Royal Statistical
      Society B 42, 1980, the proportional odds model.
    """
    rewards = kept(rewards, mask)
    bounds = jnp.pad(kept(thresholds, None), 1, constant_values=(-jnp.inf, jnp.inf))
    category = jnp.where(mask, categories, 0)
    lower, upper = bounds[category], bounds[category + 1]
    # sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - exp(a - b)) loses nothing in tails.
    log_probs = (
        jax.nn.log_sigmoid(upper - rewards)
        + jax.nn.log_sigmoid(rewards - lower)
        + jnp.log(-jnp.expm1(lower - upper))
    )
    return masked_sum(-log_probs, mask, weights)


def ordered_thresholds(free: Float[Array, " cuts"]) -> Float[Array, " cuts"]:
    r"""Increasing thresholds of free parameters.

    .. math:: \theta_0 = a_0, \qquad \theta_j = \theta_{j-1} + \log(1 + e^{a_j})

    Every increasing sequence is reached, by the inverse
    :math:`a_j = \log(e^{\theta_j - \theta_{j-1}} - 1)`.

    Args:
      free: :math:`a`, any numbers; below about -15 a step is lost to rounding.

    Returns:
      The thresholds, in float32 at least.

    Examples:
      >>> [f"{cut:.4f}" for cut in ordered_thresholds(jnp.array([-1.0, 0.0, 0.0]))]
      ['-1.0000', '-0.3069', '0.3863']
    """
    free = kept(free, None)
    return jnp.cumsum(free.at[1:].set(jax.nn.softplus(free[1:])))
