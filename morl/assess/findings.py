"""What a suite found, as data: tables and pictures for every kind of output."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from morl.assess.estimates import Estimate
from morl.types import Names

Cell = str | int | float | Estimate | None
Line = Mapping[str, Cell]


class Sheet(NamedTuple):
    """A table.

    Attributes:
      title: What it shows.
      lines: Its rows; keys are columns, in the order in which they first appear.
      caption: How to read it.
    """

    title: str
    lines: tuple[Line, ...]
    caption: str = ""


class Bars(NamedTuple):
    """Numbers with intervals, one below the other.

    Attributes:
      title: What they are.
      axis: Name of the axis with its unit.
      labels: One a row.
      series: Name to one estimate a row.
      reference: Where nothing is to be seen, such as chance; None for none.
    """

    title: str
    axis: str
    labels: Names
    series: Mapping[str, tuple[Estimate, ...]]
    reference: float | None = None


class Curve(NamedTuple):
    """A line with a band.

    Attributes:
      name: Of the legend.
      x: Places, rising.
      y: Heights.
      low: Lower bounds; NaN where unknown.
      high: Upper bounds; NaN where unknown.
    """

    name: str
    x: Float[np.ndarray, " m"]
    y: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]


class Curves(NamedTuple):
    """Lines over one axis.

    Attributes:
      title: What they show.
      x_axis: Name of the horizontal axis with its unit.
      y_axis: Name of the vertical axis with its unit.
      curves: What was measured.
      references: What it is compared with, without bands.
    """

    title: str
    x_axis: str
    y_axis: str
    curves: tuple[Curve, ...]
    references: tuple[Curve, ...] = ()


Chart = Bars | Curves


class Finding(NamedTuple):
    """What a suite found.

    Attributes:
      suite: Its name.
      question: What it asks.
      sheets: Its tables.
      charts: Its pictures.
      notes: What to know of the data, such as what was left out.
    """

    suite: str
    question: str
    sheets: tuple[Sheet, ...]
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding for :func:`json.dumps`: tables and curves; an unknown number is None.

    Examples:
      >>> half = Estimate(0.5, 0.4, 0.6, 9, 9)
      >>> sheet = Sheet("Pairs", ({"head": "a", "share": half},))
      >>> finding_json(Finding("accuracy", "?", (sheet,)))["tables"][0]["rows"]
      [{'head': 'a', 'share': {'value': 0.5, 'interval': [0.4, 0.6], 'count': 9,
        'prompts': 9}}]
    """
    curves = [chart for chart in finding.charts if isinstance(chart, Curves)]
    return {
        "suite": finding.suite,
        "question": finding.question,
        "tables": [
            {
                "title": sheet.title,
                "rows": [
                    {key: plain_cell(cell) for key, cell in line.items()}
                    for line in sheet.lines
                ],
            }
            for sheet in finding.sheets
        ],
        "curves": [
            {"title": chart.title, "name": curve.name}
            | {
                key: [_number(value) for value in values.tolist()]
                for key, values in curve._asdict().items()
                if key != "name"
            }
            for chart in curves
            for curve in chart.curves
        ],
        "notes": list(finding.notes),
    }


def shown(cell: Cell, digits: int = 3) -> str:
    """A cell as people read it; a dash where nothing is known.

    Examples:
      >>> shown(Estimate(0.5, 0.4, 0.61, 9, 9)), shown(None), shown(0.25)
      ('0.500 [0.400, 0.610]', '-', '0.250')
    """
    if isinstance(cell, Estimate):
        value = _short(cell.value, digits)
        if math.isnan(cell.low) or math.isnan(cell.high):
            return value
        return f"{value} [{_short(cell.low, digits)}, {_short(cell.high, digits)}]"
    if cell is None:
        return "-"
    return _short(cell, digits) if isinstance(cell, float) else str(cell)


def columns(sheet: Sheet) -> list[str]:
    """The columns of a table, in the order in which its rows first have them."""
    return list(dict.fromkeys(key for line in sheet.lines for key in line))


def _short(value: float, digits: int) -> str:
    if math.isnan(value):
        return "-"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def plain_cell(cell: Cell) -> Any:
    """A cell for :func:`json.dumps`, an estimate with its interval."""
    if isinstance(cell, Estimate):
        low, high = _number(cell.low), _number(cell.high)
        return {
            "value": _number(cell.value),
            "interval": None if low is None or high is None else [low, high],
            "count": cell.count,
            "prompts": cell.prompts,
        }
    return _number(cell) if isinstance(cell, float) else cell


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
