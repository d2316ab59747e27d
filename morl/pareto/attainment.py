"""What share of the runs reaches a goal, and the surface that a share of them reaches.

Runs of one method with different seeds give different fronts. The empirical attainment
function says for every reward vector how often a front has reached it; its contours
are what a median or a worst front looks like.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import moocore
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from morl.errors import InputError


def attainment(
    fronts: Real[Array, "s n k"],
    goals: Real[Array, "m k"],
    *,
    mask: Bool[Array, "s n"] | None = None,
) -> Float[Array, " m"]:
    r"""Share of the runs in which some point reaches each goal.

    .. math:: \alpha(z) = \frac{1}{S} \sum_s \mathbf 1\big[\exists\, a \in A_s :
      a_k \ge z_k \text{ for all } k\big]

    Args:
      fronts: Reward vectors of each run, maximised; masked rows may hold NaN.
      goals: Reward vectors asked for.
      mask: Points that count, run by run; None for all. A run without points reaches
        nothing.

    Returns:
      One share a goal, in float32 at least; piecewise constant, so without a gradient.

    Raises:
      InputError: No runs, or different numbers of objectives.

    Examples:
      >>> fronts = jnp.array([[[1.0, 3.0], [3.0, 1.0]], [[2.0, 2.0], [0.0, 0.0]]])
      >>> print(attainment(fronts, jnp.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])))
      [1.  0.5 0. ]

    References:
      Fonseca and Fleming, On the Performance Assessment and Comparison of Stochastic
      Multiobjective Optimizers, PPSN IV, 1996.
    """
    if not fronts.shape[0] or fronts.shape[2] != goals.shape[1]:
        raise InputError(
            f"found {fronts.shape[0]} runs of {fronts.shape[2]} objectives and goals "
            f"of {goals.shape[1]}, expected at least one run, and as many objectives",
            where="attainment",
        )
    kept = jnp.ones(fronts.shape[:2], bool) if mask is None else mask
    reaches = jnp.all(fronts[:, :, None] >= goals[None, None], axis=-1)
    reached = jnp.any(reaches & kept[:, :, None], axis=1)
    return jnp.mean(reached, axis=0, dtype=jnp.promote_types(fronts.dtype, jnp.float32))


def attainment_surface(
    fronts: Sequence[Float[np.ndarray, "_ k"]], *, level: float = 0.5
) -> Float[np.ndarray, "m k"]:
    """The best reward vectors that at least a share ``level`` of the runs reaches.

    This runs on the host. They are the non-dominated corners of the region whose
    :func:`attainment` is at least ``level``, reached by ``ceil(level * runs)`` runs:
    0.5 gives the median front, 1 what every run reaches, and any level up to 1 / runs
    the best of all.

    Args:
      fronts: Reward vectors of each run, maximised, one array a run; runs may differ
        in their number of points, and a run without points reaches nothing.
      level: Share of the runs, above 0 and at most 1.

    Returns:
      One corner a row, in lexicographic order; none where too few runs have points.

    Raises:
      InputError: No runs, a level outside (0, 1], NaN or infinity, or other than two
        or three objectives.

    Examples:
      >>> fronts = np.array([[[1.0, 3.0], [3.0, 1.0]], [[2.0, 2.0], [2.0, 2.0]]])
      >>> attainment_surface(list(fronts), level=1.0)
      array([[1., 2.],
             [2., 1.]])

    References:
      Fonseca, Guerreiro, López-Ibáñez and Paquete, On the Computation of the Empirical
      Attainment Function, EMO 2011.
    """
    points = _checked(fronts, level)
    runs = np.repeat(np.arange(len(fronts)), [len(front) for front in fronts])
    # An ulp above a whole number of runs is that number.
    needed = max(1, math.ceil(level * len(fronts) * (1 - 1e-12)))
    present = np.unique(runs)
    if needed > len(present):
        return np.zeros((0, points.shape[1]))
    # moocore minimises, and counts only the runs that have points.
    surface = moocore.eaf(-points, runs, percentiles=[100 * needed / len(present)])
    corners = -surface[:, :-1] + 0.0
    return corners[np.lexsort(corners.T[::-1])]


def _checked(
    fronts: Sequence[Float[np.ndarray, "_ k"]], level: float
) -> Float[np.ndarray, "n k"]:
    """All points of all runs; refuses what has no attainment surface."""
    where = "attainment_surface"
    if not 0 < level <= 1:
        raise InputError(
            f"found level {level}, expected above 0 and at most 1", where=where
        )
    widths = sorted({front.shape[1] for front in fronts})
    if widths not in ([2], [3]):
        raise InputError(
            f"found {len(fronts)} runs with {widths} objectives, expected at least one "
            "run, all with 2 or all with 3",
            where=where,
        )
    points = np.concatenate(list(fronts)).astype(np.float64)
    if not np.isfinite(points).all():
        raise InputError("found NaN or infinity, expected finite numbers", where=where)
    return points
