"""Whole figures of a front, and the files they are saved in."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from morl.pareto import Front
from morl.plots.divergence import draw_reward_kl, limit_entries
from morl.plots.fronts import draw_front, draw_panels
from morl.plots.legends import method_entries
from morl.plots.parallel import draw_parallel, weight_entries
from morl.plots.styles import GREY, SETTINGS
from morl.storage import atomic_file

KL_NOTE = (
    "Bars: 95% intervals (for the utility an outer bound, from those of each reward); "
    "the control's box: a band\nfor all its points at once. Dotted: the base policy. "
    "Points of one KL are spread to its left by reward.\nCompare methods at equal KL."
)


def _png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _shown(figure: Figure) -> Figure:
    """The same figure, which a notebook now shows without ``%matplotlib inline``.

    Figures made through pyplot would show by themselves, and then twice where they are
    the value of a cell.
    """
    figure._repr_png_ = partial(_png, figure)  # pyright: ignore[reportAttributeAccessIssue]
    return figure


def front(front: Front) -> Figure:
    """The figure of a front: a staircase for two objectives, panels for more.

    Args:
      front: The front, such as ``morl.pareto.read_front(path)`` returns.

    Returns:
      A figure that belongs to the caller; a notebook shows it.

    Raises:
      InputError: Fewer than two objectives.
    """
    with matplotlib.rc_context(SETTINGS):
        if len(front.objectives) == 2:
            figure = Figure(figsize=(7.6, 4.4), layout="constrained")
            draw_front(figure.subplots(), front)
            return _shown(figure)
        side = 1.2 + 3.1 * (len(front.objectives) - 1)
        figure = Figure(figsize=(side, side * 0.86), layout="constrained")
        draw_panels(figure, front)
        return _shown(figure)


def parallel_figure(front: Front) -> Figure:
    """The figure of parallel coordinates, one panel a method.

    Args:
      front: The front, with at least one sweep.

    Returns:
      A figure that belongs to the caller.
    """
    methods = front.methods
    columns = min(2, len(methods))
    rows = -(-len(methods) // columns)
    width = 0.8 + 1.05 * len(front.objectives)
    with matplotlib.rc_context(SETTINGS):
        size = (max(width * columns, 6.0), 1.0 + 3.4 * rows)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, method in zip(axes, methods, strict=False):
            draw_parallel(ax, front, method=method)
        free = axes[len(methods) :]
        for ax in free:
            ax.axis("off")
        if len(free):
            free[0].legend(handles=weight_entries(front), loc="center")
        else:
            handles = weight_entries(front)
            figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return _shown(figure)


def reward_kl_figure(front: Front) -> Figure:
    """The figure of reward against KL: a panel an objective, and one for the utility.

    Args:
      front: The front, with a base policy.

    Returns:
      A figure that belongs to the caller.
    """
    panels: list[int | None] = [*range(len(front.objectives)), None]
    rows = (len(panels) + 1) // 2
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(7.4, 0.9 + 2.7 * rows), layout="constrained")
        axes = figure.subplots(rows, 2, sharex=True, squeeze=False).ravel()
        for ax, objective in zip(axes, panels, strict=False):
            draw_reward_kl(ax, front, objective=objective)
        for ax in axes[len(panels) :]:
            ax.remove()
        above, lowest = axes[: len(panels) - 2], axes[len(panels) - 2 : len(panels)]
        for ax in above:
            ax.set_xlabel("")
        for ax in lowest:
            # An odd panel leaves a place empty, and what stands above it is lowest.
            ax.tick_params(labelbottom=True)
        handles = [*method_entries(front), *limit_entries(front)]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
        figure.supxlabel(KL_NOTE, fontsize=8, color=GREY, x=0.01, ha="left")
    return _shown(figure)


def front_figures(record: Front, folder: str | Path) -> list[Path]:
    """Saves every figure of a front as PNG and as SVG.

    The same front gives the same SVG, byte for byte, under one version of matplotlib.

    Args:
      record: The front.
      folder: Where to; made where it is missing.

    Returns:
      The files, in the order in which they are best looked at.
    """
    figures: dict[str, Callable[[Front], Figure]] = {}
    if len(record.objectives) > 1:
        figures["front"] = front
    if record.methods and len(record.objectives) > 1:
        figures["parallel"] = parallel_figure
    if record.base is not None and any(p.kl is not None for p in record.points):
        figures["reward_kl"] = reward_kl_figure
    paths = []
    for name, make in figures.items():
        figure = make(record)
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = Path(folder) / f"{name}.{kind}"
            with matplotlib.rc_context(SETTINGS), atomic_file(path) as handle:
                figure.savefig(handle, format=kind, metadata=metadata)
            paths.append(path)
    return paths
