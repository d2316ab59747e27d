"""Which points a linear weighting can choose: the convex coverage set, on the host."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linprog

from morl.errors import InputError
from morl.pareto.host import non_dominated


def convex_coverage(
    points: Float[np.ndarray, "n k"], *, tolerance: float = 1e-9
) -> Bool[np.ndarray, " n"]:
    r"""Whether some weighting on the simplex prefers a point to all different ones.

    For each point :math:`p` a linear program asks for the weighting that sets it
    furthest apart,

    .. math:: \delta(p) = \max_{w \in \Delta} \min_{q \neq p}
      w \cdot \frac{p - q}{\|p - q\|}

    and the point is in the set when :math:`\delta(p) > 0`. These are the points that
    linear methods can find and keep: a maximiser of every weighting is among them, or
    ties with one that is. A point that only ties with others at its best weighting (it
    lies between them, or is weakly dominated) adds no utility to any user and is left
    out, so the set is the smallest coverage set; the larger "convex hull" of Roijers et
    al. keeps such points. Equal points are all kept, or none.

    This runs on the host, a few milliseconds a point. The answer does not depend on the
    units or origins of the objectives: each is brought to the range 0 to 1 first.

    Args:
      points: Reward vectors, maximised.
      tolerance: Smallest :math:`\delta` that counts, between 0 and 1: below it a point
        is taken to tie. The default is for values exact to float64.

    Returns:
      One flag a point.

    Raises:
      InputError: NaN or infinity.
      ArithmeticError: The solver failed, which no finite input is known to cause.

    Examples:
      >>> convex_coverage(np.array([[0.0, 10.0], [10.0, 0.0], [4.0, 4.0]]))
      array([ True,  True, False])

    References:
      Roijers et al., A Survey of Multi-Objective Sequential Decision-Making
      (arXiv:1402.0590), JAIR 48, 2013.
    """
    if not np.isfinite(points).all():
        raise InputError(
            "found NaN or infinity, expected finite numbers", where="convex_coverage"
        )
    distinct, place = np.unique(points.astype(np.float64), axis=0, return_inverse=True)
    if not len(distinct):
        return np.zeros(0, bool)
    extent = np.ptp(distinct, axis=0)
    scaled = (distinct - distinct.min(0)) / np.where(extent > 0, extent, 1)
    rivals = np.flatnonzero(non_dominated(scaled))
    found = np.zeros(len(distinct), bool)
    for i in rivals:
        found[i] = _lead(scaled[i], scaled[rivals[rivals != i]]) > tolerance
    return found[place]


def _lead(point: Float[np.ndarray, " k"], others: Float[np.ndarray, "m k"]) -> float:
    """How far the best weighting sets a point apart from the others, as an angle."""
    if not len(others):
        return 1.0
    gaps = point[None] - others
    # Unit vectors: the lead of a close neighbour is not drowned by the solver's
    # tolerance.
    gaps = gaps / np.linalg.norm(gaps, axis=1, keepdims=True)
    weights = _separating(gaps)
    # The solver is exact to its tolerance only; the lead of its weighting is a bound
    # that holds to rounding.
    return float((gaps @ weights).min())


def _separating(gaps: Float[np.ndarray, "m k"]) -> Float[np.ndarray, " k"]:
    """The weighting whose smallest product with the gaps is largest."""
    num, k = gaps.shape
    solved = linprog(
        np.append(np.zeros(k), -1.0),
        A_ub=np.concatenate([-gaps, np.ones((num, 1))], axis=1),
        b_ub=np.zeros(num),
        A_eq=np.append(np.ones(k), 0.0)[None],
        b_eq=np.ones(1),
        bounds=[(0, 1)] * k + [(-1, 1)],
        # Three dense columns have nothing to presolve: it takes four times as long.
        options={"presolve": False},
    )
    if solved.x is None:
        raise ArithmeticError(f"convex_coverage: {solved.message}")
    weights = np.clip(solved.x[:k], 0, None)
    return weights / weights.sum()
