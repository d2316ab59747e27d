"""How many pairs a reward orders as they were labelled, and how sure that is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.assess.resampling import (
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
    check_rows(margins, groups, name="margins")
    low, high, num_prompts = _mean_bounds(ordered(margins), groups, seed)
    value = float(np.mean(ordered(margins)))
    return Accuracy(value, low, high, len(groups), num_prompts)


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
    check_rows(margins, groups, name="margins")
    check_rows(others, groups, name="others")
    gain = ordered(margins) - ordered(others)
    low, high, _ = _mean_bounds(gain, groups, seed)
    return Difference(float(np.mean(gain)), low, high)


def beats(difference: Difference) -> bool:
    """Whether the whole interval of the difference lies above zero."""
    return difference.low > 0


def _mean_bounds(
    values: Float[np.ndarray, " p"], groups: Int[np.ndarray, " p"], seed: int
) -> tuple[float, float, int]:
    resampled = resample_prompts(groups, seed=seed)
    num_prompts = resampled.counts.shape[1]
    resamples = mean_resamples(values[:, None], resampled)
    low, high = bounds(resamples, num_prompts)[:, 0]
    return float(low), float(high), num_prompts
