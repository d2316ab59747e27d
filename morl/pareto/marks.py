"""What can be said about points and their intervals: dominance, ties, order."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.errors import InputError
from morl.numerics import interval
from morl.pareto.front import FrontPoint, intervals_of, rewards_of
from morl.pareto.host import hypervolume, non_dominated


def mark_dominated(points: Sequence[FrontPoint]) -> tuple[FrontPoint, ...]:
    """The same points with ``dominated`` set by their mean rewards, against each other.

    Args:
      points: The points of one method.

    Returns:
      The points in the same order; equal points do not dominate each other.
    """
    if not points:
        return ()
    kept = non_dominated(rewards_of(points))
    return tuple(
        replace(point, dominated=not bool(keep))
        for point, keep in zip(points, kept, strict=True)
    )


def separated(intervals: Float[np.ndarray, "n k 2"]) -> Bool[np.ndarray, "n n"]:
    """Whether two points' intervals are disjoint in at least one objective.

    Intervals of points measured on the same prompts vary together, so disjoint
    marginal intervals are a cautious sign of a difference, and overlap is none of
    equality.

    Args:
      intervals: Lower and upper bounds of each objective of each point.

    Returns:
      A symmetric table with a False diagonal.

    Examples:
      >>> separated(np.array([[[0.0, 1.0]], [[2.0, 3.0]], [[0.5, 2.0]]]))
      array([[False,  True, False],
             [ True, False, False],
             [False, False, False]])
    """
    low, high = intervals[..., 0], intervals[..., 1]
    above = low[:, None, :] > high[None, :, :]
    return np.any(above | above.swapaxes(0, 1), axis=-1)


def find_ties(points: Sequence[FrontPoint]) -> tuple[FrontPoint, ...]:
    """The same points with ``ties`` set: those whose intervals overlap throughout.

    Args:
      points: All points of a front. One without intervals ties with every other.

    Returns:
      The points in the same order.
    """
    if not points:
        return ()
    tied = ~separated(intervals_of(points))
    np.fill_diagonal(tied, False)
    return tuple(
        replace(point, ties=tuple(np.flatnonzero(row).tolist()))
        for point, row in zip(points, tied, strict=True)
    )


def monotonicity_violations(
    weights: Float[np.ndarray, "n k"],
    rewards: Float[np.ndarray, "n k"],
    intervals: Float[np.ndarray, "n k 2"],
) -> Int[np.ndarray, "v 2"]:
    r"""Pairs of points that break the law of an optimum of the weighted reward.

    If :math:`R(w)` maximises :math:`w \cdot R - \beta KL`, then for all weightings

    .. math:: (w - w') \cdot (R(w) - R(w')) \ge 0.

    It holds for linear utilities at one :math:`\beta` and the selector's own rewards;
    that :math:`R_k` grows with :math:`w_k` does not follow. Only pairs whose intervals
    separate are tested: between the others the sign is noise.

    Args:
      weights: One weighting a row.
      rewards: The mean rewards each one reached.
      intervals: Bounds of ``rewards``.

    Returns:
      Index pairs ``i < j`` whose product is negative, one a row.

    Examples:
      >>> weights, rewards = np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]])
      >>> exact = np.stack([rewards, rewards], axis=-1)
      >>> monotonicity_violations(weights, rewards, exact)
      array([[0, 1]])
    """
    if not len(weights) == len(rewards) == len(intervals):
        raise InputError(
            f"found {len(weights)} weightings, {len(rewards)} reward vectors and "
            f"{len(intervals)} intervals, expected as many of each",
            where="monotonicity_violations",
        )
    steps = weights[:, None] - weights[None]
    gains = rewards[:, None] - rewards[None]
    product = np.einsum("ijk,ijk->ij", steps, gains)
    broken = np.triu((product < 0) & separated(intervals), 1)
    return np.argwhere(broken)


def hypervolume_interval(
    resampled: Float[np.ndarray, "r n k"], reference: Float[np.ndarray, " k"]
) -> tuple[float, float]:
    """95% percentile bounds of a hypervolume, all points resampled together.

    The hypervolume of noisy means is biased upwards (the best of many is lucky), so
    its interval need not contain the value at the means.

    Args:
      resampled: Mean rewards of all points in each bootstrap resample of the prompts
        (``morl.numerics.resampled_means``).
      reference: As for :func:`morl.pareto.host.hypervolume`; the same in every one.

    Returns:
      Lower and upper bound.

    Examples:
      >>> hypervolume_interval(np.ones((3, 1, 2)), np.zeros(2))
      (1.0, 1.0)
    """
    volumes = np.array([hypervolume(points, reference) for points in resampled])
    low, high = interval(volumes)
    return float(low), float(high)


def share_closed(value: float, *, base: float, exact: float) -> float:
    """Share of the gap between two hypervolumes that ``value`` closes.

    Args:
      value: Hypervolume reached.
      base: Of the base policy.
      exact: Of the true front, above ``base``.

    Returns:
      0 at ``base``, 1 at ``exact``; negative below the base policy.

    Raises:
      InputError: ``exact`` is not above ``base``: there is no gap to close.

    Examples:
      >>> share_closed(2.5, base=1.0, exact=3.0)
      0.75
    """
    if not exact > base:
        raise InputError(
            f"exact hypervolume is {exact}, base is {base}: there is no gap to close",
            where="share_closed",
        )
    return (value - base) / (exact - base)


class Gain(NamedTuple):
    """A gain over the base policy in one objective.

    Attributes:
      point: The point that makes it.
      objective: Index of the objective.
      gain: Mean reward above the base policy's.
      clear: Whether the point's interval lies above the base policy's.
    """

    point: FrontPoint
    objective: int
    gain: float
    clear: bool


def _gain(point: FrontPoint, base: FrontPoint, objective: int) -> Gain:
    bounds, floor = intervals_of([point, base])[:, objective]
    return Gain(
        point,
        objective,
        point.rewards[objective] - base.rewards[objective],
        bool(bounds[0] > floor[1]),
    )


def vertex_gains(points: Sequence[FrontPoint], base: FrontPoint) -> list[Gain]:
    """For each objective, the gain of the points that weigh it alone.

    Args:
      points: A method's sweep; points off the vertices are passed over.
      base: The base policy's point.

    Returns:
      One gain for each point at a vertex, objectives in order.
    """
    found = []
    for objective in range(len(base.rewards)):
        for point in points:
            others = point.weights[:objective] + point.weights[objective + 1 :]
            if point.weights[objective] > 0 and not any(others):
                found.append(_gain(point, base, objective))
    return found


def control_gains(controls: Sequence[FrontPoint], base: FrontPoint) -> list[Gain]:
    """What a control gains over the base policy, clearly: nothing, if it is sound.

    Args:
      controls: Points selected by heads that know nothing.
      base: The base policy's point.

    Returns:
      Every gain whose interval lies above the base policy's. Empty is the sound
      outcome; among many points at 95% an occasional entry is chance.
    """
    gains = (
        _gain(point, base, objective)
        for point in controls
        for objective in range(len(base.rewards))
    )
    return [gain for gain in gains if gain.clear]
