"""How many pairs a reward orders as they were labelled, and how sure that is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.assess.resampling import (
    Resampled,
    bounds,
    check_rows,
    mean_resamples,
    resample_prompts,
)


class Accuracy(NamedTuple):
    """A share, with its 95 % interval.

    Attributes:
      value: The share, in [0, 1].
      low: Lower bound; NaN where there are fewer than two prompts.
      high: Upper bound; NaN likewise.
      count: Number of pairs.
      prompts: Number of distinct prompts, the units that were resampled.
    """

    value: float
    low: float
    high: float
    count: int
    prompts: int


class Difference(NamedTuple):
    """A difference of two shares of the same pairs, with its 95 % interval.

    Attributes:
      value: The first less the second, in [-1, 1].
      low: Lower bound; NaN where there are fewer than two prompts.
      high: Upper bound; NaN likewise.
    """

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """A reward beside its baselines, on the same pairs and the same draws.

    Attributes:
      accuracy: Of the reward.
      baselines: Of each baseline.
      gains: The reward's accuracy less each baseline's.
    """

    accuracy: Accuracy
    baselines: tuple[Accuracy, ...]
    gains: tuple[Difference, ...]


def ordered(margins: Float[np.ndarray, "*p"]) -> Float[np.ndarray, "*p"]:
    """1 where the better response is rewarded more, 0 where less, 1/2 where equally.

    Examples:
      >>> ordered(np.array([2.0, -0.5, 0.0]))
      array([1. , 0. , 0.5])
    """
    return np.heaviside(margins, 0.5).astype(float)


def pair_accuracy(
    margins: Float[np.ndarray, " p"], groups: Int[np.ndarray, " p"], *, seed: int = 0
) -> Accuracy:
    """Share of pairs that are ordered as labelled; a tie counts half.

    The interval is a percentile bootstrap that draws prompts, not pairs: pairs of one
    prompt stand and fall together, and drawing them apart would promise too much.

    Args:
      margins: Reward of each pair's better response less that of the worse.
      groups: The prompt of each pair, any integers.
      seed: Of the bootstrap.

    Returns:
      The share and its interval.

    Raises:
      InputError: There is no pair, or a margin is NaN.

    Examples:
      >>> pair_accuracy(np.array([1.0, 2.0, -1.0, 0.0]), np.array([0, 1, 2, 3]))
      Accuracy(value=0.625, low=0.25, high=1.0, count=4, prompts=4)

    References:
      Efron, Bootstrap Methods: Another Look at the Jackknife (1979).
    """
    none = np.zeros((len(margins), 0))
    return compare_accuracy(margins, none, groups, seed=seed).accuracy


def accuracy_difference(
    margins: Float[np.ndarray, " p"],
    others: Float[np.ndarray, " p"],
    groups: Int[np.ndarray, " p"],
    *,
    seed: int = 0,
) -> Difference:
    """By how much one reward orders more of the same pairs than another.

    Every resample draws the same prompts for both, so what makes a pair hard for both
    cancels: the interval is narrower than two separate ones suggest.

    Args:
      margins: Margins of the first.
      others: Margins of the second, such as a baseline.
      groups: The prompt of each pair, any integers.
      seed: Of the bootstrap.

    Returns:
      Accuracy of the first less that of the second, with its interval.

    Raises:
      InputError: There is no pair, or a margin is NaN.
    """
    return compare_accuracy(margins, others[:, None], groups, seed=seed).gains[0]


def compare_accuracy(
    margins: Float[np.ndarray, " p"],
    baselines: Float[np.ndarray, "p m"],
    groups: Int[np.ndarray, " p"],
    *,
    seed: int = 0,
) -> Comparison:
    """:func:`pair_accuracy` and :func:`accuracy_difference` from one set of draws.

    Args:
      margins: Margins of the reward in question.
      baselines: Margins of each baseline, a column each.
      groups: The prompt of each pair, any integers.
      seed: Of the bootstrap.

    Returns:
      The reward's accuracy, each baseline's, and the gain over each.

    Raises:
      InputError: There is no pair, or a margin is NaN.
    """
    check_rows(margins, groups, name="margins")
    for column in baselines.T:
        check_rows(column, groups, name="baselines")
    right = ordered(np.column_stack([margins, baselines]))
    resampled = resample_prompts(groups, seed=seed)
    return comparison(
        right.mean(axis=0), mean_resamples(right, resampled), len(groups), resampled
    )


def comparison(
    shares: Float[np.ndarray, " m"],
    resamples: Float[np.ndarray, "r m"],
    count: int,
    resampled: Resampled,
) -> Comparison:
    """The first share beside the others, with intervals from paired resamples.

    Args:
      shares: The share in question, then those of baselines.
      resamples: The same in every resample.
      count: What the shares are of.
      resampled: The draws.

    Returns:
      The shares and the differences.
    """
    num_prompts = resampled.counts.shape[1]
    low, high = bounds(resamples, num_prompts).tolist()
    accuracies = [
        Accuracy(*values, count, num_prompts)
        for values in zip(shares.tolist(), low, high, strict=True)
    ]
    gains = shares[:1] - shares[1:]
    low, high = bounds(resamples[:, :1] - resamples[:, 1:], num_prompts).tolist()
    differences = [
        Difference(*values) for values in zip(gains.tolist(), low, high, strict=True)
    ]
    return Comparison(accuracies[0], tuple(accuracies[1:]), tuple(differences))


def beats(difference: Difference) -> bool:
    """Whether the whole interval of the difference lies above zero."""
    return difference.low > 0
