"""Well-spread weightings: points of the probability simplex."""

from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float

from morl.errors import InputError

MOST_POINTS = 1_000_000


def simplex_lattice(num_objectives: int, divisions: int) -> Float[np.ndarray, "n k"]:
    r"""All weightings whose entries are multiples of ``1 / divisions`` and sum to 1.

    There are :math:`\binom{D + K - 1}{K - 1}` of them for :math:`K` objectives and
    :math:`D` divisions: 11 for (2, 10), 66 for (3, 10). The vertices are always among
    them; the centroid is when ``divisions`` is a multiple of ``num_objectives``.

    Args:
      num_objectives: :math:`K`, at least 1.
      divisions: :math:`D`, at least 1: steps between two vertices.

    Returns:
      One weighting a row, in lexicographic order, float64.

    Raises:
      InputError: A count below 1, or a lattice of more than a million points.

    Examples:
      >>> simplex_lattice(2, 2)
      array([[0. , 1. ],
             [0.5, 0.5],
             [1. , 0. ]])

    References:
      Das and Dennis, Normal-Boundary Intersection, SIAM J. Optim. 8(3), 1998.
    """
    if num_objectives < 1 or divisions < 1:
        raise InputError(
            f"found {num_objectives} objectives and {divisions} divisions, expected at "
            "least 1 of each",
            where="simplex_lattice",
        )
    size = comb(divisions + num_objectives - 1, num_objectives - 1)
    if size > MOST_POINTS:
        raise InputError(
            f"{num_objectives} objectives with {divisions} divisions make {size} "
            f"weightings, expected at most {MOST_POINTS}",
            where="simplex_lattice",
        )
    # Stars and bars: a weighting is the gaps between K - 1 bars among D + K - 1 places.
    places = divisions + num_objectives - 1
    bars = np.array(
        list(combinations(range(places), num_objectives - 1)), dtype=np.int64
    ).reshape(size, num_objectives - 1)
    fence = np.full((size, 1), -1), bars, np.full((size, 1), places)
    return (np.diff(np.concatenate(fence, axis=1), axis=1) - 1) / divisions
