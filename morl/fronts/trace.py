"""Every weighting at once: selection among candidates, judged by somebody else."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from morl.fronts.candidates import Candidates
from morl.numerics import resampled_means
from morl.rewards import Composition
from morl.sampling.select import best_of_n, kl_to_candidates, tilt

BETAS = (0.1, 0.5, 2.0)


class Sweep(NamedTuple):
    """What each weighting ``w`` reaches by each method ``m``, prompt by prompt.

    Methods are best-of-n, then the tilt at each beta in the order given.

    Attributes:
      judged: Expected judge's rewards.
      selected: Expected selector's rewards, absent ones left out; NaN where none is.
      kl: KL to the candidates, nats.
      length: Expected response length, tokens.
    """

    judged: Float[Array | np.ndarray, "m w b j"]
    selected: Float[Array | np.ndarray, "m w b k"]
    kl: Float[Array | np.ndarray, "m w b"]
    length: Float[Array | np.ndarray, "m w b"]


@jax.jit
def sweep(
    composition: Composition,
    rewards: Float[Array, "b n k"],
    present: Bool[Array, "b n k"],
    judged: Float[Array, "b n j"],
    lengths: Int[Array, "b n"],
    weights: Float[Array, "w o"],
    betas: Float[Array, " t"],
) -> Sweep:
    """Traces all weightings by all methods in one compiled program.

    Args:
      composition: Maps the selector's rewards and a weighting to a utility.
      rewards: The selector's rewards; absent entries may hold NaN.
      present: Which of them are present.
      judged: The judge's rewards.
      lengths: Tokens of each response.
      weights: Weightings of the composition's objectives.
      betas: Weights of the KL for the tilt, > 0, in units of utility.

    Returns:
      Expectations under each selection, a prompt at a time.
    """

    def select(weighting: Float[Array, " o"]) -> Float[Array, "m b n"]:
        utility, known = composition.utility(rewards, present, weighting)
        tilted = jax.vmap(lambda beta: tilt(utility, known, beta=beta))(betas)
        return jnp.concatenate([best_of_n(utility, known)[None], tilted])

    probabilities = jax.vmap(select, out_axes=1)(weights)
    expected = lambda values: jnp.einsum("mwbn,bnj->mwbj", probabilities, values)
    mass = expected(present.astype(jnp.float32))
    total = expected(jnp.where(present, rewards, 0))
    return Sweep(
        expected(judged),
        jnp.where(mass > 0, total / jnp.where(mass > 0, mass, 1), jnp.nan),
        kl_to_candidates(probabilities, jnp.ones_like(lengths, bool)[None, None]),
        jnp.einsum("mwbn,bn->mwb", probabilities, lengths.astype(jnp.float32)),
    )


def trace_sweep(
    composition: Composition,
    candidates: Candidates,
    weights: Float[np.ndarray, "w o"],
    betas: Sequence[float] = BETAS,
) -> Sweep:
    """:func:`sweep` over candidates, on the host."""
    swept = sweep(
        composition,
        jnp.asarray(candidates.rewards, jnp.float32),
        jnp.asarray(candidates.present),
        jnp.asarray(candidates.judged, jnp.float32),
        jnp.asarray(candidates.lengths),
        jnp.asarray(weights, jnp.float32),
        jnp.asarray(betas, jnp.float32),
    )
    return Sweep(*(np.asarray(part, np.float64) for part in swept))


def noise_rewards(
    candidates: Candidates, num_draws: int, *, seed: int
) -> Float[np.ndarray, "draws b n k"]:
    """Rewards of heads that know nothing: normal, with the mean and spread of the real.

    Args:
      candidates: Whose rewards they stand in for.
      num_draws: Number of independent sets of heads.
      seed: Of the draws.

    Returns:
      One set of rewards a draw, where the real ones are present; NaN elsewhere.
    """
    generator = np.random.default_rng(seed)
    known = np.where(candidates.present, candidates.rewards, np.nan)
    flat = known.reshape(-1, known.shape[-1])
    centre = known_mean(flat)
    spread = np.sqrt(known_mean(np.square(flat - centre)))
    draws = generator.standard_normal((num_draws, *known.shape))
    return np.where(candidates.present[None], centre + spread * draws, np.nan)


def known_mean(values: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "..."]:
    """Mean along the first axis without NaN; NaN where there is nothing else.

    Examples:
      >>> known_mean(np.array([[1.0, np.nan], [2.0, np.nan]]))
      array([1.5, nan])
    """
    return resampled_means(values, np.ones((1, len(values)), int))[0]
