"""One reward out of K: a mixture that the prompt decides."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.rewards.debias import Debias, debiased
from morl.rewards.schedule import Arrays, Number

MIXTURE = "mixture"  # what the mixed reward is called, beside those of the objectives


class Mixture(NamedTuple):
    """How rewards are mixed, alike in training and in use but for ``rest``.

    Attributes:
      temperature: Of the softmax over the gate's logits.
      scale: What the mixture is multiplied by.
      debias: What of each reward is due to length, and is taken off first; None takes
        nothing off.
      rest: What of the mixture is still due to length, as weights that depend on the
        prompt bring some of it back; one coefficient, fitted after a gate.
    """

    temperature: Number = 10.0
    scale: Number = 1.0
    debias: Debias | None = None
    rest: Debias | None = None


def gated_mixture(
    rewards: Float[Array, "*batch k"],
    gate_logits: Float[Array, "*batch k"],
    *,
    temperature: Number = 10.0,
    scale: Number = 1.0,
    present: Bool[Array, "*batch k"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Rewards weighed by a softmax over the objectives that are there.

    .. math:: R(x, y) = c \sum_k \mathrm{softmax}\big(g(x) / T\big)_k\, r_k(x, y)

    Args:
      rewards: One an objective; those that are absent may hold NaN.
      gate_logits: What the gate says of the prompt, likewise.
      temperature: Smoothing :math:`T > 0` of the weights.
      scale: Factor :math:`c`: how sure pairwise odds of the mixture are.
      present: Which objectives are there; all where not given.

    Returns:
      The mixed reward; 0, without meaning, where no objective is there.

    Examples:
      >>> rewards, logits = jnp.array([1.0, 3.0]), jnp.zeros(2)
      >>> print(gated_mixture(rewards, logits))
      2.0
      >>> print(gated_mixture(rewards, logits, present=jnp.array([True, False])))
      1.0

    References:
      Wang et al., Interpretable Preferences via Multi-Objective Reward Modeling and
      Mixture-of-Experts (arXiv:2406.12845), section 3.2.
    """
    if present is None:
        present = jnp.ones(rewards.shape, bool)
    weights = mixture_weights(gate_logits, temperature, present=present)
    return scale * jnp.sum(weights * jnp.where(present, rewards, 0), axis=-1)


def mixture_weights(
    gate_logits: Float[Array, "*batch k"],
    temperature: Number = 10.0,
    *,
    present: Bool[Array, "*batch k"] | None = None,
) -> Float[Array, "*batch k"]:
    """What each objective counts for: a softmax over those that are there.

    Args:
      gate_logits: What the gate says of the prompt.
      temperature: Smoothing above 0.
      present: Which objectives are there; all where not given.
    """
    if present is None:
        present = jnp.ones(gate_logits.shape, bool)
    return jax.nn.softmax(
        jnp.where(present, gate_logits / temperature, 0), axis=-1, where=present
    )


def mixed_reward(
    rewards: Float[Array, "*batch k"],
    gate_logits: Float[Array, "*batch k"],
    lengths: Int[Arrays, "*batch"] | Float[Arrays, "*batch"],
    mixture: Mixture,
    *,
    present: Bool[Array, "*batch k"] | None = None,
) -> Float[Array, "*batch"]:
    """Rewards without what length explains, mixed: the score of a gated model.

    The released training script of the paper fits the same correction and then scores
    without it; here whoever scores a response goes through this function.

    Args:
      rewards: One an objective; those that are absent may hold NaN.
      gate_logits: What the gate says of the prompt.
      lengths: Of each response, in the unit that the corrections were fitted in.
      mixture: How they are mixed.
      present: Which objectives are there; all where not given.

    References:
      Wang et al. (arXiv:2406.12845), section 3.2.
    """
    if mixture.debias is not None:
        rewards = debiased(rewards, lengths, mixture.debias)
    score = gated_mixture(
        rewards,
        gate_logits,
        temperature=mixture.temperature,
        scale=mixture.scale,
        present=present,
    )
    if mixture.rest is None:
        return score
    return debiased(score[..., None], lengths, mixture.rest)[..., 0]
