"""Records of several objectives flattened into parallel arrays, for training."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.errors import InputError
from morl.feedback.records import Pair, Record


class PairTable(NamedTuple):
    """Preference pairs of all objectives, one a row.

    Attributes:
      record_index: Which record, ``[p]``.
      better: Index of the preferred response in its record, ``[p]``.
      worse: Index of the other, ``[p]``.
      objective: Index into the objectives that the table was made for, ``[p]``.
      strength: Strength of the pair, above 0, ``[p]``.
    """

    record_index: Int[np.ndarray, " p"]
    better: Int[np.ndarray, " p"]
    worse: Int[np.ndarray, " p"]
    objective: Int[np.ndarray, " p"]
    strength: Float[np.ndarray, " p"]


class ScoreTable(NamedTuple):
    """Scores of all objectives, one a row.

    Attributes:
      record_index: Which record, ``[s]``.
      response: Index of the response in its record, ``[s]``.
      objective: Index into the objectives that the table was made for, ``[s]``.
      score: The score, in the unit of its source, ``[s]``.
    """

    record_index: Int[np.ndarray, " s"]
    response: Int[np.ndarray, " s"]
    objective: Int[np.ndarray, " s"]
    score: Float[np.ndarray, " s"]


def labelled_pairs(record: Record, objective: str) -> list[Pair]:
    """The preferences of a record under one objective, from the best that it holds.

    Explicit pairs where there are any; else the pairs that a ranking implies; else
    those of unequal scores. One kind only: a ranking made from the same ratings would
    count them twice. Ties give no pair. Pairs from rankings and scores have strength 1.

    Args:
      record: Where to look.
      objective: Which objective; one that the record does not label has no pairs.

    Examples:
      >>> from morl.feedback import Labels, plain_record
      >>> labels = {"helpful": Labels(ranking=((2,), (0, 1)))}
      >>> labelled_pairs(plain_record("?", ["a", "b", "c"], labels), "helpful")
      [Pair(better=2, worse=0, strength=1.0), Pair(better=2, worse=1, strength=1.0)]
    """
    labels = record.labels.get(objective)
    if labels is None:
        return []
    if labels.pairs:
        return list(labels.pairs)
    if labels.ranking:
        return [
            Pair(better, worse)
            for upper, lower in combinations(labels.ranking, 2)
            for better in upper
            for worse in lower
        ]
    scored = [(s, i) for i, s in enumerate(labels.scores or ()) if s is not None]
    return [
        Pair(i, j) if a > b else Pair(j, i)
        for (a, i), (b, j) in combinations(scored, 2)
        if a != b
    ]


def pair_table(records: Sequence[Record], objectives: Sequence[str]) -> PairTable:
    """Every preference pair of the records under the objectives.

    Args:
      records: Rows that may label different objectives.
      objectives: Which to take; their places are the table's objective indices.

    Returns:
      The pairs in the order of the records, then of the objectives.

    Raises:
      InputError: An objective is given twice.
    """
    _check_objectives(objectives)
    rows = [
        (row, pair.better, pair.worse, column, pair.strength)
        for row, record in enumerate(records)
        for column, objective in enumerate(objectives)
        for pair in labelled_pairs(record, objective)
    ]
    row, better, worse, column, strength = _columns(rows, 5)
    return PairTable(
        np.array(row, np.int32),
        np.array(better, np.int32),
        np.array(worse, np.int32),
        np.array(column, np.int32),
        np.array(strength, np.float32),
    )


def score_table(records: Sequence[Record], objectives: Sequence[str]) -> ScoreTable:
    """Every score of the records under the objectives.

    Args:
      records: Rows that may label different objectives.
      objectives: Which to take; their places are the table's objective indices.

    Returns:
      The scores in the order of the records, then of the objectives.

    Raises:
      InputError: An objective is given twice.
    """
    _check_objectives(objectives)
    rows = [
        (row, response, column, score)
        for row, record in enumerate(records)
        for column, objective in enumerate(objectives)
        if objective in record.labels
        for response, score in enumerate(record.labels[objective].scores or ())
        if score is not None
    ]
    row, response, column, score = _columns(rows, 4)
    return ScoreTable(
        np.array(row, np.int32),
        np.array(response, np.int32),
        np.array(column, np.int32),
        np.array(score, np.float32),
    )


def limit_pairs(
    table: PairTable, max_pairs_per_objective: int, *, seed: int
) -> PairTable:
    """At most so many pairs an objective, drawn without replacement.

    Args:
      table: All pairs.
      max_pairs_per_objective: The limit, at least 1.
      seed: Of the draw.

    Returns:
      The pairs kept, in the order of the table. An objective within the limit keeps
      all of its pairs.

    Raises:
      InputError: The limit is below 1.
    """
    if max_pairs_per_objective < 1:
        raise InputError(
            f"found {max_pairs_per_objective}, expected at least 1",
            where="max_pairs_per_objective",
        )
    rank = np.random.default_rng(seed).permutation(len(table.objective))
    keep = np.zeros(len(table.objective), bool)
    for objective in np.unique(table.objective):
        rows = np.flatnonzero(table.objective == objective)
        keep[rows[np.argsort(rank[rows])[:max_pairs_per_objective]]] = True
    return PairTable(*(column[keep] for column in table))


def _check_objectives(objectives: Sequence[str]) -> None:
    for name in objectives:
        if list(objectives).count(name) > 1:
            raise InputError(
                f"found {name!r} twice, expected each once", where="objectives"
            )


def _columns(rows: Sequence[tuple], count: int) -> Sequence[Sequence]:
    return list(zip(*rows, strict=True)) or [()] * count
