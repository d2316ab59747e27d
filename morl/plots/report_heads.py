"""The report's tables about heads, and about what was done."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from morl.assess import BASELINES, Accuracy, CrossMatrix
from morl.errors import InputError
from morl.plots.html import bounded, cell, esc, num, section, table, verdict
from morl.types import Names

TITLES = {
    "data": "held-out data",
    "pairs": "pairs or labels",
    "prompts": "prompts",
    "measure": "measure",
}
KNOWN = (
    "objective",
    *TITLES,
    "accuracy",
    "interval",
    *(key + end for key in BASELINES for end in ("", "_interval")),
    "calibration_error",
    "calibration_chance",
    "verdict",
    "beats_baselines",
)
BLUE_TINT, ORANGE_TINT = (86, 180, 233), (240, 150, 70)


class HeadTables(NamedTuple):
    """What the report shows of heads; an empty part is left out.

    Attributes:
      rows: One a head and data set: ``objective``, ``accuracy``; where known
        ``interval``, ``data``, ``pairs``, ``measure`` (what ``accuracy`` is),
        ``length_baseline``, ``length_rule``, ``response_only`` (each optionally with
        ``..._interval``), ``calibration_error`` (with ``calibration_chance``), and
        ``verdict`` with ``beats_baselines``. Other keys become columns of their own.
      cross: How each head orders the held-out pairs of every objective.
      outside: How each head orders pairs of an outside test.
      agreement: What says how far two sides agree, to objective to the share of pairs
        that the one orders as the other does.
    """

    rows: Sequence[Mapping[str, Any]] = ()
    cross: CrossMatrix | None = None
    outside: CrossMatrix | None = None
    agreement: Mapping[str, Mapping[str, Accuracy]] = {}


def heads_section(heads: HeadTables) -> str:
    """Accuracies beside their baselines, in figures and words, and the matrices."""
    for i, row in enumerate(heads.rows):
        for key in ("objective", "accuracy"):
            if key not in row:
                raise InputError("missing key", where=f"heads.rows[{i}].{key}")
    return section(
        "How good the heads are",
        _accuracies(heads.rows),
        _matrix(
            heads.cross,
            "Share of each objective's held-out pairs (columns) that each head (rows) "
            "orders as labelled",
        ),
        _matrix(
            heads.outside,
            "Outside test, on data that no head was fitted to: share of pairs that "
            "each head (rows) orders as labelled",
        ),
        _agreement(heads.agreement),
    )


def _accuracies(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of accuracies, and below it the verdicts in words."""
    if not rows:
        return ""
    has = lambda key: any(key in row for row in rows)
    own = [key for key in TITLES if has(key)]
    beside = [key for key in BASELINES if has(key)]
    more = list(dict.fromkeys(key for row in rows for key in row if key not in KNOWN))
    areas = has("measure") and any(row.get("measure") == "AUC" for row in rows)
    headers = [
        "head",
        *(TITLES[key] for key in own),
        f"{'accuracy or AUC' if areas else 'accuracy'} [95% interval]",
        *(BASELINES[key].title for key in beside),
        *(["calibration error (chance)"] if has("calibration_error") else []),
        *(key.replace("_", " ") for key in more),
    ]
    body = [
        [
            esc(row["objective"]),
            *(cell(_shown(row.get(key))) for key in own),
            cell(bounded(row["accuracy"], row.get("interval"), 3)),
            *(
                cell(bounded(row.get(key), row.get(f"{key}_interval"), 3))
                for key in beside
            ),
            *([cell(_calibration(row))] if has("calibration_error") else []),
            *(cell(_shown(row.get(key))) for key in more),
        ]
        for row in rows
    ]
    caption = "Held-out data, split by prompt. Accuracy: share of pairs in order. "
    if areas:
        caption += (
            "AUC: area under the ROC curve of single labelled responses, the share of "
            "(yes, no) pairs in order. "
        )
    if "length_rule" in beside:
        caption += (
            "The length rule says that longer or that shorter responses win, whichever "
            "does in the other folds. "
        )
    if has("calibration_error"):
        caption += (
            "Chance: what perfect calibration stays below in 95% of data sets of this "
            "size."
        )
    words = [_words(row) for row in rows if row.get("verdict")]
    return table(headers, body, caption.strip()) + "\n".join(words)


def _calibration(row: Mapping[str, Any]) -> str:
    error = num(row.get("calibration_error"), 3)
    chance = row.get("calibration_chance")
    return error if chance is None else f"{error} ({num(chance, 3)})"


def _words(row: Mapping[str, Any]) -> str:
    """The verdict of a row, which stands out where a baseline is not beaten."""
    where = f" on {row['data']}" if row.get("data") else ""
    return verdict(
        f"The {row['objective']} head{where} {row['verdict']}.",
        sound=bool(row.get("beats_baselines")),
    )


def _shown(value: object) -> str:
    """A value of a kind not known beforehand."""
    if value is None:
        return "-"
    return esc(f"{value:.3f}") if isinstance(value, float) else esc(value)


def _matrix(matrix: CrossMatrix | None, what: str) -> str:
    """Which pairs each head orders: rows are heads, columns sets of pairs."""
    if matrix is None:
        return ""
    body = [
        [
            esc(head),
            *(
                _share(Accuracy(*matrix_cell, count=0, prompts=0))
                for matrix_cell in zip(
                    matrix.value[row].tolist(),
                    matrix.low[row].tolist(),
                    matrix.high[row].tolist(),
                    strict=True,
                )
            ),
        ]
        for row, head in enumerate(matrix.heads)
    ]
    headers = [
        f"{name}: {count} pairs"
        for name, count in zip(matrix.columns, matrix.pairs, strict=True)
    ]
    caption = (
        f"{what} [95% interval over prompts]; 0.50 is chance, below it the head "
        "prefers the worse response. Pale: the interval holds 0.50."
    )
    return table(["head", *headers], body, caption)


def _agreement(found: Mapping[str, Mapping[str, Accuracy]]) -> str:
    """How far selector and judge, agree."""
    if not found:
        return ""
    names: Names = tuple(dict.fromkeys(name for row in found.values() for name in row))
    none = Accuracy(np.nan, np.nan, np.nan, 0, 0)
    body = [
        [esc(what), *(_share(row.get(name, none)) for name in names)]
        for what, row in found.items()
    ]
    caption = (
        "How far those who select and those who judge agree: share of pairs in order "
        "[95% interval over prompts]; 0.50 is chance. Pale: the interval holds 0.50."
    )
    return table(["agreement", *names], body, caption)


def _share(found: Accuracy) -> str:
    """A share with its interval, tinted by its side of chance."""
    if np.isnan(found.value):
        return cell("-", css="shade", color="#ffffff")
    bounds = None if np.isnan(found.low) else (found.low, found.high)
    told = bounds is not None and not bounds[0] <= 0.5 <= bounds[1]
    tint = BLUE_TINT if found.value >= 0.5 else ORANGE_TINT
    depth = min(abs(found.value - 0.5) / 0.3, 1.0) * (1.0 if told else 0.35)
    mixed = [round(255 + depth * (value - 255)) for value in tint]
    color = "#{:02x}{:02x}{:02x}".format(*mixed)
    return cell(bounded(found.value, bounds), css="shade", color=color)


def stages_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was done, in order; keys are columns."""
    if not rows:
        return ""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    body = [
        [
            _shown(row.get(keys[0])),
            *(cell(_shown(row.get(key)), css="prose") for key in keys[1:]),
        ]
        for row in rows
    ]
    return table([key.replace("_", " ") for key in keys], body, "Stages of the run.")
