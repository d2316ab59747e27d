"""How a gate learns: from preferences of every objective, by the mixed reward."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from morl.models.heads import GatedHead, Head
from morl.numerics import WeightedSum
from morl.rewards.mixture import Mixture, mixed_reward
from morl.training.reward_batch import Pairs, RewardBatch
from morl.training.reward_program import (
    HEADS,
    Encode,
    ObjectiveLosses,
    right_order,
    stacked,
)
from morl.training.state import Outcome, Params, Program
from morl.types import Names


def mixture_program(
    names: Names,
    head: Head,
    losses: Sequence[ObjectiveLosses],
    encode: Encode,
    mixture: Mixture,
) -> Program:
    """What a gate minimises over heads that stay as they are.

    Every objective's preferences are to be ordered by the one mixed reward: each gives
    a loss, combined by weights or by a weighting as those of heads are. Trained is the
    gate, frozen are the heads that it mixes; a correction for length that was fitted to
    them therefore stays right.

    Args:
      names: The objectives.
      head: Of a kind with a gate.
      losses: How each objective learns from pairs; scores and lists have no part.
      encode: How rows become states, prompts among them.
      mixture: Temperature, scale and the correction for length.

    References:
      Wang et al., Interpretable Preferences via Multi-Objective Reward Modeling and
      Mixture-of-Experts (arXiv:2406.12845), section 3.2: the second stage.
    """

    def outcome(
        trained: Params, frozen: Params, batch: RewardBatch, key: PRNGKeyArray | None
    ) -> Outcome:
        del key
        states = encode(trained, frozen, batch.rows, None)
        params = GatedHead(frozen[HEADS], trained[HEADS])
        readings = head.read(params, states)
        means = head.estimate(readings.values).mean
        assert readings.gate is not None  # the kind has one
        score = mixed_reward(means, readings.gate, batch.lengths, mixture)
        return stacked(
            _ordered(score, batch, number, losses[number])
            for number in range(len(names))
        )

    return Program(
        names,
        outcome,
        lambda trained, frozen, batch: outcome(trained, frozen, batch, None),
    )


def _ordered(
    score: Float[Array, "b r"],
    batch: RewardBatch,
    number: int,
    losses: ObjectiveLosses,
) -> tuple[WeightedSum, WeightedSum]:
    """The mixed reward as one objective's preferences see it."""
    assert isinstance(batch.pairs, Pairs)  # a run of a gate has preferences
    at = lambda places: jnp.take_along_axis(score, jnp.asarray(places), axis=1)
    gaps = at(batch.pairs.better) - at(batch.pairs.worse)
    strength = jnp.asarray(batch.pairs.strength)
    mask = jnp.asarray(batch.pairs.mask)[..., number]
    found = losses.pairs(gaps, strength, mask, weights=None)
    return found, right_order(jax.lax.stop_gradient(gaps), strength, mask)
