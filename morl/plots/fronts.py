"""Fronts as staircases: two objectives on one Axes, more as pairwise projections."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from morl.errors import InputError
from morl.pareto import (
    Front,
    FrontPoint,
    host,
    intervals_of,
    rewards_of,
)
from morl.plots.legends import MANY, legend_handles, swept
from morl.plots.styles import (
    BASE,
    BASE_LOOK,
    BOX,
    EXACT,
    EXPERT,
    GREY,
    HALO,
    Style,
    axis_label,
    band_of,
    method_styles,
)

PROJECTION_NOTE = (
    "Each panel is a projection onto two of {count} objectives: a point below a "
    "staircase may still be\nnon-dominated through the objectives that the panel "
    "leaves out (faint markers are dominated in all {count})."
)
EXACT_NOTE = (
    "\nThe exact front is the same selection by the true rewards; a method may pass it "
    "in a panel, at the\ncost of an objective that the panel leaves out."
)


def staircase(
    points: Float[np.ndarray, "n 2"], corner: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "s 2"]:
    """Vertices of the boundary of what ``points`` dominate above ``corner``.

    Args:
      points: Reward vectors of two objectives, maximised, in any order.
      corner: The lower left end of the region, in both objectives.

    Returns:
      A polyline from the corner's left edge to its lower edge, falling to the right;
      empty where no point exceeds the corner in both objectives.

    Examples:
      >>> staircase(np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2)).tolist()
      [[0.0, 2.0], [1.0, 2.0], [1.0, 1.0], [2.0, 1.0], [2.0, 0.0]]
    """
    inside = points[(points > corner[None]).all(axis=1)]
    if not len(inside):
        return np.zeros((0, 2))
    best = np.unique(inside[host.non_dominated(inside)], axis=0)
    x = np.concatenate([corner[:1], np.repeat(best[:, 0], 2)])
    y = np.concatenate([np.repeat(best[:, 1], 2), corner[1:]])
    return np.stack([x, y], axis=1)


def _bars(ax: Axes, points: Sequence[FrontPoint], x: int, y: int, color: str) -> None:
    """Interval bars in both directions; of many points, those that nothing beats here.

    Sixty crossing bars hide what they should show, and a staircase is made of few.
    """
    known = [point for point in points if point.interval is not None]
    if len(known) > MANY:
        keep = host.non_dominated(rewards_of(known)[:, [x, y]])
        known = [point for point, kept in zip(known, keep, strict=True) if kept]
    if not known:
        return
    centre = rewards_of(known)
    low, high = np.moveaxis(intervals_of(known), -1, 0)
    look = {"color": color, "alpha": 0.5, "lw": 0.8, "zorder": 2}
    ax.hlines(centre[:, y], low[:, x], high[:, x], **look)
    ax.vlines(centre[:, x], low[:, y], high[:, y], **look)


def _marks(ax: Axes, front: Front, style: Style, x: int, y: int) -> None:
    """Markers of a method: hollow where tied, small off its staircase in this panel.

    Small ones are faint too where the method dominates them in all objectives. A tie
    counts here among points of the same method: which of a sweep's weightings are told
    apart is what the figure shows.
    """
    own = swept(front, style.label)
    points = [front.points[i] for i in own]
    at = rewards_of(points)[:, [x, y]] if points else np.zeros((0, 2))
    bounds = host.non_dominated(at)
    faint = np.array([point.dominated for point in points], bool)
    tied = np.array([not own.isdisjoint(point.ties) for point in points], bool)
    full = 5.0 if len(own) <= MANY else 4.0
    for large, pale, hollow in product((False, True), (True, False), (True, False)):
        group = at[(bounds == large) & (faint == pale) & (tied == hollow)]
        if len(group):
            ax.plot(
                *group.T,
                style.marker,
                ms=full if large else 0.6 * full,
                mew=1.0 if large else 0.6,
                mec=style.color,
                mfc="white" if hollow else style.color,
                alpha=0.35 if pale else 1.0 if large else 0.75,
                zorder=4 if large else 3,
            )


def _stairs(
    ax: Axes, points: Sequence[FrontPoint], front: Front, style: Style, x: int, y: int
) -> None:
    """The staircase of ``points`` down to the front's reference point."""
    corner = np.array([front.reference[x], front.reference[y]])
    line = staircase(rewards_of(points)[:, [x, y]], corner)
    dashed = style is EXACT
    ax.plot(
        *line.T,
        color=style.color,
        ls=(0, (4, 2)) if dashed else "-",
        lw=1.1 if dashed else 1.3,
        zorder=2.5,
    )
    if len(line) and not dashed:
        floor = float(corner[1])
        ax.fill_between(*line.T, y2=floor, color=style.color, alpha=0.05, lw=0)


def _control(ax: Axes, front: Front, x: int, y: int) -> None:
    """A box around the intervals of all controls: where selection by noise may lie."""
    points = [point for point in front.points if point.role == "control"]
    across, along = band_of(points, x), band_of(points, y)
    if across is None or along is None:
        return
    ax.add_patch(
        Rectangle(
            (across[0], along[0]),
            across[1] - across[0],
            along[1] - along[0],
            **BOX,
            zorder=2.2,
        )
    )


def _landmarks(ax: Axes, front: Front, x: int, y: int) -> None:
    """The base policy, the experts, and the point that hypervolumes start from."""
    base = front.base
    outline = {"mec": "white", "mew": 0.9, "ls": "none", "zorder": 6}
    for point in front.experts:
        at = point.rewards[x], point.rewards[y]
        ax.plot(*at, marker=EXPERT.marker, color=EXPERT.color, ms=11, **outline)
        name = front.objectives[int(np.argmax(point.weights))]
        # Towards the middle of the panel, where the label stays inside.
        right = at[0] > np.mean([expert.rewards[x] for expert in front.experts])
        ax.annotate(
            name,
            at,
            (-7, 6) if right else (7, 6),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=8,
            path_effects=HALO,
            zorder=7,
        )
    if base is not None:
        at = base.rewards[x], base.rewards[y]
        _bars(ax, [base], x, y, BASE.color)
        ax.plot(*at, **BASE_LOOK, zorder=6)
    ax.plot(front.reference[x], front.reference[y], "+", color=GREY, ms=8, mew=1.2)


def draw_projection(ax: Axes, front: Front, x: int, y: int) -> None:
    """Draws a front as seen in two of its objectives.

    Args:
      ax: Axes to draw on. Its labels are set, with units; no legend is added
        (:func:`legend_handles`).
      front: The front.
      x: Index of the objective on the horizontal axis.
      y: Index of the objective on the vertical axis.
    """
    styles = method_styles(front)
    if front.exact is not None:
        _stairs(ax, front.exact.points, front, EXACT, x, y)
    for method, style in styles.items():
        points = [front.points[i] for i in sorted(swept(front, method))]
        _marks(ax, front, style, x, y)
        if method in front.methods:
            _bars(ax, points, x, y, style.color)
            _stairs(ax, points, front, style, x, y)
    _control(ax, front, x, y)
    _landmarks(ax, front, x, y)
    ax.set_xlabel(axis_label(front, x))
    ax.set_ylabel(axis_label(front, y))


def draw_front(ax: Axes, front: Front) -> None:
    """Draws a front of two objectives: staircases, intervals, landmarks, legend.

    Each method's staircase bounds what its points dominate above the reference point.
    Bars are 95% intervals; hollow markers are points whose intervals overlap another
    of the method in both objectives; small faint ones are dominated.

    Args:
      ax: Axes to draw on; labels, with units, and a legend are set.
      front: The front; the exact front, control, base policy and experts are drawn
        where it has them.

    Raises:
      InputError: The front has another number of objectives (:func:`draw_panels`).
    """
    if len(front.objectives) != 2:
        raise InputError(
            f"found {len(front.objectives)} objectives, expected 2; draw_panels takes "
            "more",
            where="draw_front",
        )
    draw_projection(ax, front, 0, 1)
    ax.legend(handles=legend_handles(front), loc="upper left", bbox_to_anchor=(1, 1))


def draw_panels(figure: Figure, front: Front) -> None:
    """Draws a front of three or more objectives, each pair of them in a panel.

    A panel is a projection, and says so: what it leaves out may be why a point is
    worth having. Axes are shared along rows and columns.

    Args:
      figure: Figure to fill, with a layout engine.
      front: The front.

    Raises:
      InputError: Fewer than two objectives.
    """
    count = len(front.objectives)
    if count < 2:
        raise InputError(f"found {count} objective, expected at least 2", where="front")
    side = count - 1
    grid = figure.subplots(side, side, sharex="col", sharey="row", squeeze=False)
    for row, column in product(range(side), repeat=2):
        ax = grid[row, column]
        if column > row:
            ax.remove()
            continue
        draw_projection(ax, front, column, row + 1)
        ax.label_outer()
    handles = legend_handles(front)
    if count == 2:
        grid[0, 0].legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
        return
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.99, 0.97))
    note = PROJECTION_NOTE.format(count=count)
    note += EXACT_NOTE if front.exact is not None else ""
    figure.supxlabel(note, fontsize=8, color=GREY, x=0.01, ha="left")
