"""Parallel coordinates: one line a point, one vertical axis an objective."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from morl.errors import InputError
from morl.pareto import Front, FrontPoint, intervals_of, rewards_of, weights_of
from morl.plots.styles import BASE, GREY, axis_label, weight_colors

TICKS = 5


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

    A line is coloured by its weighting: the mixture of the objectives' colours, so that
    a line of one pure colour weighs that objective alone. Those lines are drawn thick,
    with their 95% intervals, and the base policy dashed. Dominated points are faint.
    All methods of a front are drawn to one scale.

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
    pure = (np.count_nonzero(weights_of(points), axis=1) == 1).tolist()
    heights = scale(rewards_of(points))
    ax.add_collection(
        LineCollection(
            [np.stack([places, row], axis=1) for row in heights],
            colors=[
                (*color, 1.0 if thick else 0.22 if point.dominated else 0.6)
                for color, thick, point in zip(colors, pure, points, strict=True)
            ],
            linewidths=[2.4 if thick else 1.0 for thick in pure],
        )
    )
    extremes = [
        (p, c) for p, c, thick in zip(points, colors, pure, strict=True) if thick
    ]
    for i, (point, color) in enumerate(extremes):
        shift = 0.03 * (i - (len(extremes) - 1) / 2)
        _whiskers(ax, scale, point, places + shift, tuple(color))
    for point in base:
        ax.plot(
            places, scale(rewards_of(base))[0], "--X", color=BASE.color, mec="white"
        )
        _whiskers(ax, scale, point, places, BASE.color)
    _axes(ax, front, scale)
    ax.set_title(name)


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
    places = range(len(front.objectives))
    ax.vlines(list(places), 0, 1, color=GREY, lw=0.8, zorder=1)
    for k in places:
        for share in np.linspace(0, 1, TICKS):
            value = scale.low[k] + share * (scale.high[k] - scale.low[k])
            ax.annotate(
                f"{value:.2f}".replace("-0.00", "0.00"),
                (k, share),
                (-4, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=7.5,
                color=GREY,
                bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.6},
                zorder=4,
            )
    ax.set_xticks(list(places), [axis_label(front, k) for k in places])
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    ax.set_xlim(-0.35, len(front.objectives) - 0.75)
    ax.set_ylim(-0.03, 1.03)


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
    middle = weight_colors(np.full((1, count), 1 / count))[0]
    entries.append(
        Line2D([], [], color=middle, lw=1.0, label="equal weights; others lie between")
    )
    if front.base is not None:
        entries.append(
            Line2D([], [], color=BASE.color, ls="--", marker="X", label=BASE.label)
        )
    return entries
