"""From records and what a scorer says of them to the arrays that the maths takes."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.assess.scored import Scored
from morl.errors import InputError
from morl.feedback import Record, labelled_pairs, opening_key
from morl.rewards.mixture import MIXTURE
from morl.types import Names


class PairSet(NamedTuple):
    """Pairs of one objective, as one head sees them.

    Attributes:
      data: What they are from.
      objective: What they are labelled for.
      head: Who judges them.
      margins: Reward of the better response less that of the worse.
      spread: Deviation of each margin, where the head knows its own.
      better_length: Characters of each better response.
      worse_length: Characters of each worse one.
      better: Row of the better response among those of all records.
      worse: Row of the worse one.
      groups: The prompt of each pair.
    """

    data: str
    objective: str
    head: str
    margins: Float[np.ndarray, " p"]
    spread: Float[np.ndarray, " p"] | None
    better_length: Int[np.ndarray, " p"]
    worse_length: Int[np.ndarray, " p"]
    better: Int[np.ndarray, " p"]
    worse: Int[np.ndarray, " p"]
    groups: Int[np.ndarray, " p"]

    @property
    def name(self) -> str:
        """For a row of a table or a figure."""
        head = "" if self.head == self.objective else f" by {self.head}"
        return f"{self.data}: {self.objective}{head}"


def response_starts(records: Sequence[Record]) -> Int[np.ndarray, " m"]:
    """Where each record's responses begin among those of all; the end comes last."""
    return np.cumsum([0, *(len(record.responses) for record in records)])


def response_lengths(records: Iterable[Record]) -> Int[np.ndarray, " n"]:
    """Characters that the assistant says in each response."""
    return np.array(
        [
            sum(len(turn.content) for turn in response if turn.role == "assistant")
            for record in records
            for response in record.responses
        ],
        int,
    )


def prompt_groups(records: Iterable[Record]) -> Int[np.ndarray, " records"]:
    """One integer a record; records whose prompts open alike share theirs."""
    keys = [opening_key(record) for record in records]
    return np.unique(np.array(keys, str), return_inverse=True)[1].astype(int)


def judging(objective: str, heads: Names) -> Names:
    """Who judges an objective: the head of its name, and a mixture; or all heads."""
    if objective not in heads:
        return heads
    return (objective, *(name for name in heads if name == MIXTURE))


def of_source(record: Record) -> str:
    """What a record is from, as tables call it."""
    return record.source or "feedback"


def of_subset(record: Record) -> str:
    """The same with its subset, where it has one."""
    source = of_source(record)
    return f"{source}, {record.subset}" if record.subset else source


def pair_sets(
    records: Sequence[Record],
    scored: Scored,
    heads: Names,
    *,
    data: Callable[[Record], str] = of_source,
) -> list[PairSet]:
    """All labelled pairs, by data, objective and the heads that judge it.

    Args:
      records: Where pairs are labelled.
      scored: Of their responses.
      heads: Names of the columns of the rewards.
      data: What each record counts for.

    Returns:
      Sets in the order in which they first occur; those of an objective that several
      heads judge one after the other.

    Raises:
      InputError: The rewards are not of these responses and heads, or there is no pair.
    """
    check_scored(records, scored, heads)
    starts, lengths = response_starts(records), response_lengths(records)
    groups = prompt_groups(records)
    found: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for row, record in enumerate(records):
        for objective in record.labels:
            for pair in labelled_pairs(record, objective):
                place = (starts[row] + pair.better, starts[row] + pair.worse)
                found.setdefault((data(record), objective), []).append(
                    (*place, groups[row])
                )
    if not found:
        raise InputError(
            f"found no preference in {len(records)} records", where="feedback"
        )
    sets = []
    for (name, objective), rows in found.items():
        better, worse, prompts = np.array(rows).T
        for head in judging(objective, heads):
            column = heads.index(head)
            rewards = scored.rewards[:, column].astype(float)
            sets.append(
                PairSet(
                    name,
                    objective,
                    head,
                    rewards[better] - rewards[worse],
                    _spread(scored, column, better, worse),
                    lengths[better],
                    lengths[worse],
                    better,
                    worse,
                    prompts,
                )
            )
    return sets


def check_scored(records: Sequence[Record], scored: Scored, heads: Names) -> None:
    """Refuses rewards that are not of these responses and heads.

    Raises:
      InputError: Names both shapes.
    """
    wanted = (int(response_starts(records)[-1]), len(heads))
    if scored.rewards.shape != wanted:
        raise InputError(
            f"found rewards of shape {scored.rewards.shape}, expected {wanted}: "
            f"responses and heads {heads}",
            where="scorer",
        )


def _spread(
    scored: Scored,
    column: int,
    better: Int[np.ndarray, " p"],
    worse: Int[np.ndarray, " p"],
) -> Float[np.ndarray, " p"] | None:
    """The deviation of a difference of two independent errors."""
    if scored.uncertainty is None:
        return None
    own = scored.uncertainty[:, column].astype(float)
    return np.hypot(own[better], own[worse])
