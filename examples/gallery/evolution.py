"""NSGA-II: a hundred designs on a convex, a concave and a spherical front."""

import jax
import numpy as np
from drawing import (
    FOUND,
    FRONT,
    Shown,
    add_legend,
    dots,
    draw_designs,
    draw_front,
    key,
    panels,
)
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measures import Row, best_volume, volume

from morl import worlds
from morl.fronts import search
from morl.plots.styles import LIGHT, VERMILLION

REFERENCE = -1.1
TICKS = (-1, -0.5, 0)
# 1.1^3 less the eighth of the unit ball that losses cannot enter.
SPHERE = 1.1**3 - np.pi / 6


def evolved(problem: worlds.Problem, seed: int) -> Float[np.ndarray, "n k"]:
    """Rewards of the last population, with the default settings."""
    box = search.Box(problem.lower, problem.upper)
    found = search.nsga2(problem.rewards, jax.random.key(seed), box=box)
    return np.asarray(found.rewards, float)


def draw_plane(
    ax: Axes, name: str, problem: worlds.Problem, rewards: Float[np.ndarray, "n 2"]
) -> Row:
    """A panel of two objectives; the best is that of as many points."""
    reference = np.full(2, REFERENCE)
    best = best_volume(problem.front, len(rewards), reference)
    row = Row(name, "NSGA-II", len(rewards), volume(rewards, reference), best)
    draw_designs(ax, rewards, VERMILLION, size=4)
    draw_front(ax, problem.front(501), zorder=5)
    ax.set(xlabel="reward 1", ylabel="reward 2", xticks=TICKS, yticks=TICKS)
    ax.set_title(_title(row))
    return row


def draw_sphere(
    figure: Figure,
    flat: Axes,
    rewards: Float[np.ndarray, "n 3"],
) -> Row:
    """A panel in place of a flat one; its best is that of the whole front."""
    at = flat.get_subplotspec()
    flat.remove()
    ax = figure.add_subplot(at, projection="3d", elev=30, azim=45)
    reference = np.full(3, REFERENCE)
    row = Row("DTLZ2", "NSGA-II", len(rewards), volume(rewards, reference), SPHERE)
    angle = np.linspace(0, np.pi / 2, 19)
    up, across = np.meshgrid(angle, angle, indexing="ij")
    losses = np.cos(up) * np.cos(across), np.cos(up) * np.sin(across), np.sin(up)
    ax.plot_wireframe(
        *(-part for part in losses), color=LIGHT, lw=0.5, rstride=3, cstride=3
    )
    ax.plot(*rewards.T, ms=4, color=VERMILLION, **FOUND)
    ax.set(xlabel="reward 1", ylabel="reward 2")
    ax.set(xticks=TICKS, yticks=TICKS, zticks=TICKS)
    # The label of the third axis would lie over its neighbour panel.
    ax.text2D(-0.05, 0.8, "reward 3", transform=ax.transAxes)
    ax.set_title(_title(row))
    return row


def make(seed: int) -> Shown:
    """Two fronts of two objectives and one of three."""
    figure, axes = panels(1, 3, (7.4, 3.3), width_ratios=[1, 1, 1.3])
    flat = {"ZDT1": worlds.zdt1(), "ZDT2": worlds.zdt2()}
    rows = [
        draw_plane(ax, name, problem, evolved(problem, seed))
        for ax, (name, problem) in zip(axes, flat.items(), strict=False)
    ]
    sphere = worlds.dtlz2(3)
    rows.append(draw_sphere(figure, axes[-1], evolved(sphere, seed)))
    even = sphere.front(100)
    volumes = volume(even, np.full(3, REFERENCE))
    rows.append(Row("DTLZ2", "even lattice", len(even), volumes, SPHERE))
    front = key("front, exact", **FRONT)
    add_legend(figure, [front, dots("NSGA-II, 100 designs", VERMILLION)])
    return Shown(figure, rows)


def _title(row: Row) -> str:
    return f"{row.problem}\n{row.hypervolume:.4f} of {row.best:.4f} ({row.share:.1%})"
