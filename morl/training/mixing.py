"""How a gate learns: from preferences of all objectives, by the mixed score."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.models.heads import Head, Readings
from morl.numerics import WeightedSum, masked_sum
from morl.rewards.mixture import Mixture, mixed_reward
from morl.training.reward_batch import RewardBatch

MIXTURE = "mixture"


class Mixing(NamedTuple):
    """How a mixture learns.

    Attributes:
      mixture: What is mixed, and how. A correction for length stays as it was fitted:
        train it with heads that stay too, or fit it again after them.
      pairs: From gaps of the mixed score, strengths, a mask and weights to a loss.
      weight: What that loss counts for, beside those of the objectives.
      held: What rewards pass through before they are mixed: without a gradient, the
        gate learns and the heads do not; ``lambda rewards: rewards`` lets both learn.
    """

    mixture: Mixture
    pairs: Callable[..., WeightedSum]
    weight: float = 1.0
    held: Callable[[Float[Array, "..."]], Float[Array, "..."]] = jax.lax.stop_gradient


def mixture_outcome(
    head: Head, readings: Readings, batch: RewardBatch, mixing: Mixing
) -> tuple[WeightedSum, WeightedSum]:
    """Loss of the mixed score over the pairs of every objective, and those in order.

    Args:
      head: Says what the readings mean.
      readings: Of the responses ``[b r]``, with a gate.
      batch: Where the pairs are.
      mixing: How the mixture learns.

    Raises:
      InputError: The head has no gate.

    References:
      Wang et al., Interpretable Preferences via Multi-Objective Reward Modeling and
      Mixture-of-Experts (arXiv:2406.12845), section 3.2: the second stage.
    """
    if readings.gate is None:
        raise InputError("found a head without a gate, expected one", where=MIXTURE)
    zero = jnp.zeros((), jnp.float32)
    if batch.pairs is None:
        return WeightedSum(zero, zero), WeightedSum(zero, zero)
    means = mixing.held(head.estimate(readings.values).mean)
    score = mixed_reward(means, readings.gate, batch.lengths, mixing.mixture)
    at = lambda places: jnp.take_along_axis(score, jnp.asarray(places), axis=1)
    gaps = at(batch.pairs.better) - at(batch.pairs.worse)
    mask = jnp.any(jnp.asarray(batch.pairs.mask), axis=-1)
    found = mixing.pairs(gaps, jnp.asarray(batch.pairs.strength), mask, weights=None)
    return found, masked_sum((gaps > 0).astype(jnp.float32), mask)
