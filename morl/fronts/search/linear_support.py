"""Optimistic linear support: all that linear weightings can choose, in few solves."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection

from morl.errors import InputError
from morl.pareto.coverage import convex_coverage

# Of the linear program and the vertex enumeration, with rewards scaled to 1.
TOLERANCE = 1e-7


class Coverage(NamedTuple):
    """The solves of an outer loop over linear weightings, and what they prove.

    Attributes:
      weights: Weighting of each solve, in order.
      rewards: Reward vector that each solve returned.
      kept: Which solves make up the convex coverage set; of equal vectors the first.
      bounds: After each solve, the most utility that any weighting could still gain
        from a vector not yet found; infinite until each objective was tried alone.
    """

    weights: Float[np.ndarray, "n k"]
    rewards: Float[np.ndarray, "n k"]
    kept: Bool[np.ndarray, " n"]
    bounds: Float[np.ndarray, " n"]


def linear_support(
    solve: Callable[[Float[np.ndarray, " k"]], Float[np.ndarray, " k"]],
    num_objectives: int,
    *,
    epsilon: float = 0.0,
    max_solves: int = 1000,
) -> Coverage:
    r"""Finds the convex coverage set by solving where the most could be gained.

    The utility of the vectors found so far is a convex, piecewise linear function of
    the weighting. The most that an unknown vector can add is at one of its corners, so
    the corner with the largest optimistic gain is solved next, until no corner can gain
    more than ``epsilon``.

    Args:
      solve: From a weighting on the simplex to the reward vector that maximises the
        weighted sum. The bounds are proofs only if it is exact; with an inexact solver
        they are estimates. It is first called for each objective alone.
      num_objectives: K, at least 2.
      epsilon: Utility that need not be found, at least 0.
      max_solves: Most calls of ``solve``, at least 1.

    Returns:
      The solves, the set, and the bound after each solve. A last bound above
      ``epsilon`` says that ``max_solves`` ran out.

    Raises:
      InputError: Fewer than 2 objectives, no solves, or a reward vector of another
        length or with numbers that are not finite.

    Examples:
      >>> table = np.array([[0.0, 10.0], [4.0, 4.0], [8.0, 5.0], [10.0, 0.0]])
      >>> found = linear_support(lambda w: table[np.argmax(table @ w)], 2)
      >>> found.rewards[found.kept].tolist()
      [[10.0, 0.0], [0.0, 10.0], [8.0, 5.0]]
      >>> float(found.bounds[-1])
      0.0

    References:
      Roijers, Whiteson and Oliehoek, Computing Convex Coverage Sets for Faster
      Multi-Objective Coordination, JAIR 52, 2015, section 5; Mossalam et al.,
      Multi-Objective Deep Reinforcement Learning (arXiv:1610.02707), 2016. They rank
      corners by the gain as a share of the optimistic utility, which depends on the
      origin of the rewards; here by the gain itself, which is what the bound is of.
    """
    if num_objectives < 2:
        raise InputError(
            f"found {num_objectives}, expected at least 2", where="num_objectives"
        )
    if max_solves < 1:
        raise InputError(f"found {max_solves}, expected at least 1", where="max_solves")
    weights, rewards, bounds = [], [], []
    open_gains: dict[bytes, float] = {}
    at, bound = np.eye(num_objectives)[0], np.inf
    while len(weights) < max_solves and bound > epsilon:
        weights.append(at)
        rewards.append(_checked(solve(at), num_objectives))
        if len(weights) < num_objectives:
            at = np.eye(num_objectives)[len(weights)]
        else:
            so_far = np.stack(weights), np.stack(rewards)
            at, bound = _most_open(*so_far, open_gains)
        bounds.append(bound)
    return Coverage(
        np.stack(weights),
        np.stack(rewards),
        _first_kept(np.stack(rewards)),
        np.array(bounds),
    )


def corner_weights(rewards: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "m k"]:
    r"""Weightings at which the set of best reward vectors changes.

    They are the vertices of :math:`\{(w, u) : w \in \Delta, u \ge w \cdot r_i\}`, among
    them the vertices of the simplex.

    Args:
      rewards: Reward vectors, at least one; k at least 2.

    Returns:
      One weighting a row, none twice.

    Examples:
      >>> corner_weights(np.array([[0.0, 3.0], [1.0, 0.0]]))
      array([[0.  , 1.  ],
             [0.75, 0.25],
             [1.  , 0.  ]])
    """
    k = rewards.shape[1]
    origin, size = _scale(rewards)
    points = np.unique((rewards - origin[None]) / size, axis=0)
    # Rows a of a.(w_1 .. w_{k-1}, u, 1) <= 0; the last weight is 1 less the others.
    best = np.column_stack(
        [points[:, :-1] - points[:, -1:], -np.ones(len(points)), points[:, -1]]
    )
    low = np.column_stack([-np.eye(k - 1), np.zeros((k - 1, 2))])
    last = np.append(np.ones(k - 1), [0, -1])
    # Utilities end at 1; the lid closes the polytope above them.
    lid = np.append(np.zeros(k - 1), [1, -2])
    middle = np.append(np.full(k - 1, 1 / k), 1.5)
    found = HalfspaceIntersection(np.vstack([best, low, last, lid]), middle)
    found = found.intersections[found.intersections[:, -1] < 1.5, :-1]
    weights = np.clip(np.column_stack([found, 1 - found.sum(1)]), 0, 1)
    return _distinct(weights)


def optimistic_gain(
    corner: Float[np.ndarray, " k"],
    weights: Float[np.ndarray, "n k"],
    rewards: Float[np.ndarray, "n k"],
) -> float:
    r"""The most utility that an unknown vector could add at a weighting.

    .. math:: \max_v \{w \cdot v : w_i \cdot v \le u_i \;\forall i\}
      - \max_j w \cdot r_j, \quad u_i = \max_j w_i \cdot r_j

    No vector can beat the utilities :math:`u_i` at the weightings :math:`w_i` that were
    solved exactly.

    Args:
      corner: Weighting :math:`w` to ask about.
      weights: Weightings :math:`w_i` that were solved, each objective alone among them.
      rewards: The reward vectors :math:`r_j` found.

    Returns:
      The gain, at least 0; 0 where it is within the solver's tolerance.

    Raises:
      ArithmeticError: The linear program failed.

    Examples:
      >>> print(optimistic_gain(np.array([0.5, 0.5]), np.eye(2), np.eye(2)))
      0.5
    """
    origin, size = _scale(rewards)
    points = (rewards - origin[None]) / size
    found = linprog(
        -corner,
        A_ub=weights,
        b_ub=(weights @ points.T).max(1),
        bounds=(None, None),
        # A few dense columns have nothing to presolve.
        options={"presolve": False},
    )
    if found.x is None:
        raise ArithmeticError(f"linear_support: {found.message}")
    gain = -found.fun - float((points @ corner).max())
    return gain * size if gain > TOLERANCE else 0.0


def _most_open(
    weights: Float[np.ndarray, "n k"],
    rewards: Float[np.ndarray, "n k"],
    open_gains: dict[bytes, float],
) -> tuple[Float[np.ndarray, " k"], float]:
    """The corner that could gain most, and how much.

    Gains only shrink as solves come in, so that ``open_gains``, those computed before,
    are upper bounds: it suffices to renew the largest until it stays the largest.
    """
    corners = corner_weights(rewards)
    names = [corner.round(9).tobytes() for corner in corners]
    gains = np.array([open_gains.get(name, np.inf) for name in names])
    renewed: set[int] = set()
    while (best := int(gains.argmax())) not in renewed:
        gains[best] = optimistic_gain(corners[best], weights, rewards)
        renewed.add(best)
    open_gains.update(zip(names, gains.tolist(), strict=True))
    return corners[best], float(gains[best])


def _scale(
    rewards: Float[np.ndarray, "n k"],
) -> tuple[Float[np.ndarray, " k"], float]:
    """An origin and one size, which leave corners where they are."""
    origin = rewards.min(0)
    size = float((rewards - origin[None]).max())
    return origin, size if size > 0 else 1.0


def _distinct(weights: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "n k"]:
    # The enumeration repeats a vertex where more faces meet than it needs.
    return weights[np.unique(weights.round(9), axis=0, return_index=True)[1]]


def _first_kept(rewards: Float[np.ndarray, "n k"]) -> Bool[np.ndarray, " n"]:
    first = np.zeros(len(rewards), bool)
    first[np.unique(rewards, axis=0, return_index=True)[1]] = True
    return first & convex_coverage(rewards)


def _checked(
    rewards: Float[np.ndarray, " r"], num_objectives: int
) -> Float[np.ndarray, " r"]:
    rewards = np.asarray(rewards, np.float64)
    if rewards.shape != (num_objectives,) or not np.isfinite(rewards).all():
        raise InputError(
            f"solve returned {rewards.tolist()}, expected {num_objectives} finite "
            "rewards",
            where="linear_support",
        )
    return rewards
