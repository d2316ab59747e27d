"""How far a reward follows length."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.stats import rankdata

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
    resamples = [
        _spearman(np.repeat(first, times), np.repeat(second, times)) for times in drawn
    ]
    return estimate_of(
        Sampled(
            _spearman(first, second),
            np.array(resamples),
            len(groups),
            resampled.counts.shape[1],
        )
    )


def _spearman(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    ranks = [rankdata(side) for side in (first, second)]
    x, y = (own - own.mean() for own in ranks)
    scale = np.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / scale) if scale > 0 else float("nan")
