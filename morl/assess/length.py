"""How far a reward follows length."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from morl.assess.estimates import NONE, Estimate, Sampled, estimate_of
from morl.assess.resampling import check_rows, resample_prompts


def matched(
    better: Num[np.ndarray, " p"], worse: Num[np.ndarray, " p"], *, ratio: float
) -> Bool[np.ndarray, " p"]:
    """Pairs whose lengths differ by at most a factor.

    Args:
      better: Length of each better response.
      worse: Length of each worse one.
      ratio: The factor, 1 or more.

    Examples:
      >>> matched(np.array([100, 100]), np.array([80, 79]), ratio=1.25)
      array([ True, False])
    """
    return np.maximum(better, worse) <= ratio * np.minimum(better, worse)


def centred(
    values: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Each value less the mean of its group: what is left is a matter of the response.

    Examples:
      >>> centred(np.array([1.0, 3.0, 9.0]), np.array([0, 0, 1]))
      array([-1.,  1.,  0.])
    """
    place = np.unique(groups, return_inverse=True)[1]
    means = np.bincount(place, weights=values) / np.bincount(place)
    return values - means[place]


def rank_correlation(
    first: Float[np.ndarray, " n"],
    second: Float[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Estimate:
    """Spearman's correlation, with an interval that draws prompts.

    Args:
      first: One number a response.
      second: Another.
      groups: The prompt of each, any integers.
      seed: Of the bootstrap.

    Returns:
      The correlation; NaN where one side is constant, or there are no responses.

    Raises:
      InputError: A number is NaN.

    References:
      Spearman, The proof and measurement of association between two things (1904).
    """
    if not len(groups):
        return NONE
    check_rows(first, groups, name="first")
    check_rows(second, groups, name="second")
    resampled = resample_prompts(groups, seed=seed)
    drawn = resampled.counts[:, resampled.prompt]
    # The first row is the data as they are, the others their resamples.
    times = np.concatenate([np.ones_like(drawn[:1]), drawn]).astype(float)
    found = _pearson(_midranks(first, times), _midranks(second, times), times)
    return estimate_of(
        Sampled(float(found[0]), found[1:], len(groups), resampled.counts.shape[1])
    )


def _midranks(
    values: Float[np.ndarray, " n"], times: Float[np.ndarray, "r n"]
) -> Float[np.ndarray, "r n"]:
    """Ranks where each value occurs so often; equal values share their mean rank."""
    distinct, place = np.unique(values, return_inverse=True)
    counts = np.zeros((len(times), len(distinct)))
    np.add.at(counts.T, place, times.T)
    below = np.cumsum(counts, axis=1) - counts
    return (below + (counts + 1) / 2)[:, place]


def _pearson(
    x: Float[np.ndarray, "r n"],
    y: Float[np.ndarray, "r n"],
    times: Float[np.ndarray, "r n"],
) -> Float[np.ndarray, " r"]:
    """Correlation of weighted rows; NaN where a side is constant."""
    total = times.sum(axis=1, keepdims=True)
    x, y = (own - np.sum(times * own, axis=1, keepdims=True) / total for own in (x, y))
    both, xx, yy = (np.sum(times * a * b, axis=1) for a, b in ((x, y), (x, x), (y, y)))
    scale = np.sqrt(xx * yy)
    return np.divide(both, scale, out=np.full_like(both, np.nan), where=scale > 0)
