"""Intervals of indicators, and which of two fronts is better, by bootstrap.

Prompts are resampled, and so are training seeds where there are several. All points of
a front, and both fronts of a comparison, are measured on the same drawn prompts, so
what a prompt does to all of them at once cancels. Seeds and prompts are crossed, not
nested: every seed is measured on every prompt, and each resample draws seeds and
prompts independently.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import ArrayLike, Float, Int

from morl.errors import InputError
from morl.numerics import NUM_RESAMPLES, interval, resample_counts, resampled_means

Indicator: TypeAlias = Callable[[np.ndarray], ArrayLike]
# Two methods may differ in seeds and points, so the letters bind nothing.
SeedRewards: TypeAlias = Float[np.ndarray, "_s _n _p _k"]


class Estimate(NamedTuple):
    """A number with its 95% bounds.

    Attributes:
      value: At the means over all prompts, averaged over all seeds.
      low: Lower percentile bound; NaN where there is nothing to resample.
      high: Upper percentile bound.
    """

    value: float
    low: float
    high: float


class Draws(NamedTuple):
    """How often each prompt and each seed is drawn in each resample.

    Attributes:
      prompts: Shared by everything that is compared.
      seeds: Of one method; a method's training seeds say nothing of another's.
    """

    prompts: Int[np.ndarray, "r p"]
    seeds: Int[np.ndarray, "r s"]


def one_by_one(indicator: Callable[[np.ndarray], float]) -> Indicator:
    """An indicator of many fronts from one of a single front that runs on the host.

    An indicator of arrays needs no such help: ``jax.jit(jax.vmap(indicator))``.

    Args:
      indicator: From reward vectors ``[n, k]`` to a number.

    Returns:
      From fronts ``[r, n, k]`` to numbers ``[r]``.

    Examples:
      >>> one_by_one(lambda front: float(front.max()))(np.arange(4.0).reshape(2, 2, 1))
      array([1., 3.])
    """
    return lambda fronts: np.array([indicator(front) for front in fronts])


def indicator_intervals(
    rewards: SeedRewards,
    indicators: Mapping[str, Indicator],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Each indicator of a front with its interval, over prompts and training seeds.

    A front is the mean rewards over the drawn prompts; its indicator is averaged over
    the drawn seeds, so the estimate is of the indicator that a run can expect, not of
    the front of averaged runs. Two biases stay. An indicator that takes the best of
    noisy means (a hypervolume) is lucky, and a resample doubly so: the interval need
    not contain the value. And a few seeds vary less among themselves, by a factor of
    ``(S - 1) / S`` in variance, than the runs they stand for: with three, the
    interval is too short.

    Args:
      rewards: Reward of each seed's points on each prompt, ``[seeds, points, prompts,
        objectives]``; NaN leaves a prompt out of that one mean. One seed gives an
        interval over prompts alone.
      indicators: From fronts ``[r, n, k]`` to numbers ``[r]`` under any name, such as
        ``jax.vmap(indicator)`` or :func:`one_by_one` of a host one. All see the same
        resamples.
      num_resamples: How many.
      seed: Of the draws.

    Returns:
      An estimate for each name; bounds are NaN for fewer than two prompts and seeds.

    Raises:
      InputError: No seed, point, prompt or objective, or a resample in which a mean
        has no value.

    Examples:
      >>> rewards = np.array([[[[1.0], [3.0], [5.0]]]])
      >>> found = indicator_intervals(rewards, {"best": lambda f: f.max(axis=(1, 2))})
      >>> found["best"].value
      3.0

    References:
      Efron, Bootstrap Methods: Another Look at the Jackknife, Ann. Statist. 7(1), 1979.
      Owen, The Pigeonhole Bootstrap (arXiv:0712.1111), Ann. Appl. Stat. 1(2), 2007:
      resampling crossed factors independently.
    """
    _check(rewards, "indicator_intervals")
    draws = _draw(rewards, num_resamples, seed, method=0)
    fronts = _fronts(rewards, draws)
    whole = _fronts(rewards, _everything(rewards))
    return {
        name: _estimate(
            _over_seeds(indicator, whole, _everything(rewards))[0],
            _over_seeds(indicator, fronts, draws),
            units=max(rewards.shape[0], rewards.shape[2]),
        )
        for name, indicator in indicators.items()
    }


def difference_interval(
    first: SeedRewards,
    second: SeedRewards,
    indicator: Indicator,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """How much higher the first front's indicator is, with its paired interval.

    Args:
      first: As for :func:`indicator_intervals`.
      second: On the same prompts, in the same order; seeds and points may differ in
        number.
      indicator: From fronts ``[r, n, k]`` to numbers ``[r]``.
      num_resamples: How many.
      seed: Of the draws.

    Returns:
      Indicator of the first minus that of the second.

    Raises:
      InputError: Empty rewards, or different prompts or objectives.

    Examples:
      >>> rewards = np.arange(12.0).reshape(1, 2, 3, 2)
      >>> worst = lambda fronts: fronts.min(axis=(1, 2))
      >>> found = difference_interval(rewards + 1, rewards, worst)
      >>> print(f"{found.low:.3f} {found.value:.3f} {found.high:.3f}")
      1.000 1.000 1.000
    """
    _check_pair(first, second, "difference_interval")
    whole = [
        _over_seeds(indicator, _fronts(part, _everything(part)), _everything(part))[0]
        for part in (first, second)
    ]
    ours, theirs = _paired(first, second, indicator, num_resamples, seed)
    units = max(first.shape[0], second.shape[0], first.shape[2])
    return _estimate(whole[0] - whole[1], ours - theirs, units=units)


def probability_higher(
    first: SeedRewards,
    second: SeedRewards,
    indicator: Indicator,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> float:
    """Share of the paired resamples in which the first front's indicator is higher.

    Ties count half, so a front against itself has 0.5. Every resample draws the same
    prompts for both. It is the bootstrap's answer to "would another set of prompts and
    runs agree?", not the level of a test. For indicators where smaller is better, it
    is the probability of being worse.

    Args:
      first: As for :func:`indicator_intervals`.
      second: On the same prompts, in the same order; seeds and points may differ in
        number.
      indicator: From fronts ``[r, n, k]`` to numbers ``[r]``, such as hypervolumes
        over one reference point.
      num_resamples: How many.
      seed: Of the draws.

    Returns:
      A number from 0 to 1; NaN for fewer than two prompts and seeds.

    Raises:
      InputError: Empty rewards, or different prompts or objectives.

    Examples:
      >>> rewards = np.arange(12.0).reshape(1, 2, 3, 2)
      >>> probability_higher(rewards + 1, rewards, lambda f: f.min(axis=(1, 2)))
      1.0
    """
    _check_pair(first, second, "probability_higher")
    if max(first.shape[0], second.shape[0], first.shape[2]) < 2:
        return float("nan")
    ours, theirs = _paired(first, second, indicator, num_resamples, seed)
    return float(np.mean((ours > theirs) + 0.5 * (ours == theirs)))


def _paired(
    first: SeedRewards,
    second: SeedRewards,
    indicator: Indicator,
    num_resamples: int,
    seed: int,
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """The indicator of both in every resample: same prompts, seeds of each its own."""
    ours = _draw(first, num_resamples, seed, method=0)
    theirs = _draw(second, num_resamples, seed, method=1)
    return (
        _over_seeds(indicator, _fronts(first, ours), ours),
        _over_seeds(indicator, _fronts(second, theirs), theirs),
    )


def _draw(rewards: SeedRewards, num_resamples: int, seed: int, *, method: int) -> Draws:
    # Streams of one seed: the prompts' is the same for every method, the runs' is not.
    prompts, *runs = np.random.SeedSequence(seed).generate_state(3)
    return Draws(
        resample_counts(
            rewards.shape[2], num_resamples=num_resamples, seed=int(prompts)
        ),
        resample_counts(
            rewards.shape[0], num_resamples=num_resamples, seed=int(runs[method])
        ),
    )


def _everything(rewards: SeedRewards) -> Draws:
    """One resample that is the data: each prompt and each seed once."""
    return Draws(
        np.ones((1, rewards.shape[2]), int), np.ones((1, rewards.shape[0]), int)
    )


def _fronts(rewards: SeedRewards, draws: Draws) -> Float[np.ndarray, "r s n k"]:
    """Mean rewards of every seed's points over the prompts of each resample."""
    fronts = resampled_means(np.moveaxis(rewards, 2, 0), draws.prompts)
    empty = np.isnan(fronts).any(axis=0)
    if empty.any():
        place = tuple(int(i) for i in np.argwhere(empty)[0])
        raise InputError(
            "a resample drew no prompt with a value for (seed, point, objective) "
            f"{place}: it has values on too few prompts",
            where="resampled fronts",
        )
    return fronts


def _over_seeds(
    indicator: Indicator, fronts: Float[np.ndarray, "r s n k"], draws: Draws
) -> Float[np.ndarray, " r"]:
    """The indicator of each front, averaged over the seeds that a resample drew."""
    num, seeds = fronts.shape[:2]
    flat = fronts.reshape(num * seeds, *fronts.shape[2:])
    found = np.asarray(indicator(flat), np.float64).reshape(num, seeds)
    drawn = np.where(draws.seeds > 0, found, 0.0)
    return (drawn * draws.seeds).sum(axis=1) / draws.seeds.sum(axis=1)


def _estimate(
    value: float, resamples: Float[np.ndarray, " r"], *, units: int
) -> Estimate:
    """With bounds, unless one prompt and one seed are drawn again and again."""
    low, high = interval(resamples) if units > 1 else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high))


def _check(rewards: SeedRewards, where: str) -> None:
    if not rewards.size:
        raise InputError(
            f"found rewards of shape {rewards.shape}, expected at least one seed, "
            "point, prompt and objective",
            where=where,
        )


def _check_pair(first: SeedRewards, second: SeedRewards, where: str) -> None:
    _check(first, where)
    _check(second, where)
    if first.shape[2:] != second.shape[2:]:
        raise InputError(
            f"found {first.shape[2:]} and {second.shape[2:]} prompts and objectives, "
            "expected the same of both",
            where=where,
        )
