"""The control: the same selection by heads that know nothing, which gains nothing."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from morl.fronts.measure import Measure, Measured, bounds_of
from morl.fronts.trace import Sweep, trace_sweep
from morl.numerics import resampled_means
from morl.numerics.bootstrap import LEVEL
from morl.pareto import Hypervolume, host, hypervolume_interval
from morl.rewards import Composition

NOISE = "noise"


def control_sweeps(
    composition: Composition,
    measure: Measure,
    draws: Float[np.ndarray, "draws b n k"],
) -> Sweep:
    """Sweeps by sets of heads: every part has an axis of draws before its own.

    Args:
      composition: What selects.
      measure: Candidates, weightings and betas.
      draws: The selector's rewards by each set of heads, such as
        :func:`morl.fronts.trace.noise_rewards` gives.
    """
    swept = [
        trace_sweep(
            composition,
            replace(measure.candidates, rewards=rewards),
            measure.weights,
            measure.betas,
        )
        for rewards in draws
    ]
    return Sweep(*(np.stack(parts) for parts in zip(*swept, strict=True)))


def control_points(measure: Measure, noise: Sweep) -> dict[str, Measured]:
    """Mean points over the draws, under one band that holds for all of them at once.

    Hundreds of values are looked at, and at 95% each some would seem to gain by chance.
    See :func:`simultaneous_reach`.

    Args:
      measure: Candidates, weightings and betas.
      noise: From :func:`control_sweeps`.

    Returns:
      The points of each method, by a name that begins with ``noise``.
    """
    mean = Sweep(*(np.asarray(part).mean(axis=0) for part in noise))
    found = measure.methods(mean, "control", f"{NOISE} ")
    reach = simultaneous_reach(np.stack([each.resampled for each in found.values()]))
    return {
        name: each._replace(
            points=[
                replace(point, interval=_around(point.rewards, width))
                for point, width in zip(each.points, widths, strict=True)
            ]
        )
        for (name, each), widths in zip(found.items(), reach, strict=True)
    }


def simultaneous_reach(
    resampled: Float[np.ndarray, "m r w j"],
) -> Float[np.ndarray, "m w j"]:
    """How far to either side of its mean a band reaches that holds for all values.

    It is as wide as the largest of the standardised deviations of all values is in 95%
    of the resamples (max-t), so that with many prompts 95% of runs have no true mean
    outside of it. It has two sides: half of the rest show a gain where there is none.

    Args:
      resampled: Means of every value in each resample ``r`` of the prompts.

    References:
      Romano and Wolf, Exact and approximate stepdown methods for multiple hypothesis
      testing, JASA 100, 2005.
    """
    spread = resampled.std(axis=1, keepdims=True)
    away = resampled - resampled.mean(axis=1, keepdims=True)
    scores = np.divide(np.abs(away), spread, out=np.zeros_like(away), where=spread > 0)
    return np.quantile(scores.max(axis=(0, 2, 3)), LEVEL) * spread[:, 0]


def control_volumes(
    measure: Measure, noise: Sweep, floor: Float[np.ndarray, " k"]
) -> list[Hypervolume]:
    """The mean volume of one set of noise heads by each method, over draws and prompts.

    Points averaged over the draws would lie closer together than those of any one set
    of heads, as a method's are, and dominate less. Each resample of the prompts takes
    the next draw, so that the interval is that of one set of heads.
    """
    found = []
    for method in np.moveaxis(np.asarray(noise.judged), 1, 0):
        volumes = [host.hypervolume(points.mean(axis=1), floor) for points in method]
        resampled = [
            resampled_means(points.swapaxes(0, 1), measure.counts[place :: len(method)])
            for place, points in enumerate(method)
        ]
        bounds = hypervolume_interval(np.concatenate(resampled), floor)
        found.append(Hypervolume(float(np.mean(volumes)), bounds))
    return found


def _around(
    centre: tuple[float, ...], reach: Float[np.ndarray, " j"]
) -> tuple[tuple[float, float], ...]:
    middle = np.array(centre)
    return bounds_of(np.stack([middle - reach, middle + reach]))
