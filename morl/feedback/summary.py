"""What a collection of feedback holds, in numbers for people."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from morl.feedback.records import Labels, Message, Record
from morl.feedback.splits import prompt_key
from morl.feedback.tables import labelled_pairs


class Summary(NamedTuple):
    """One source under one objective.

    Attributes:
      source: Where its records come from.
      objective: What they label; empty for records without any label.
      records: How many.
      pairs: Preference pairs they give, ties left out.
      scores: Scored responses.
      prompts: Different prompts.
      median_words: Median over all responses of the words that the assistant says.
    """

    source: str
    objective: str
    records: int
    pairs: int
    scores: int
    prompts: int
    median_words: float


def describe(records: Iterable[Record]) -> list[Summary]:
    """Counts what each source labels, one row a source and objective.

    A record that labels two objectives counts in two rows.

    Args:
      records: Any records.

    Returns:
      Rows sorted by source, then by objective.

    Examples:
      >>> from morl.feedback import plain_record
      >>> labels = {"honest": Labels(scores=(1.0, None))}
      >>> describe([plain_record("2 + 2?", ["4", "It is 5"], labels, source="sums")])
      [Summary(source='sums', objective='honest', records=1, pairs=0, scores=1,
               prompts=1, median_words=2.0)]
    """
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        for objective in record.labels or ("",):
            groups[record.source, objective].append(record)
    return [
        _summary(source, objective, group)
        for (source, objective), group in sorted(groups.items())
    ]


def _summary(source: str, objective: str, records: Sequence[Record]) -> Summary:
    words = [_words(turns) for record in records for turns in record.responses]
    return Summary(
        source=source,
        objective=objective,
        records=len(records),
        pairs=sum(len(labelled_pairs(record, objective)) for record in records),
        scores=sum(
            score is not None
            for record in records
            for score in record.labels.get(objective, Labels()).scores or ()
        ),
        prompts=len({prompt_key(record) for record in records}),
        median_words=float(statistics.median(words)) if words else 0.0,
    )


def _words(turns: Sequence[Message]) -> int:
    return sum(len(m.content.split()) for m in turns if m.role == "assistant")
