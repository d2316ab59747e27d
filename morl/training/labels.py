"""Which of a record's labels one objective learns from.

Each function takes a record and an objective and returns what it finds; a run chooses
one for each objective.
"""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple, TypeAlias

from morl.feedback import Labels, Record, labelled_pairs

TIE = 0.0  # the strength of a pair of which neither was preferred


class Found(NamedTuple):
    """Labels of one record under one objective.

    Attributes:
      pairs: Better, worse and strength of each preference; :data:`TIE` for a tie.
      scores: Response and score.
      ranks: Response and rank, 0 for the best; equal ones are tied.
    """

    pairs: tuple[tuple[int, int, float], ...] = ()
    scores: tuple[tuple[int, float], ...] = ()
    ranks: tuple[tuple[int, int], ...] = ()


LabelReader: TypeAlias = Callable[[Record, str], Found]


def or_scores(read: LabelReader) -> LabelReader:
    """What a function finds in a record, or its scores where that is nothing."""

    def found(record: Record, objective: str) -> Found:
        first = read(record, objective)
        return first if any(first) else only_scores(record, objective)

    return found


def pairs_or_scores(record: Record, objective: str) -> Found:
    """Preferences where the record implies any, as in
    :func:`morl.feedback.labelled_pairs`; its scores where it implies none.
    """
    return or_scores(only_pairs)(record, objective)


def only_pairs(record: Record, objective: str) -> Found:
    """Preferences: given, or implied by a ranking or by unequal scores."""
    pairs = labelled_pairs(record, objective)
    return Found(tuple((p.better, p.worse, float(p.strength)) for p in pairs))


def pairs_with_ties(record: Record, objective: str) -> Found:
    """Preferences, and the ties of a ranking or of equal scores."""
    labels = record.labels.get(objective)
    found = only_pairs(record, objective)
    if labels is None or labels.pairs:
        return found
    groups: dict[int, list[int]] = {}
    for response, rank in _ranks(labels):
        groups.setdefault(rank, []).append(response)
    ties = [pair for group in groups.values() for pair in combinations(group, 2)]
    return Found((*found.pairs, *((first, other, TIE) for first, other in ties)))


def only_scores(record: Record, objective: str) -> Found:
    """Every score, also where several responses have one."""
    labels = record.labels.get(objective)
    scores = () if labels is None else labels.scores or ()
    return Found(
        scores=tuple(
            (place, float(score))
            for place, score in enumerate(scores)
            if score is not None
        )
    )


def rankings(record: Record, objective: str) -> Found:
    """A ranked list: of a ranking, or in the order of scores.

    A single preference is a list of two. Records with several preferences that are no
    ranking give their pairs.
    """
    labels = record.labels.get(objective)
    if labels is None:
        return Found()
    if len(labels.pairs) == 1:
        (pair,) = labels.pairs
        return Found(ranks=((pair.better, 0), (pair.worse, 1)))
    if labels.pairs:
        return only_pairs(record, objective)
    ranks = tuple(_ranks(labels))
    return Found(ranks=ranks if len({rank for _, rank in ranks}) > 1 else ())


def _ranks(labels: Labels) -> list[tuple[int, int]]:
    """Responses with their ranks, by a ranking or by scores."""
    if labels.ranking:
        return [
            (response, rank)
            for rank, group in enumerate(labels.ranking)
            for response in group
        ]
    scored = [(i, s) for i, s in enumerate(labels.scores or ()) if s is not None]
    order = sorted({score for _, score in scored}, reverse=True)
    return [(response, order.index(score)) for response, score in scored]
