"""Losses of token scores on pairs of which one response was preferred.

A regression of token scores needs nothing of its own: tokens are the last axis of
:func:`morl.losses.squared_error` and :func:`morl.losses.huber_error`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.losses.kept import kept
from morl.losses.pairwise import bradley_terry
from morl.numerics import WeightedSum, masked_sum


def token_aggregated(
    better: Float[Array, "*batch n t"],
    worse: Float[Array, "*batch n u"],
    better_tokens: Bool[Array, "*batch n t"],
    worse_tokens: Bool[Array, "*batch n u"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Bradley-Terry on the sums of token scores.

    .. math:: -\sum_i \log \sigma\Big(
       \sum_t q(x_i, y_{i,t}^w) - \sum_t q(x_i, y_{i,t}^l) \Big)

    Args:
      better: Token scores of the preferred responses, in nats of log-odds.
      worse: Token scores of the others.
      better_tokens: Which of them are tokens of the response; a response without any
        has the reward 0.
      worse_tokens: The same for the others.
      mask: Pairs that count; off the masks values may be NaN.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by, in pairs.

    Examples:
      >>> scores, tokens = jnp.full((1, 4), 0.25), jnp.ones((1, 4), bool)
      >>> loss = token_aggregated(scores, 0 * scores, tokens, tokens, tokens[:, 0])
      >>> print(f"{loss.mean:.4f}")
      0.3133

    References:
      arXiv:2505.02666, token-level reward modelling, aggregated.
    """
    first = jnp.sum(_token_scores(better, better_tokens, mask), axis=-1)
    second = jnp.sum(_token_scores(worse, worse_tokens, mask), axis=-1)
    return bradley_terry(first, second, mask, weights=weights)


def token_stepwise(
    better: Float[Array, "*batch n t"],
    worse: Float[Array, "*batch n t"],
    better_tokens: Bool[Array, "*batch n t"],
    worse_tokens: Bool[Array, "*batch n t"],
    mask: Bool[Array, "*batch n"],
    *,
    weights: Float[Array, "*batch n"] | None = None,
) -> WeightedSum:
    r"""Bradley-Terry at each position, the shorter response padded with zeros.

    .. math:: -\sum_i \sum_{t \le T_i} \log \sigma\big(
       q(x_i, y_{i,t}^w) - q(x_i, y_{i,t}^l) \big)

    where :math:`T_i` is the length of the longer one. Position is compared with
    position, so both responses begin at the same index. A pair counts once however long
    it is: the longer it is, the more it pulls.

    Args:
      better: Token scores of the preferred responses, in nats of log-odds.
      worse: Token scores of the others.
      better_tokens: Which of them are tokens of the response.
      worse_tokens: The same for the others.
      mask: Pairs that count; off the masks values may be NaN.
      weights: How much each pair counts; 1 where not given.

    Returns:
      The summed loss and what it is to be divided by, in pairs.

    Examples:
      >>> scores, tokens = jnp.full((1, 4), 0.25), jnp.ones((1, 4), bool)
      >>> loss = token_stepwise(scores, 0 * scores, tokens, tokens, tokens[:, 0])
      >>> print(f"{loss.mean:.4f}")
      2.3038

    References:
      arXiv:2505.02666, token-level reward modelling, stepwise.
    """
    first = _token_scores(better, better_tokens, mask)
    second = _token_scores(worse, worse_tokens, mask)
    losses = kept(-jax.nn.log_sigmoid(first - second), better_tokens | worse_tokens)
    return masked_sum(jnp.sum(losses, axis=-1), mask, weights)


def _token_scores(
    scores: Float[Array, "*batch n t"],
    tokens: Bool[Array, "*batch n t"],
    mask: Bool[Array, "*batch n"],
) -> Float[Array, "*batch n t"]:
    return kept(scores, tokens & mask[..., None])
