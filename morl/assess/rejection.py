"""Accuracy on the pairs that a reward is surest of."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.assess.accuracy import ordered
from morl.assess.estimates import Estimate, Sampled, estimate_of
from morl.assess.resampling import bounds, check_rows, resample_prompts

COVERAGE = np.linspace(0.05, 1.0, 20)


class Rejection(NamedTuple):
    """Accuracy against the share of pairs that is kept.

    Attributes:
      coverage: Shares kept, rising to 1.
      accuracy: Of the surest pairs, that share of all.
      low: Lower 95 % bounds.
      high: Upper bounds.
      area: Between the curve and that of rejection at random, which is flat: by how
        much accuracy is higher on average over all shares.
      ratio: The area as a share of that of an oracle, which rejects wrong pairs first;
        1 for the oracle, 0 at random, below 0 where the surest are wrong most.
    """

    coverage: Float[np.ndarray, " m"]
    accuracy: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]
    area: Estimate
    ratio: Estimate


def rejection_curve(
    margins: Float[np.ndarray, " p"],
    uncertainty: Float[np.ndarray, " p"],
    groups: Int[np.ndarray, " p"],
    *,
    seed: int = 0,
) -> Rejection:
    """Accuracy where the least certain pairs are rejected first.

    Pairs of equal uncertainty are rejected in a random order, and counted as expected.

    Args:
      margins: Reward of each pair's better response less that of the worse.
      uncertainty: Of each pair, in any unit; the lowest is kept longest.
      groups: The prompt of each pair, any integers.
      seed: Of the bootstrap.

    Returns:
      The curve, with intervals that draw prompts.

    Raises:
      InputError: There is no pair, or a number is NaN.

    References:
      Malinin and Gales, Uncertainty Estimation in Autoregressive Structured Prediction
      (arXiv:2002.07650), 2021: the prediction rejection ratio.
    """
    check_rows(margins, groups, name="margins")
    check_rows(uncertainty, groups, name="uncertainty")
    right = ordered(margins)
    # Equal rows of a prompt are left: whatever their order, the numbers are the same.
    order = np.lexsort((right, groups, uncertainty))
    right, level = right[order], uncertainty[order]
    resampled = resample_prompts(groups, seed=seed)
    drawn = resampled.counts[:, resampled.prompt[order]]
    # The first row is the data as they are, the others their resamples.
    times = np.concatenate([np.ones_like(drawn[:1]), drawn]).astype(float)
    expected = _expected(right, level, times)
    kept = np.cumsum(times, axis=1)
    won = np.cumsum(times * expected, axis=1)
    share = np.divide(won, kept, out=np.zeros_like(won), where=kept > 0)
    total, overall = kept[:, -1], share[:, -1]
    area = np.sum(times * share, axis=1) / total - overall
    best = _oracle_area(overall)
    ratio = np.divide(area, best, out=np.full_like(area, np.nan), where=best > 0)
    curve = _at(kept, share)
    prompts = resampled.counts.shape[1]
    low, high = bounds(curve[1:], prompts)
    estimate = lambda values: estimate_of(
        Sampled(float(values[0]), values[1:], len(margins), prompts)
    )
    return Rejection(COVERAGE, curve[0], low, high, estimate(area), estimate(ratio))


def oracle_curve(accuracy: float) -> Float[np.ndarray, " m"]:
    """The best accuracy at each of :data:`COVERAGE`: wrong pairs are rejected first."""
    return np.minimum(1.0, accuracy / COVERAGE)


def _expected(
    right: Float[np.ndarray, " p"],
    level: Float[np.ndarray, " p"],
    times: Float[np.ndarray, "r p"],
) -> Float[np.ndarray, "r p"]:
    """The share of right pairs among those of the same uncertainty."""
    starts = np.flatnonzero(np.r_[True, np.diff(level) != 0])
    sizes = np.diff(np.r_[starts, len(level)])
    won = np.add.reduceat(times * right, starts, axis=1)
    count = np.add.reduceat(times, starts, axis=1)
    share = np.divide(won, count, out=np.zeros_like(won), where=count > 0)
    return np.repeat(share, sizes, axis=1)


def _at(
    kept: Float[np.ndarray, "r p"], share: Float[np.ndarray, "r p"]
) -> Float[np.ndarray, "r m"]:
    """The accuracy at each of :data:`COVERAGE`."""
    # A share that falls between two pairs keeps the next one whole; a little less than
    # is asked for, or the rounding of a product would keep one more.
    wanted = COVERAGE * (1 - 1e-12)
    total = kept[:, -1]
    places = [np.sum(kept < part * total[:, None], axis=1) for part in wanted]
    return np.take_along_axis(share, np.stack(places, axis=1), axis=1)


def _oracle_area(overall: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
    r"""The integral of :math:`\min(1, a / c)` over the share kept, less :math:`a`."""
    known = np.where(overall > 0, overall, 1.0)
    return np.where(overall > 0, -known * np.log(known), 0.0)
