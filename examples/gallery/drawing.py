"""What the figures share: the analytic front, found designs, titles, a legend."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from measures import Row

from morl.plots.styles import BLACK, GREY

FRONT: dict[str, Any] = {"color": BLACK, "ls": (0, (4, 2)), "lw": 1.1}
START: dict[str, Any] = {
    "color": GREY,
    "marker": "x",
    "ms": 4,
    "mew": 0.9,
    "ls": "none",
}
FOUND: dict[str, Any] = {"marker": "o", "mec": "white", "mew": 0.6, "ls": "none"}


class Shown(NamedTuple):
    """A figure, and the numbers it shows.

    Attributes:
      figure: To be saved.
      rows: Lines of the table.
      claims: Numbers of another kind, by name.
    """

    figure: Figure
    rows: Sequence[Row] = ()
    claims: Mapping[str, Any] = MappingProxyType({})


def panels(
    rows: int, columns: int, size: tuple[float, float], **settings: Any
) -> tuple[Figure, list[Axes]]:
    """A figure, and its panels in reading order."""
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **settings)
    return figure, list(grid.ravel())


def draw_front(
    ax: Axes, front: Float[np.ndarray, "n 2"], *, zorder: float = 2.0
) -> None:
    """The front that the formula gives."""
    ax.plot(*front.T, **FRONT, zorder=zorder)


def draw_designs(
    ax: Axes, rewards: Float[np.ndarray, "n 2"], color: str, *, size: float = 5.5
) -> None:
    """Rewards of the designs found."""
    ax.plot(*rewards.T, ms=size, color=color, **FOUND, zorder=4)


def name_axes(axes: Sequence[Axes]) -> None:
    """Labels for two rewards, on the outer panels only."""
    for ax in axes:
        ax.set(xlabel="reward 1", ylabel="reward 2")
        ax.label_outer()


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """One legend for all panels, above them."""
    figure.legend(handles=list(handles), loc="outside upper center", ncols=len(handles))


def key(label: str, **look: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **look)


def dots(label: str, color: str) -> Line2D:
    """The entry of designs."""
    return key(label, color=color, ms=5.5, **FOUND)
