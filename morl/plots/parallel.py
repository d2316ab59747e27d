"""Parallel coordinates: one line a point, one vertical axis an objective."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from morl.errors import InputError
from morl.pareto import Front, FrontPoint, intervals_of, rewards_of, weights_of
from morl.plots.styles import (
    BASE,
    BASE_LOOK,
    GREY,
    HALO,
    axis_label,
    weight_colors,
)

TICKS = 5
# Mixed colours tell the lean of a weighting only roughly: they stay in the background.
PALE = 0.45


class _Scale:
    """Maps each objective's own range onto [0, 1], so that axes can stand side by side.

    Attributes:
      low: Value at the foot of each axis.
      high: Value at its top.
    """

    def __init__(self, points: list[FrontPoint]) -> None:
        bounds = intervals_of(points)
        every = np.concatenate([rewards_of(points), bounds[..., 0], bounds[..., 1]])
        every = np.where(np.isfinite(every), every, np.nan)
        self.low, self.high = np.nanmin(every, axis=0), np.nanmax(every, axis=0)

    def __call__(self, rewards: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n k"]:
        extent = np.where(self.high > self.low, self.high - self.low, 1.0)
        return (rewards - self.low) / extent


def draw_parallel(ax: Axes, front: Front, *, method: str | None = None) -> None:
    """Draws a method's points as lines across one vertical axis an objective.

    Lines that weigh one objective alone are drawn thick in its colour, with their 95%
    intervals, and the base policy dashed. All others are thin and in a pale mixture of
    the colours of what they weigh; dominated points are fainter still. All methods of a
    front are drawn to one scale.

    Args:
      ax: Axes to draw on; its own frame, ticks and title are replaced. No legend is
        added (:func:`weight_entries`).
      front: The front.
      method: Whose points; the first sweep where not given.

    Raises:
      InputError: The front has no point of that method.
    """
    name = method or next(iter(front.methods), "")
    points = [p for p in front.points if p.method == name and p.role == "sweep"]
    if not points:
        raise InputError(
            f"found no point of {name!r}, methods are {front.methods}", where="method"
        )
    base = [front.base] if front.base else []
    scale = _Scale([*(p for p in front.points if p.role == "sweep"), *base])
    places = np.arange(float(len(front.objectives)))
    colors = weight_colors(weights_of(points))
    pure = np.flatnonzero(np.count_nonzero(weights_of(points), axis=1) == 1).tolist()
    heights = scale(rewards_of(points))
    ax.add_collection(
        LineCollection(
            [np.stack([places, row], axis=1) for row in heights],
            colors=[
                (*color, 0.35 if point.dominated else 0.9)
                for color, point in zip(_pale(colors), points, strict=True)
            ],
            linewidths=0.9,
            zorder=1.5,
        )
    )
    for i, place in enumerate(pure):
        color = tuple(colors[place])
        ax.plot(places, heights[place], color=color, lw=2.4, solid_capstyle="round")
        shift = 0.03 * (i - (len(pure) - 1) / 2)
        _whiskers(ax, scale, points[place], places + shift, color)
    for point in base:
        height = scale(np.array(point.rewards))
        ax.plot(places, height, **{**BASE_LOOK, "ls": "--", "ms": 6.0, "mfc": "white"})
        _whiskers(ax, scale, point, places, BASE.color)
    _axes(ax, front, scale)
    ax.set_title(name)


def _pale(colors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """The colours, mixed with white."""
    return 1 - PALE * (1 - colors)


def _whiskers(
    ax: Axes,
    scale: _Scale,
    point: FrontPoint,
    places: Float[np.ndarray, " k"],
    color: str | tuple[float, ...],
) -> None:
    """The intervals of one point, a bar on each axis."""
    if point.interval is None:
        return
    low, high = scale(np.array(point.interval).T)
    ax.vlines(places, low, high, color=color, lw=1.4, zorder=3)
    for ends in (low, high):
        ax.plot(places, ends, "_", color=color, ms=5, zorder=3)


def _axes(ax: Axes, front: Front, scale: _Scale) -> None:
    """The vertical axes, each with its own ticks in raw units."""
    count = len(front.objectives)
    ax.vlines(list(range(count)), 0, 1, color=GREY, lw=0.8, zorder=1)
    for k in range(count):
        # Outside the lines where there is an outside.
        left = k < count - 1 or count == 1
        ticks = _ticks(scale.low[k], scale.high[k])
        digits = max(len(f"{value:g}".partition(".")[2]) for value in ticks)
        for value in ticks:
            height = float(scale(np.where(np.arange(count) == k, value, scale.low))[k])
            ax.plot(k, height, "_", color=GREY, ms=4, mew=0.8, zorder=1)
            ax.annotate(
                f"{value:.{digits}f}",
                (k, height),
                (-6 if left else 6, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=7.5,
                color="#404040",
                path_effects=HALO,
                zorder=5,
            )
    labels = [axis_label(front, k).replace(" [", "\n[") for k in range(count)]
    ax.set_xticks(list(range(count)), labels)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    ax.set_xlim(-0.3, count - 0.7)
    ax.set_ylim(-0.03, 1.03)


def _ticks(low: float, high: float) -> list[float]:
    """Round values from ``low`` to ``high``."""
    if not high > low:
        return [float(low)]
    found = MaxNLocator(TICKS).tick_values(low, high)
    # Sums of steps are off by an ulp, and a zero would show as 1e-17.
    return [round(float(v), 9) + 0.0 for v in found if low <= v <= high]


def weight_entries(front: Front) -> list[Line2D]:
    """Legend entries: one an objective, one for mixtures, one for the base policy."""
    count = len(front.objectives)
    pure = weight_colors(np.eye(count))
    entries = [
        Line2D(
            [], [], color=color, lw=2.4, label=f"weight on {name} alone, 95% interval"
        )
        for name, color in zip(front.objectives, pure, strict=True)
    ]
    middle = _pale(weight_colors(np.full((1, count), 1 / count)))[0]
    entries.append(
        Line2D([], [], color=middle, lw=0.9, label="mixtures, in paler colours")
    )
    if front.base is not None:
        entries.append(
            Line2D([], [], **{**BASE_LOOK, "ls": "--", "ms": 6.0}, label=BASE.label)
        )
    return entries
