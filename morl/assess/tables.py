"""Rows that say how good heads are, for JSON, the console and the report."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.assess.accuracy import (
    Accuracy,
    Comparison,
    Difference,
    beats,
    compare_accuracy,
)
from morl.assess.baselines import Baselines
from morl.assess.calibration import Calibration, label_calibration, pair_calibration
from morl.assess.cross import CrossMatrix
from morl.assess.ranking import compare_areas
from morl.errors import InputError
from morl.types import Names

Row = dict[str, Any]
PAIRS, LABELS = "accuracy", "AUC"


class Baseline(NamedTuple):
    """How a baseline is called.

    Attributes:
      title: Over its column.
      words: In a verdict; None where no verdict is about it.
    """

    title: str
    words: str | None


# In the order of the fields of ``morl.assess.Baselines``.
BASELINES = {
    "length_baseline": Baseline("longer wins", None),
    "length_rule": Baseline("length rule, direction learned", "its length rule"),
    "response_only": Baseline(
        "response only, prompt hidden", "its response-only baseline"
    ),
}


def head_table(
    margins: Float[np.ndarray, "p k"],
    objective: Int[np.ndarray, " p"],
    groups: Int[np.ndarray, " p"],
    *,
    objectives: Names,
    baselines: Baselines,
    data: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[Row]:
    """One row an objective: its head's accuracy on its pairs, beside the baselines.

    Args:
      margins: Reward of the better response less that of the worse, by heads that did
        not see the pair.
      objective: Index of the objective that each pair is labelled for.
      groups: The prompt of each pair, any integers.
      objectives: Names of the heads.
      baselines: Margins of the baselines.
      data: What the pairs of each objective are, in words; the report shows it.
      seed: Of the bootstrap.

    Returns:
      Rows for :func:`json.dumps` and :func:`report_rows`; an unknown number is None,
      an interval two numbers or None. Objectives without pairs have no row.
      ``..._gain`` is the head's accuracy less that of a baseline on the same pairs;
      ``beats_baselines`` says whether every gain that the verdict is about lies above
      zero with its whole interval; ``calibration_chance`` is the error that perfect
      calibration stays below in 95 % of data sets of this size.

    Raises:
      InputError: The names do not fit the margins, or a margin is NaN.
    """
    _check_names(margins, objective, objectives)
    rows = []
    for place, name in enumerate(objectives):
        here = objective == place
        if not here.any():
            continue
        own, prompts = margins[here, place], groups[here]
        keys, beside = _fitted(np.column_stack(baselines)[here])
        found = compare_accuracy(own, beside, prompts, seed=seed)
        rows.append(
            _row(name, (data or {}).get(name, ""), found.accuracy, PAIRS)
            | _compared(found, keys)
            | _calibrated(pair_calibration(own, seed=seed))
        )
    return rows


def label_row(
    logits: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    *,
    objective: str,
    baselines: Baselines,
    data: str = "",
    seed: int = 0,
) -> Row:
    """A row of the same table for responses that are labelled one by one.

    Its ``accuracy`` is the area under the ROC curve, and its ``measure`` says so: the
    share of (yes, no) pairs of responses that are ordered rightly, across prompts. As
    for pairs, 0.5 is chance.

    Args:
      logits: Log-odds of "yes" by a head that did not see the label.
      labels: Whether each response is labelled "yes"; both kinds occur.
      groups: The prompt of each response, any integers.
      objective: Name of the head.
      baselines: Scores of the baselines.
      data: What the responses are, in words.
      seed: Of the bootstrap.

    Returns:
      The row; ``pairs`` is the number of labelled responses.

    Raises:
      InputError: A number is NaN, or only one kind of label occurs.
    """
    keys, beside = _fitted(np.column_stack(baselines))
    found = compare_areas(logits, beside, labels, groups, seed=seed)
    return (
        _row(objective, data, found.accuracy, LABELS)
        | _compared(found, keys)
        | _calibrated(label_calibration(logits, labels, seed=seed))
    )


def verdict(gains: Mapping[str, Difference]) -> str:
    """What the differences from the baselines show, in words.

    Args:
      gains: A baseline's name in words to the head's accuracy less the baseline's.

    Returns:
      "beats ..." where the whole interval lies above zero, "is worse than ..." where it
      lies below, and otherwise "does not clearly beat ...".

    Examples:
      >>> better, unclear = Difference(0.1, 0.05, 0.15), Difference(0.02, -0.01, 0.05)
      >>> verdict({"length": better, "its response-only baseline": unclear})
      'beats length; does not clearly beat its response-only baseline'
    """
    if all(beats(gain) for gain in gains.values()):
        return "beats " + ("both baselines" if len(gains) == 2 else ", ".join(gains))
    words = lambda gain: (
        "beats"
        if beats(gain)
        else "is worse than"
        if gain.high < 0
        else "does not clearly beat"
    )
    return "; ".join(f"{words(gain)} {name}" for name, gain in gains.items())


def report_rows(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows as the page shows them: each gain with its interval in one text.

    Args:
      rows: From :func:`head_table` and :func:`label_row`.

    Returns:
      Rows for :func:`morl.plots.write_report`, in which every key is a column.
    """
    keep = lambda key: "_gain" not in key
    return [
        {key: value for key, value in row.items() if keep(key)}
        | {
            f"gain_over_{key}": signed(row[f"{key}_gain"], row[f"{key}_gain_interval"])
            for key, baseline in BASELINES.items()
            if baseline.words is not None
        }
        for row in rows
    ]


def signed(
    value: float | None, interval: Sequence[float] | None, *, between: str = " "
) -> str:
    """A difference with its sign, and its interval; a dash where there is none.

    Examples:
      >>> signed(0.02, [-0.011, 0.05])
      '+0.020 [-0.011, 0.050]'
    """
    if value is None:
        return "-"
    if interval is None:
        return f"{value:+.3f}"
    return f"{value:+.3f}{between}[{interval[0]:.3f}, {interval[1]:.3f}]"


def cross_rows(matrix: CrossMatrix) -> list[Row]:
    """One row a head and set of pairs, with intervals; sets without pairs left out.

    ``verdict`` says "orders", "reverses" or "neither" by where the interval lies from
    one half.
    """
    return [
        _row(
            head,
            f"{column} pairs",
            Accuracy(
                float(matrix.value[i, j]),
                float(matrix.low[i, j]),
                float(matrix.high[i, j]),
                int(matrix.pairs[j]),
                int(matrix.prompts[j]),
            ),
            PAIRS,
        )
        | {"verdict": _against_chance(matrix.low[i, j], matrix.high[i, j])}
        for i, head in enumerate(matrix.heads)
        for j, column in enumerate(matrix.columns)
        if matrix.pairs[j]
    ]


def _against_chance(low: float, high: float) -> str:
    if low > 0.5:
        return "orders them better than chance"
    if high < 0.5:
        return "reverses them: the objectives conflict"
    return "not clearly different from chance"


def _row(objective: str, data: str, accuracy: Accuracy, measure: str) -> Row:
    row: Row = {"objective": objective}
    if data:
        row["data"] = data
    return row | {
        "pairs": accuracy.count,
        "prompts": accuracy.prompts,
        "measure": measure,
        "accuracy": accuracy.value,
        "interval": _interval(accuracy.low, accuracy.high),
    }


def _fitted(
    beside: Float[np.ndarray, "p m"],
) -> tuple[list[str], Float[np.ndarray, "p f"]]:
    """The baselines that there are, and what they read."""
    known = np.flatnonzero(~np.isnan(beside).all(axis=0))
    names = list(BASELINES)
    return [names[place] for place in known], beside[:, known]


def _compared(found: Comparison, keys: Sequence[str]) -> Row:
    ends = ("", "_interval", "_gain", "_gain_interval")
    row: Row = {key + end: None for key in BASELINES for end in ends}
    for key, accuracy, gain in zip(keys, found.baselines, found.gains, strict=True):
        row[key] = accuracy.value
        row[f"{key}_interval"] = _interval(accuracy.low, accuracy.high)
        row[f"{key}_gain"] = gain.value
        row[f"{key}_gain_interval"] = _interval(gain.low, gain.high)
    gains = {
        words: gain
        for key, gain in zip(keys, found.gains, strict=True)
        if (words := BASELINES[key].words) is not None
    }
    absent = [
        f"{baseline.words} could not be fitted"
        for key, baseline in BASELINES.items()
        if key not in keys
    ]
    sound = not absent and all(beats(gain) for gain in gains.values())
    said = "; ".join([verdict(gains), *absent])
    return row | {"beats_baselines": sound, "verdict": said}


def _calibrated(calibration: Calibration) -> Row:
    return {
        "calibration_error": calibration.error,
        "calibration_chance": calibration.chance,
        "brier": calibration.brier,
    }


def _interval(low: float, high: float) -> list[float] | None:
    return None if np.isnan(low) or np.isnan(high) else [low, high]


def _check_names(
    margins: Float[np.ndarray, "p k"], objective: Int[np.ndarray, " p"], names: Names
) -> None:
    if len(names) != margins.shape[1]:
        raise InputError(
            f"found {margins.shape[1]} columns, but objectives are {names}",
            where="margins",
        )
    if len(objective) and not 0 <= objective.min() <= objective.max() < len(names):
        raise InputError(
            f"found indices from {objective.min()} to {objective.max()}, but "
            f"objectives are {names}",
            where="objective",
        )
