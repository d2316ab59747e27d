"""The tables of heads as a console shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from morl.assess.cross import CrossMatrix


def render_head_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Accuracies beside their baselines, and the verdict in words.

    Args:
      rows: From :func:`morl.assess.head_table` or :func:`morl.assess.label_row`.

    Returns:
      A table for ``rich.print``.
    """
    table = Table(
        title="Held-out accuracy [95% interval over prompts]",
        caption="gain: the head less the baseline, on the same pairs; "
        "ECE: calibration error (below its chance level: no evidence against)",
    )
    for header in ("head", "pairs", "accuracy", "length", "response only"):
        table.add_column(header, justify="left" if header == "head" else "right")
    for header in ("ECE (chance)", "Brier"):
        table.add_column(header, justify="right")
    table.add_column("verdict")
    for row in rows:
        name = row["objective"]
        table.add_row(
            f"{name}\n{row['data']}" if row.get("data") else name,
            f"{row['pairs']}",
            _bounded(row["accuracy"], row["interval"]),
            *(_baseline(row, key) for key in ("length_baseline", "response_only")),
            f"{row['calibration_error']:.3f} ({row['calibration_chance']:.3f})",
            f"{row['brier']:.3f}",
            row["verdict"],
        )
    return table


def render_cross_table(matrix: CrossMatrix) -> Table:
    """Which pairs each head orders: rows are heads, columns sets of pairs."""
    table = Table(
        title="Share of pairs ordered as labelled [95% interval over prompts]",
        caption="0.5 is chance; below it the head prefers the worse response",
    )
    table.add_column("head")
    for column, count in zip(matrix.columns, matrix.pairs, strict=True):
        table.add_column(f"{column} ({count} pairs)", justify="right")
    for i, head in enumerate(matrix.heads):
        cells = zip(matrix.value[i], matrix.low[i], matrix.high[i], strict=True)
        table.add_row(
            head,
            *(
                "-" if value != value else _bounded(value, (low, high))
                for value, low, high in cells
            ),
        )
    return table


def _baseline(row: Mapping[str, Any], key: str) -> str:
    gain = row[f"{key}_gain"]
    shown = _bounded(gain, row[f"{key}_gain_interval"], sign="+")
    return f"{_bounded(row[key], row[f'{key}_interval'])}\ngain {shown}"


def _bounded(value: float, interval: Sequence[float] | None, *, sign: str = "") -> str:
    """A number with its interval, escaped for rich; a dash for unknown bounds."""
    if interval is None or any(bound != bound for bound in interval):
        return f"{value:{sign}.3f}"
    low, high = interval
    # A space keeps rich from reading the bounds as markup.
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
