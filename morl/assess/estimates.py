"""A number with its 95 % interval over prompts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.assess.resampling import (
    bounds,
    check_rows,
    mean_resamples,
    resample_prompts,
)


class Estimate(NamedTuple):
    """A number, and how sure it is.

    Attributes:
      value: The number.
      low: Lower 95 % bound; NaN where there are fewer than two prompts.
      high: Upper bound; NaN likewise.
      count: How many pairs or responses it comes from.
      prompts: Number of distinct prompts, the units that were resampled.
    """

    value: float
    low: float
    high: float
    count: int
    prompts: int


class Sampled(NamedTuple):
    """A number, and the same number in every resample of the prompts.

    Attributes:
      value: As the data are.
      resamples: One a resample.
      count: How many pairs or responses it comes from.
      prompts: Number of distinct prompts.
    """

    value: float
    resamples: Float[np.ndarray, " r"]
    count: int
    prompts: int


NONE = Estimate(np.nan, np.nan, np.nan, 0, 0)


def sampled_mean(
    values: Float[np.ndarray, " p"], groups: Int[np.ndarray, " p"], *, seed: int = 0
) -> Sampled:
    """The mean of rows, and that of every resample of their prompts.

    Args:
      values: One a pair or response.
      groups: The prompt of each, any integers.
      seed: Of the bootstrap.

    Raises:
      InputError: There is no row, or a value is NaN.
    """
    check_rows(values, groups, name="values")
    resampled = resample_prompts(groups, seed=seed)
    return Sampled(
        float(values.mean()),
        mean_resamples(values[:, None].astype(float), resampled)[:, 0],
        len(values),
        resampled.counts.shape[1],
    )


def mean_estimate(
    values: Float[np.ndarray, " p"], groups: Int[np.ndarray, " p"], *, seed: int = 0
) -> Estimate:
    """The mean of rows, with an interval that draws prompts.

    Args:
      values: One a pair or response.
      groups: The prompt of each, any integers.
      seed: Of the bootstrap.

    Returns:
      The mean; :data:`NONE` where there is no row.

    Raises:
      InputError: A value is NaN.

    Examples:
      >>> mean_estimate(np.array([1.0, 0.0, 1.0, 1.0]), np.arange(4))
      Estimate(value=0.75, low=0.25, high=1.0, count=4, prompts=4)
    """
    if not len(values):
        return NONE
    return estimate_of(sampled_mean(values, groups, seed=seed))


def estimate_of(sampled: Sampled) -> Estimate:
    """The number with the percentile interval of its resamples, where there are any."""
    if np.isnan(sampled.resamples).all():
        return Estimate(sampled.value, np.nan, np.nan, sampled.count, sampled.prompts)
    low, high = bounds(sampled.resamples[:, None], sampled.prompts)[:, 0].tolist()
    return Estimate(sampled.value, low, high, sampled.count, sampled.prompts)


def combined(parts: Sequence[Sampled], weights: Sequence[float]) -> Sampled:
    """A weighted mean of numbers whose prompts were drawn apart from each other.

    Args:
      parts: From disjoint prompts, each resampled with a seed of its own.
      weights: One a part, at least 0; they need not sum to 1.

    Returns:
      The mean. It has no interval where one of the parts has none.
    """
    share = np.asarray(weights, float) / np.sum(weights)
    return Sampled(
        float(share @ np.array([part.value for part in parts])),
        share @ np.stack([part.resamples for part in parts]),
        sum(part.count for part in parts),
        0
        if min(part.prompts for part in parts) < 2
        else sum(part.prompts for part in parts),
    )


def difference(first: Sampled, second: Sampled) -> Sampled:
    """The first number less the second, over the same draws or over separate ones."""
    return Sampled(
        first.value - second.value,
        first.resamples - second.resamples,
        first.count + second.count,
        min(first.prompts, second.prompts),
    )
