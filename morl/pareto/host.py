"""Dominance and hypervolume on the host: moocore behind one sign convention.

Every objective is maximised, and a reference point lies *below* what counts. Nothing
here takes absolute values, so a loss is never read as a gain.
"""

import moocore
import numpy as np
from jaxtyping import Bool, Float

from morl.errors import InputError


def _checked(
    points: Float[np.ndarray, "n k"], reference: Float[np.ndarray, " r"], name: str
) -> None:
    """Refuses what has no meaning: NaN, infinities, no objective, unequal lengths."""
    if points.shape[1] < 1 or points.shape[1] != len(reference):
        raise InputError(
            f"points have {points.shape[1]} objectives, reference has {len(reference)}",
            where=name,
        )
    if not (np.isfinite(points).all() and np.isfinite(reference).all()):
        raise InputError("found NaN or infinity, expected finite numbers", where=name)


def hypervolume(
    points: Float[np.ndarray, "n k"], reference: Float[np.ndarray, " k"]
) -> float:
    r"""Volume that ``points`` dominate above ``reference``, exact for any ``k``.

    .. math:: HV(P, z) = \lambda\Big(\bigcup_{p \in P} \prod_k [z_k, \max(p_k, z_k)]
      \Big)

    Args:
      points: Reward vectors, maximised; duplicates and dominated ones add nothing.
      reference: The point :math:`z`. A reward vector that does not exceed it in every
        objective counts nothing, never something negative.

    Returns:
      The volume, in the product of the objectives' units; 0 for no points.

    Raises:
      InputError: NaN or infinity, or lengths that do not match.

    Examples:
      >>> hypervolume(np.array([[5.0, 5], [4, 6], [2, 7], [7, 4]]), np.zeros(2))
      39.0

    References:
      Zitzler and Thiele, Multiobjective Optimization Using Evolutionary Algorithms,
      PPSN V, 1998.
    """
    _checked(points, reference, "hypervolume")
    kept = np.maximum(points, reference[None]).astype(np.float64)
    return float(moocore.hypervolume(kept, ref=reference, maximise=True))


def hypervolume_contributions(
    points: Float[np.ndarray, "n k"], reference: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " n"]:
    """What the hypervolume loses when one point is taken away, for each point.

    Args:
      points: Reward vectors, maximised. Dominated points have 0, and so has each of a
        set of equal points.
      reference: As for :func:`hypervolume`.

    Returns:
      One number at least 0 a point.

    Raises:
      InputError: NaN or infinity, or lengths that do not match.

    Examples:
      >>> points = np.array([[5.0, 5], [4, 6], [2, 7], [7, 4]])
      >>> hypervolume_contributions(points, np.zeros(2))
      array([1., 2., 2., 8.])
    """
    _checked(points, reference, "hypervolume_contributions")
    if not len(points):
        return np.zeros(0)
    kept = np.maximum(points, reference[None]).astype(np.float64)
    # moocore wants two objectives: a second one, of extent 1, leaves volumes alone.
    lift = ((0, 0), (0, 1))
    kept = np.pad(kept, lift, constant_values=1.0) if kept.shape[1] == 1 else kept
    found = moocore.hv_contributions(
        kept,
        ref=np.pad(reference, (0, kept.shape[1] - len(reference))),
        maximise=True,
        ignore_dominated=False,
    )
    # A difference of two volumes can fall an ulp below zero.
    return np.maximum(found, 0.0)


def non_dominated(points: Float[np.ndarray, "n k"]) -> Bool[np.ndarray, " n"]:
    """Whether no other point is at least as good everywhere and better somewhere.

    Args:
      points: Reward vectors, maximised; equal points do not dominate each other.

    Returns:
      One flag a point.

    Raises:
      InputError: NaN or infinity.

    Examples:
      >>> non_dominated(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [1.0, 1.0]]))
      array([ True,  True,  True, False])
    """
    _checked(points, np.zeros(points.shape[1]), "non_dominated")
    if not len(points):
        return np.zeros(0, bool)
    found = moocore.is_nondominated(
        points.astype(np.float64), maximise=True, keep_weakly=True
    )
    return np.asarray(found, dtype=bool)
