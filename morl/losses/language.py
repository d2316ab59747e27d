"""The loss of a language model on text."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.numerics import WeightedSum, masked_sum


def next_token_loss(
    logits: Float[Array, "b t v"],
    targets: Int[Array, "b t"],
    mask: Bool[Array, "b t"],
) -> WeightedSum:
    r"""Negative log-likelihood of the targets.

    .. math:: -\sum_t \log \pi(y_t \mid y_{<t})

    Args:
      logits: Unnormalised log-probabilities of the token after each position.
      targets: The token after each position.
      mask: Positions whose target counts.

    Returns:
      The loss summed over positions in nats, and their number.
    """
    peak = jax.nn.logsumexp(logits.astype(jnp.float32), axis=-1)
    # A masked target may lie outside the vocabulary.
    safe = jnp.where(mask, targets, 0)
    chosen = jnp.take_along_axis(logits, safe[..., None], axis=-1)[..., 0]
    return masked_sum(peak - chosen, mask)
