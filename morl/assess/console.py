"""The tables of heads as a console of 80 columns shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from morl.assess.cross import CrossMatrix
from morl.assess.tables import LABELS, signed


def render_head_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Accuracies beside their baselines, and below them the verdicts in words.

    Args:
      rows: From :func:`morl.assess.head_table` or :func:`morl.assess.label_row`.

    Returns:
      A table for ``rich.print``.
    """
    verdicts = [f"{_name(row, ', ')}: {row['verdict']}." for row in rows]
    notes = (
        "Length: the longer response wins; rule: longer or shorter, whichever wins in "
        "the other folds. Gain: the head less the rule or the baseline, over the same "
        "draws of prompts. AUC: area under ROC, of single labelled responses. ECE: "
        "calibration error; in brackets what perfect calibration stays below in 95% "
        "of data sets of this size."
    )
    table = Table(
        title="Held-out accuracy [95% interval over prompts]",
        caption="\n".join([*map(escape, verdicts), notes]),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("head")
    for header in ("pairs", "accuracy", "length", "response only", "ECE"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        error, chance = row["calibration_error"], row["calibration_chance"]
        table.add_row(
            escape(_name(row, "\n")),
            f"{row['pairs']}",
            _bounded(row["accuracy"], row["interval"])
            + ("\nAUC" if row["measure"] == LABELS else ""),
            f"{row['length_baseline']:.3f}\nrule {_baseline(row, 'length_rule')}",
            _baseline(row, "response_only"),
            f"{error:.3f}\n({chance:.3f})",
            end_section=True,
        )
    return table


def render_cross_table(matrix: CrossMatrix) -> Table:
    """Which pairs each head orders: rows are heads, columns sets of pairs."""
    table = Table(
        title="Share of pairs ordered as labelled [95% interval over prompts]",
        caption="0.5 is chance; below it the head prefers the worse response.",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("head")
    for column, count in zip(matrix.columns, matrix.pairs, strict=True):
        table.add_column(f"{escape(column)}\n{count} pairs", justify="right")
    for i, head in enumerate(matrix.heads):
        cells = zip(matrix.value[i], matrix.low[i], matrix.high[i], strict=True)
        shown = (
            "-" if np.isnan(value) else _bounded(value, None if np.isnan(low) else span)
            for value, low, high in cells
            for span in [(low, high)]
        )
        table.add_row(escape(head), *shown)
    return table


def _name(row: Mapping[str, Any], between: str) -> str:
    data = row.get("data")
    return f"{row['objective']}{between}{data}" if data else row["objective"]


def _baseline(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return "-"
    gain = signed(row[f"{key}_gain"], row[f"{key}_gain_interval"], between="\n")
    return f"{row[key]:.3f}\ngain {gain}"


def _bounded(value: float, interval: Sequence[float] | None) -> str:
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f}\n[{interval[0]:.3f}, {interval[1]:.3f}]"
