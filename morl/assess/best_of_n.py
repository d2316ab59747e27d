"""What selection among n candidates gains by a judge that had no part in it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln

from morl.assess.estimates import Estimate, Sampled, estimate_of
from morl.assess.resampling import bounds
from morl.errors import InputError
from morl.numerics import resample_counts, resampled_means


class Selected(NamedTuple):
    """What the best of n candidates is worth, for every n.

    Attributes:
      n: Sizes, from 1.
      kl: Divergence of the selection from the policy that wrote the candidates, in
        nats: an upper bound that is reached where no two have the same reward.
      gain: Gold over that of a candidate drawn at random, in its deviations within a
        prompt.
      low: Lower 95 % bounds of the gain.
      high: Upper bounds.
      proxy: The same gain by the reward that selects, in its own deviations.
      last: The gain of the largest n.
      peak: The n of the largest gain.
      drop: From the largest gain to the last: what over-optimisation lost. The peak was
        chosen where the mean is highest, which makes the drop look larger than it is.
    """

    n: Int[np.ndarray, " m"]
    kl: Float[np.ndarray, " m"]
    gain: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]
    proxy: Float[np.ndarray, " m"]
    last: Estimate
    peak: int
    drop: Estimate


def best_of_n_kl(n: Int[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    r"""Divergence of the best of n: :math:`\log n - (n - 1) / n`, in nats.

    References:
      Stiennon et al., Learning to summarize from human feedback (arXiv:2009.01325),
      appendix G.3; an upper bound by Beirami et al. (arXiv:2401.01879).
    """
    return np.log(n) - (n - 1) / n


def first_chances(size: int, n: int) -> Float[np.ndarray, " size"]:
    r"""The chance that the i-th best of N candidates is the best of n drawn from them.

    .. math:: \binom{N - i}{n - 1} \Big/ \binom{N}{n}, \quad i = 1, \dots, N

    Args:
      size: N.
      n: How many are drawn without replacement, from 1 to N.

    Examples:
      >>> first_chances(3, 2).round(3)
      array([0.667, 0.333, 0.   ])
    """
    rank = np.arange(1, size + 1)
    possible = rank <= size - n + 1
    left = np.where(possible, size - rank, n - 1)
    choose = lambda a, b: gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1)
    return np.where(possible, np.exp(choose(left, n - 1) - choose(size, n)), 0.0)


def expected_gold(
    rewards: Float[np.ndarray, " size"],
    gold: Float[np.ndarray, " size"],
    n: Int[np.ndarray, " m"],
) -> Float[np.ndarray, " m"]:
    """Mean gold of the best of n candidates, exactly, over all subsets of that size.

    No subset is drawn: the chance of each candidate to be the best is known from its
    rank. Candidates of equal reward are chosen among at random.

    Args:
      rewards: Of the candidates of one prompt, by what selects.
      gold: Of the same, by what judges.
      n: Sizes, each from 1 to the number of candidates.

    Returns:
      One mean a size.
    """
    distinct, place = np.unique(-rewards, return_inverse=True)
    mean = np.bincount(place, weights=gold) / np.bincount(
        place, minlength=len(distinct)
    )
    ranked = mean[np.sort(place)]
    return np.array([first_chances(len(ranked), int(size)) @ ranked for size in n])


def best_of_n(
    rewards: Sequence[Float[np.ndarray, " _"]],
    gold: Sequence[Float[np.ndarray, " _"]],
    *,
    seed: int = 0,
) -> Selected:
    """The curve of over-optimisation: gold gained against divergence spent.

    Args:
      rewards: Of each prompt's candidates, by what selects; two or more a prompt.
      gold: Of the same, by what judges.
      seed: Of the bootstrap over prompts.

    Returns:
      The curve, up to the least number of candidates that a prompt has.

    Raises:
      InputError: There is no prompt, one has fewer than two candidates, or gold tells
        none of them apart.
    """
    sizes = [len(own) for own in rewards]
    if not sizes or min(sizes) < 2:
        raise InputError(
            f"found {min(sizes, default=0)} candidates for a prompt, expected two or "
            "more",
            where="rewards",
        )
    n = np.arange(1, min(sizes) + 1)
    gained = _gains(rewards, gold, n, "gold")
    proxy = _gains(rewards, rewards, n, "rewards").mean(axis=0)
    counts = resample_counts(len(sizes), seed=seed)
    resampled = resampled_means(gained, counts)
    mean = gained.mean(axis=0)
    low, high = bounds(resampled, len(sizes))
    peak = int(np.argmax(mean))
    estimate = lambda value, draws: estimate_of(
        Sampled(float(value), draws, sum(sizes), len(sizes))
    )
    return Selected(
        n,
        best_of_n_kl(n),
        mean,
        low,
        high,
        proxy,
        estimate(mean[-1], resampled[:, -1]),
        int(n[peak]),
        estimate(mean[peak] - mean[-1], resampled[:, peak] - resampled[:, -1]),
    )


def _gains(
    rewards: Sequence[Float[np.ndarray, " _"]],
    judged: Sequence[Float[np.ndarray, " _"]],
    n: Int[np.ndarray, " m"],
    name: str,
) -> Float[np.ndarray, "b m"]:
    """Over a random candidate, in deviations within a prompt."""
    unit = np.sqrt(np.mean([np.var(own) for own in judged]))
    if not unit > 0:
        raise InputError("tells no two candidates of a prompt apart", where=name)
    pairs = zip(rewards, judged, strict=True)
    worth = np.stack([expected_gold(own, other, n) for own, other in pairs])
    return (worth - worth[:, :1]) / unit
