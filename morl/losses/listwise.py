"""The loss of ranked lists of responses to one prompt."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.losses.kept import kept
from morl.numerics import WeightedSum, masked_sum


def plackett_luce(
    rewards: Float[Array, "*batch r"],
    ranks: Int[Array, "*batch r"],
    mask: Bool[Array, "*batch r"],
    *,
    weights: Float[Array, "*batch"] | None = None,
) -> WeightedSum:
    r"""Negative log-likelihood of rankings under Plackett-Luce.

    .. math:: -\sum_j \Big[ r_j - \log \sum_{t : \, k_t \ge k_j} e^{r_t} \Big]

    The best response is chosen from all, the next from those left, and so on;
    :math:`j` runs over what was chosen: every response but the last group. Of those
    nothing was chosen, their order is not known, and they come last with probability 1
    once the others are gone. So a list of which only the best is known is a softmax
    cross-entropy, and a list of two is Bradley-Terry.

    Responses of equal rank above the last are tied by Breslow's convention: each is
    chosen from all that are not ranked above it, its group included. It stands for the
    sum over the orders inside the group, is close to it for small groups in long lists,
    and draws the members of a group together.

    Time and memory grow with the square of the length of a list.

    Args:
      rewards: Rewards, in nats of log-odds.
      ranks: Rank :math:`k_j`, least for the best; any integers, equal ones tied.
      mask: Responses that are ranked; elsewhere values mean nothing.
      weights: How much each list counts; 1 where not given.

    Returns:
      The loss summed over choices and lists, and the number (the weight) of the lists
      with two distinct ranks or more: others say nothing and do not count.

    Examples:
      >>> ranks = jnp.array([0, 1, 2])
      >>> loss = plackett_luce(jnp.zeros(3), ranks, jnp.ones(3, bool))
      >>> print(f"{jnp.exp(-loss.mean):.4f}")  # one of six orders
      0.1667

    References:
      Plackett, The Analysis of Permutations, Applied Statistics 24, 1975; Breslow,
      Covariance Analysis of Censored Survival Data, Biometrics 30, 1974;
      arXiv:2505.02666, listwise reward modelling.
    """
    rewards = kept(rewards, mask)
    gap = rewards[..., None, :] - rewards[..., :, None]
    among = mask[..., None, :]
    here, there = ranks[..., :, None], ranks[..., None, :]
    chosen = mask & jnp.any(among & (there > here), axis=-1)
    itself = jnp.broadcast_to(jnp.eye(ranks.shape[-1], dtype=bool), gap.shape)
    # A row that counts has a rival. The others keep all, so that none is empty.
    rivals = among & (there >= here) & ~itself | ~chosen[..., None]
    against = jax.nn.logsumexp(gap, axis=-1, where=rivals)
    losses = jnp.sum(jnp.where(chosen, jax.nn.softplus(against), 0), axis=-1)
    ordered = jnp.any(chosen, axis=-1)
    # A list of its own has no axis to sum over.
    column = None if weights is None else weights[..., None]
    return masked_sum(losses[..., None], ordered[..., None], column)
