"""The report's tables about heads, and about what was done."""

from collections.abc import Mapping, Sequence
from typing import Any

from morl.errors import InputError
from morl.plots.html import bounded, cell, esc, num, section, table, verdict

BASELINES = {
    "length_baseline": "the longer response wins",
    "response_only": "response only, prompt hidden",
}
KNOWN = (
    "objective",
    "data",
    "pairs",
    "accuracy",
    "interval",
    *BASELINES,
    *(f"{name}_interval" for name in BASELINES),
    "calibration_error",
)
BLUE_TINT, ORANGE_TINT = (86, 180, 233), (240, 150, 70)


def heads_section(
    rows: Sequence[Mapping[str, Any]],
    matrix: Mapping[str, Mapping[str, float | None]],
) -> str:
    """Accuracies beside their baselines, in figures and words, and the matrix."""
    for i, row in enumerate(rows):
        for key in ("objective", "accuracy"):
            if key not in row:
                raise InputError("missing key", where=f"head_table[{i}].{key}")
    return section("How good the heads are", _accuracies(rows), _matrix(matrix))


def _accuracies(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of accuracies, and a sentence where a baseline is not beaten."""
    if not rows:
        return ""
    own = [key for key in KNOWN[1:3] if any(key in row for row in rows)]
    base = [key for key in BASELINES if any(key in row for row in rows)]
    calibrated = any("calibration_error" in row for row in rows)
    more = list(dict.fromkeys(key for row in rows for key in row if key not in KNOWN))
    titles = {"data": "held-out data", "pairs": "pairs"}
    headers = [
        "head",
        *(titles[key] for key in own),
        "accuracy [95% interval]",
        *(BASELINES[key] for key in base),
        *(["calibration error"] if calibrated else []),
        *(key.replace("_", " ") for key in more),
    ]
    body = [
        [
            esc(row["objective"]),
            *(cell(_shown(row.get(key))) for key in own),
            cell(bounded(row["accuracy"], row.get("interval"), 3)),
            *(
                cell(bounded(row.get(key), row.get(f"{key}_interval"), 3))
                for key in base
            ),
            *([cell(num(row.get("calibration_error"), 3))] if calibrated else []),
            *(cell(_shown(row.get(key))) for key in more),
        ]
        for row in rows
    ]
    words = [line for row in rows for line in _words(row)]
    return table(headers, body, "Accuracy on held-out pairs, split by prompt.") + (
        "\n".join(words)
    )


def _words(row: Mapping[str, Any]) -> list[str]:
    """Says plainly which baselines a head does not clearly beat."""
    floor = (row.get("interval") or (row["accuracy"],))[0]
    where = f" on {row['data']}" if row.get("data") else ""
    return [
        verdict(
            f"The {row['objective']} head does not clearly beat its baseline "
            f"“{title}”{where}: its interval starts at {floor:.3f}, the baseline "
            f"scores {row[key]:.3f}.",
            sound=False,
        )
        for key, title in BASELINES.items()
        if row.get(key) is not None and not floor > row[key]
    ]


def _shown(value: object) -> str:
    """A value of a kind not known beforehand."""
    if value is None:
        return "-"
    return esc(f"{value:.3f}") if isinstance(value, float) else esc(value)


def _matrix(matrix: Mapping[str, Mapping[str, float | None]]) -> str:
    """Which pairs each head orders: rows are heads, columns are pairs' objectives."""
    if not matrix:
        return ""
    columns = list(dict.fromkeys(key for row in matrix.values() for key in row))
    body = [
        [
            esc(head),
            *(
                cell(num(row.get(key)), css="shade", color=_tint(row.get(key)))
                for key in columns
            ),
        ]
        for head, row in matrix.items()
    ]
    caption = (
        "Share of each objective's pairs (columns) that each head (rows) orders as "
        "labelled; 0.50 is chance, below it the head prefers the worse response."
    )
    return table(["head", *(f"{c} pairs" for c in columns)], body, caption)


def _tint(share: float | None) -> str:
    """Blue above chance, orange below, white at it."""
    if share is None:
        return "#ffffff"
    tint = BLUE_TINT if share >= 0.5 else ORANGE_TINT
    depth = min(abs(share - 0.5) / 0.3, 1.0)
    mixed = [round(255 + depth * (value - 255)) for value in tint]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


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
