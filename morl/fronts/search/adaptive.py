"""The next weighting, where the front is least known; for any scalarizer."""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import helmert
from scipy.spatial import Delaunay

from morl.errors import InputError


class Explored(NamedTuple):
    """Weightings that were tried, in order, and what each one earned."""

    weights: Float[np.ndarray, "n k"]
    rewards: Float[np.ndarray, "n k"]


def next_weights(
    weights: Float[np.ndarray, "n k"],
    rewards: Float[np.ndarray, "m j"],
    *,
    count: int = 1,
    resolution: float = 1e-3,
) -> Float[np.ndarray, "c k"]:
    r"""Weightings between known ones, where most of the front may be missing.

    The known weightings are joined to cells: neighbours for two objectives, a Delaunay
    triangulation of the simplex for more. What a cell leaves open is the volume of the
    box that its reward vectors span,

    .. math:: V(c) = \prod_k \Big(\max_{i \in c} r_{ik} - \min_{i \in c} r_{ik}\Big)

    with rewards in units of their range: between two neighbours on a front, a new point
    adds to the hypervolume at most this. The cell that leaves most open is split in the
    middle of that edge whose ends earn the most different rewards. The rule sees only
    weightings and rewards, so it serves every scalarizer.

    Args:
      weights: Weightings tried, on the simplex; they must span it (its vertices, or a
        lattice). New ones lie between them.
      rewards: What each earned, maximised.
      count: Most weightings to return, from different cells, for solves side by side.
      resolution: Edges shorter than this (largest change of a weight) are not split.
        A gap in the front costs about :math:`\log_2` of its inverse solves.

    Returns:
      Up to ``count`` weightings, most promising first; none where every cell is known.

    Raises:
      InputError: Arrays that do not match, are not finite, or weightings that do not
        span the simplex.

    Examples:
      >>> tried = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
      >>> earned = np.array([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0]])
      >>> next_weights(tried, earned)
      array([[0.75, 0.25]])
    """
    _check(weights, rewards)
    extent = np.ptp(rewards, axis=0)
    scaled = rewards / np.where(extent > 0, extent, 1)[None]
    cells = _cells(weights)
    open_volume = np.ptp(scaled[cells], axis=1).prod(1)
    chosen: list[tuple[int, int]] = []
    for cell in np.argsort(-open_volume, kind="stable"):
        if open_volume[cell] <= 0 or len(chosen) == count:
            break
        edge = _widest_edge(cells[cell], weights, scaled, resolution)
        if edge is not None and edge not in chosen:
            chosen.append(edge)
    return np.array([weights[list(edge)].mean(0) for edge in chosen]).reshape(
        -1, weights.shape[1]
    )


def adaptive_weights(
    solve: Callable[[Float[np.ndarray, " k"]], Float[np.ndarray, " k"]],
    starts: Float[np.ndarray, "n k"],
    *,
    num_solves: int,
    resolution: float = 1e-3,
) -> Explored:
    """Solves at given weightings, then one by one where the front is least known.

    Args:
      solve: From a weighting to the reward vector of its best design, under any
        scalarizer.
      starts: First weightings; they span the simplex.
      num_solves: Calls of ``solve`` in all, at least as many as there are starts.
      resolution: As in :func:`next_weights`.

    Returns:
      What was tried; fewer than ``num_solves`` where nothing is left open.

    Raises:
      InputError: No starts, fewer solves than starts, or as in :func:`next_weights`.

    Examples:
      >>> arc = lambda w: w / np.linalg.norm(w)
      >>> adaptive_weights(arc, np.eye(2), num_solves=3).weights.tolist()
      [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
    """
    if not 0 < len(starts) <= num_solves:
        raise InputError(
            f"found {num_solves} for {len(starts)} starts, expected starts and at "
            "least as many solves",
            where="num_solves",
        )
    weights = starts
    rewards = np.stack([solve(each) for each in starts])
    while len(weights) < num_solves:
        found = next_weights(weights, rewards, resolution=resolution)
        if not len(found):
            break
        weights = np.concatenate([weights, found])
        rewards = np.concatenate([rewards, solve(found[0])[None]])
    return Explored(weights, rewards)


def _check(
    weights: Float[np.ndarray, "n k"], rewards: Float[np.ndarray, "m j"]
) -> None:
    if weights.shape != rewards.shape or weights.shape[1] < 2:
        raise InputError(
            f"weights have shape {weights.shape}, rewards {rewards.shape}, expected "
            "equal shapes with at least 2 objectives",
            where="next_weights",
        )
    if not (np.isfinite(weights).all() and np.isfinite(rewards).all()):
        raise InputError(
            "found NaN or infinity, expected finite numbers", where="next_weights"
        )
    rank = np.linalg.matrix_rank(weights - weights.mean(0, keepdims=True))
    if rank < weights.shape[1] - 1:
        raise InputError(
            f"weights span {rank} dimensions, expected {weights.shape[1] - 1}",
            where="next_weights",
        )


def _cells(weights: Float[np.ndarray, "n k"]) -> Int[np.ndarray, "c k"]:
    """Indices of neighbouring weightings, as many a cell as there are objectives."""
    if weights.shape[1] == 2:
        order = np.argsort(weights[:, 0], kind="stable")
        return np.stack([order[:-1], order[1:]], 1)
    # Orthonormal axes of the simplex: its triangulation then treats objectives alike.
    flat = weights @ helmert(weights.shape[1]).T
    return Delaunay(flat).simplices.astype(np.int64)


def _widest_edge(
    cell: Int[np.ndarray, " k"],
    weights: Float[np.ndarray, "n k"],
    scaled: Float[np.ndarray, "n k"],
    resolution: float,
) -> tuple[int, int] | None:
    """The edge with the most different rewards among those long enough to split."""
    edges = [
        (int(i), int(j))
        for i, j in combinations(np.sort(cell), 2)
        if np.abs(weights[i] - weights[j]).max() > resolution
    ]
    gap = lambda edge: float(np.linalg.norm(scaled[edge[0]] - scaled[edge[1]]))
    return max(edges, key=gap, default=None)
