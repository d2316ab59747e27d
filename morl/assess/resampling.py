"""Bootstrap over prompts of a mean over pairs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.errors import InputError
from morl.numerics import interval, resample_counts, resampled_means


class Resampled(NamedTuple):
    """How often the prompt of each row is drawn in each resample.

    Attributes:
      prompt: Rank of each row's prompt among the distinct ones.
      counts: How often each resample draws each prompt.
    """

    prompt: Int[np.ndarray, " p"]
    counts: Int[np.ndarray, "r g"]


def resample_prompts(groups: Int[np.ndarray, " p"], *, seed: int = 0) -> Resampled:
    """Draws whole prompts with replacement; rows of a prompt come and go together.

    Args:
      groups: The prompt of each row, any integers.
      seed: Of the draw; equal groups and seed give equal draws, whatever the order of
        the rows.

    Returns:
      The draws.
    """
    distinct, prompt = np.unique(groups, return_inverse=True)
    return Resampled(prompt, resample_counts(len(distinct), seed=seed))


def mean_resamples(
    values: Float[np.ndarray, "p m"], resampled: Resampled
) -> Float[np.ndarray, "r m"]:
    """Means over the rows of the drawn prompts, one a resample and column.

    A prompt with many pairs weighs more than one with few, in the resamples as in the
    mean itself: both are a ratio of a sum over pairs and a number of pairs.

    Args:
      values: One row a pair, finite.
      resampled: From :func:`resample_prompts` of the same rows.

    Returns:
      The means.

    References:
      Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8
      (whole clusters are drawn).
    """
    num_prompts = resampled.counts.shape[1]
    sums = np.zeros((num_prompts, values.shape[1]))
    np.add.at(sums, resampled.prompt, values)
    sizes = np.bincount(resampled.prompt, minlength=num_prompts).astype(float)
    means = resampled_means(sums, resampled.counts)
    return means / resampled_means(sizes, resampled.counts)[:, None]


def bounds(
    resamples: Float[np.ndarray, "r m"], num_prompts: int
) -> Float[np.ndarray, "2 m"]:
    """95 % bounds of each column; NaN where there are fewer than two prompts.

    One prompt drawn again and again never varies: a bootstrap would report certainty.
    """
    if num_prompts < 2 or not resamples.shape[1]:
        return np.full((2, resamples.shape[1]), np.nan)
    return interval(resamples)


def check_rows(
    values: Float[np.ndarray, " p"], groups: Int[np.ndarray, " p"], *, name: str
) -> None:
    """Refuses no rows at all, and values that are not numbers.

    Raises:
      InputError: There is no row, or a NaN; names its place.
    """
    if not len(groups):
        raise InputError("found no pairs, expected one or more", where=name)
    if np.isnan(values).any():
        place = int(np.flatnonzero(np.isnan(values))[0])
        raise InputError("found nan, expected a number", where=f"{name}[{place}]")
