"""Pictures of what a suite found: numbers with intervals, and curves with bands."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from morl.assess.estimates import Estimate
from morl.assess.findings import Bars, Chart, Curve, Curves, Finding
from morl.plots.styles import GREY, OBJECTIVES, SETTINGS
from morl.storage import atomic_file

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES = ((0, (4, 2)), (0, (1, 1.5)))
ROW, EDGES = 0.2, 1.5  # inches a mark and row, and around them
WIDTH = 7.4
LONGEST = 60  # characters of a label


def draw_bars(ax: Axes, bars: Bars) -> None:
    """Draws numbers with their intervals, the first row at the top."""
    count = len(bars.series)
    rows = np.arange(len(bars.labels))
    for place, (name, estimates) in enumerate(bars.series.items()):
        shift = (place - (count - 1) / 2) * 0.7 / count
        values, low, high = _sides(estimates)
        ax.errorbar(
            values,
            rows + shift,
            xerr=np.stack([values - low, high - values]),
            fmt=MARKERS[place % len(MARKERS)],
            color=OBJECTIVES[place % len(OBJECTIVES)],
            ms=4.5,
            lw=1.2,
            label=name,
        )
    if bars.reference is not None:
        ax.axvline(bars.reference, color=GREY, lw=0.9, ls=(0, (4, 2)), zorder=1)
    ax.set_yticks(rows, [_short(label) for label in bars.labels])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.set_xlabel(bars.axis)
    ax.set_title(bars.title, loc="left")


def draw_curves(ax: Axes, chart: Curves) -> None:
    """Draws curves with their bands, over dashed references."""
    for place, curve in enumerate(chart.references):
        dashes = DASHES[place % len(DASHES)]
        ax.plot(curve.x, curve.y, color=GREY, lw=1.0, ls=dashes, label=curve.name)
    for place, curve in enumerate(chart.curves):
        color = OBJECTIVES[place % len(OBJECTIVES)]
        if not np.isnan(curve.low).all():
            ax.fill_between(
                curve.x, curve.low, curve.high, color=color, alpha=0.15, lw=0
            )
        ax.plot(
            curve.x,
            curve.y,
            color=color,
            lw=1.5,
            marker=MARKERS[place % len(MARKERS)],
            markevery=_marks(curve),
            ms=4,
            label=curve.name,
        )
    ax.set_xlabel(chart.x_axis)
    ax.set_ylabel(chart.y_axis)
    ax.set_title(chart.title, loc="left")


def finding_figure(chart: Chart) -> Figure:
    """The figure of one picture of a finding.

    Returns:
      A figure that belongs to the caller.
    """
    with matplotlib.rc_context(SETTINGS):
        if isinstance(chart, Bars):
            count = len(chart.labels) * max(len(chart.series), 1.5)
            figure = Figure(figsize=(WIDTH, EDGES + ROW * count), layout="constrained")
            ax = figure.subplots()
            draw_bars(ax, chart)
            shown = len(chart.series) > 1
        else:
            figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
            ax = figure.subplots()
            draw_curves(ax, chart)
            shown = True
        if shown:
            figure.legend(loc="outside lower center", ncols=2)
    return figure


def finding_figures(finding: Finding, folder: str | Path) -> list[Path]:
    """Saves every picture of a finding as PNG and as SVG.

    Args:
      finding: What to draw.
      folder: Where to; made where it is missing.

    Returns:
      The files, named by the suite and numbered where there are several.
    """
    paths = []
    for place, chart in enumerate(finding.charts, 1):
        name = finding.suite + (f"_{place}" if len(finding.charts) > 1 else "")
        figure = finding_figure(chart)
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = Path(folder) / f"{name}.{kind}"
            with matplotlib.rc_context(SETTINGS), atomic_file(path) as handle:
                figure.savefig(handle, format=kind, metadata=metadata)
            paths.append(path)
    return paths


def _sides(
    estimates: tuple[Estimate, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with their bounds; a bar of no length where an interval is unknown."""
    values, low, high = np.array([each[:3] for each in estimates]).T
    return (
        values,
        np.where(np.isnan(low), values, low),
        np.where(np.isnan(high), values, high),
    )


def _marks(curve: Curve) -> int:
    return max(len(curve.x) // 8, 1)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else label[: LONGEST - 3] + "..."
