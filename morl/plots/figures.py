"""Whole figures of a front, and the files they are saved in."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from morl.pareto import Front
from morl.plots.fronts import draw_front, draw_panels
from morl.plots.styles import SETTINGS
from morl.storage import atomic_file


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
            figure = Figure(figsize=(6.4, 4.8), layout="constrained")
            draw_front(figure.subplots(), front)
            return figure
        side = 1.2 + 3.1 * (len(front.objectives) - 1)
        figure = Figure(figsize=(side, side * 0.86), layout="constrained")
        draw_panels(figure, front)
        return figure


def front_figures(record: Front, folder: str | Path) -> list[Path]:
    """Saves every figure of a front as PNG and as SVG.

    The same front gives the same SVG, byte for byte, under one version of matplotlib.

    Args:
      record: The front.
      folder: Where to; made where it is missing.

    Returns:
      The files, in the order in which they are best looked at.
    """
    figures: dict[str, Callable[[Front], Figure]] = {"front": front}
    paths = []
    for name, make in figures.items():
        figure = make(record)
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = Path(folder) / f"{name}.{kind}"
            with matplotlib.rc_context(SETTINGS), atomic_file(path) as handle:
                figure.savefig(handle, format=kind, metadata=metadata)
            paths.append(path)
    return paths
