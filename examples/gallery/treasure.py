"""Deep-sea treasure: what linear weightings can choose, and what Chebyshev ones can."""

from typing import Any

import numpy as np
from drawing import Shown, add_legend, key, panels
from jaxtyping import Float
from matplotlib.axes import Axes
from measures import Row, volume

from morl import worlds
from morl.fronts import search
from morl.pareto import simplex_lattice
from morl.plots.styles import BLUE, GREY, VERMILLION

LINEAR: dict[str, Any] = {"color": BLUE, "marker": "o", "ms": 5, "lw": 1.1}
CHEBYSHEV: dict[str, Any] = {
    "marker": "o",
    "ms": 10,
    "mfc": "none",
    "mec": VERMILLION,
    "mew": 1.3,
    "ls": "none",
}
MISSED: dict[str, Any] = {"color": GREY, "marker": "o", "ms": 5, "ls": "none"}
NUM_SOLVES = 60


def by_linear(rewards: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Treasures of the convex coverage set, by optimistic linear support."""
    found = search.linear_support(lambda w: rewards[np.argmax(rewards @ w)], 2)
    return np.unique(found.rewards[found.kept], axis=0)


def by_chebyshev(rewards: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Treasures that Chebyshev utilities choose, each objective in its own range."""
    low, high = rewards.min(0), rewards.max(0)
    scaled = (rewards - low[None]) / (high - low)[None]
    # A little above the best of each: at the best itself a weight of 1 ties.
    ideal = np.full(2, 1.01)

    def solve(weights: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " 2"]:
        worst = (weights[None] * (scaled - ideal[None])).min(1)
        return rewards[np.argmax(worst)]

    found = search.adaptive_weights(solve, simplex_lattice(2, 2), num_solves=NUM_SOLVES)
    return np.unique(found.rewards, axis=0)


def draw_treasures(
    ax: Axes,
    rewards: Float[np.ndarray, "n 2"],
    linear: Float[np.ndarray, "m 2"],
    chebyshev: Float[np.ndarray, "l 2"],
) -> None:
    """All treasures, the hull that linear weightings see, and both choices."""
    ax.plot(*rewards.T, **MISSED, zorder=2)
    ax.plot(*chebyshev.T, **CHEBYSHEV, zorder=3)
    ax.plot(*linear.T, **LINEAR, zorder=4)
    ax.set(xlabel="treasure", ylabel="minus steps", yticks=[-20, -15, -10, -5, 0])


def make(seed: int) -> Shown:
    """The convex and the original table, a panel each."""
    del seed  # nothing here is random
    figure, axes = panels(1, 2, (7.4, 3.6))
    tables = {"convex": worlds.deep_sea_convex(), "concave": worlds.deep_sea_concave()}
    rows, counts = [], {}
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        whole = volume(table.rewards, table.reference)
        found = {
            "linear support": by_linear(table.rewards),
            "Chebyshev": by_chebyshev(table.rewards),
        }
        draw_treasures(ax, table.rewards, *found.values())
        counts[name] = {method: len(kept) for method, kept in found.items()}
        said = ", ".join(f"{method} {count}" for method, count in counts[name].items())
        ax.set_title(f"{name}: of {len(table.rewards)} treasures\n{said}")
        for method, kept in found.items():
            held = volume(kept, table.reference)
            rows.append(Row(f"sea, {name}", method, len(kept), held, whole))
    handles = [
        key("found by linear support", **LINEAR),
        key("found by Chebyshev weights", **CHEBYSHEV),
        key("missed by linear support", **MISSED),
    ]
    add_legend(figure, handles)
    return Shown(figure, rows, {"treasures": counts})
