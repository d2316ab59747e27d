"""What is said of a set of designs, and what the best set there is would have."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from morl import worlds
from morl.pareto import host


class Row(NamedTuple):
    """A line of the table: how well a set of designs covers a front.

    Attributes:
      problem: Name of the problem.
      method: Name of the method.
      designs: How many there are.
      hypervolume: Of their rewards, above the problem's reference.
      best: The most that there is, of as many designs or of the whole front; the page
        says which.
      widest_gap: Longest stretch of the front without a design, as a share of it; None
        where that is not asked.
      middle: Share of the designs on the middle four fifths of the front, or None.
    """

    problem: str
    method: str
    designs: int
    hypervolume: float
    best: float
    widest_gap: float | None = None
    middle: float | None = None

    @property
    def share(self) -> float:
        """Hypervolume as a share of the best."""
        return self.hypervolume / self.best


def volume(
    rewards: Float[np.ndarray, "n k"], reference: Float[np.ndarray, " k"]
) -> float:
    """Exact hypervolume, in float64."""
    return float(host.hypervolume(np.asarray(rewards, float), np.asarray(reference)))


def exact_rewards(
    problem: worlds.Problem, designs: Float[Array, "n d"]
) -> Float[np.ndarray, "n k"]:
    """Rewards in float64: in float32 they may round to beyond the front."""
    with jax.enable_x64(True):
        precise = jnp.asarray(np.asarray(designs, float))
        return np.asarray(jax.vmap(problem.rewards)(precise))


def best_volume(
    front: Callable[[int], Float[np.ndarray, "n 2"]],
    num_points: int,
    reference: Float[np.ndarray, " 2"],
) -> float:
    """Largest hypervolume of ``num_points`` points of a front of two objectives.

    They are chosen among 2,001 points, and again among finer ones around those.

    Args:
      front: From a number to that many points of the front, in order.
      num_points: How many to choose.
      reference: Below them.
    """
    zoom = 1000 // num_points
    coarse = _best_choice(front(2001) - reference[None], num_points)
    near = coarse[:, None] * zoom + np.arange(-zoom, zoom + 1)[None]
    fine = np.unique(np.clip(near, 0, 2000 * zoom))
    points = front(2000 * zoom + 1)[fine]
    chosen = _best_choice(points - reference[None], num_points)
    return volume(points[chosen], reference)


def _best_choice(
    gains: Float[np.ndarray, "n 2"], num_points: int
) -> Int[np.ndarray, " m"]:
    """Indices of the points that have the largest hypervolume above the origin.

    A point adds a strip beside its left neighbour, so the best set that ends in a
    point follows from the best sets that are smaller by one.
    """
    order = np.argsort(gains[:, 0])
    x, y = gains[order].T
    strips = (x[:, None] - x[None]) * y[:, None]
    best, lefts = x * y, []
    for _ in range(num_points - 1):
        ended = best[None] + strips
        lefts.append(ended.argmax(1))
        best = ended.max(1)
    chosen = [int(best.argmax())]
    for left in reversed(lefts):
        chosen.append(int(left[chosen[-1]]))
    return order[chosen]


def places(rewards: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Where on a front around the origin each point lies: 0 at one end, 1 at the other.

    The place is the angle of the losses, which is 0 or 90 degrees at the ends.
    """
    losses = np.maximum(-np.asarray(rewards, float), 0)
    return np.arctan2(losses[:, 1], losses[:, 0]) / (np.pi / 2)


def covered(
    problem: str,
    method: str,
    rewards: Float[np.ndarray, "n 2"],
    *,
    reference: Float[np.ndarray, " 2"],
    best: float,
) -> Row:
    """The line of a set of designs for two objectives whose ideal is the origin."""
    at = np.sort(places(rewards))
    gap = np.diff(np.concatenate([[0], at, [1]])).max()
    middle = ((at > 0.1) & (at < 0.9)).mean()
    found = volume(rewards, reference)
    return Row(problem, method, len(rewards), found, best, float(gap), float(middle))
