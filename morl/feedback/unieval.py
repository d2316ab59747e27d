"""UniEval's human judgements: several scores of the same response."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from morl.errors import InputError
from morl.feedback.faults import is_finite, shown
from morl.feedback.records import Labels, Message, Record
from morl.feedback.rows import (
    Report,
    Row,
    collect,
    field,
    find_file,
    json_array_rows,
    log_skipped,
    maybe_empty_field,
)

FILES = ("topical_chat.json", "sfres.json", "sfhot.json")
TURN = "\n"  # between the turns of a dialogue
NO_FACT = "_nofact"  # what stands for no knowledge


class Judged(NamedTuple):
    """A row: what was answered, the answer, its scores, and where it stands."""

    prompt: tuple[Message, ...]
    response: str
    scores: dict[str, float]
    number: int


def read_unieval(
    path: str | Path, *, max_malformed: int = 0, report: Report = log_skipped
) -> list[Record]:
    """Reads responses that people scored for several objectives each.

    Each key under ``scores`` is an objective of its own: ``naturalness``,
    ``coherence``, ``engagingness``, ``groundedness``, ``understandability``,
    ``informativeness``, ``overall``, as far as a file has it. Scales are those of the
    file (``naturalness`` reaches 3 in ``topical_chat`` and 6 in ``sfres``): compare
    scores within a file, or by their order.

    Args:
      path: One of the JSON files; or a folder with some of ``topical_chat.json``,
        ``sfres.json`` and ``sfhot.json``, or with ``unieval/`` that holds them.
      max_malformed: In each file, so many malformed rows are skipped and reported; one
        more is an error.
      report: Called once for every file and reason to skip rows.

    Returns:
      One record a prompt, with all its responses in the order of the file. The prompt
      is the dialogue, whose last turn is the user's, below the knowledge that the
      response may use, as a system turn; or the meaning that a response puts in words.
      Equal responses to a prompt are one, with the mean of their scores. ``subset`` is
      the name of the file; ``id`` the row of the first response.

    Raises:
      InputError: A row holds something else, or rows of one prompt score different
        objectives; names file, row, key, what was found and what was expected.

    References:
      Zhong et al., Towards a Unified Multi-Dimensional Evaluator for Text Generation
      (arXiv:2210.07197), 2022; ratings of Topical-Chat by Mehri and Eskenazi
      (arXiv:2005.00456), of SFRES and SFHOT by Wen et al. (arXiv:1508.01745).
    """
    places = [f"unieval/{name}" for name in FILES] + list(FILES)
    first = find_file(path, *places)
    beside = [first.with_name(name) for name in FILES]
    files = (
        [first] if Path(path).is_file() else [file for file in beside if file.is_file()]
    )
    return [
        record
        for file in files
        for record in _grouped(
            file,
            collect(
                str(file),
                json_array_rows(file),
                _judged,
                max_malformed=max_malformed,
                report=report,
            ),
        )
    ]


def _judged(row: Row) -> Judged:
    source = field(row, "source")
    context = maybe_empty_field(row, "context") if "context" in row.value else None
    return Judged(
        _prompt(source, context), field(row, "system_output"), _scores(row), row.number
    )


def _prompt(source: str, context: str | None) -> tuple[Message, ...]:
    """A dialogue has knowledge beside it, if only to say that there is none."""
    if context is None:
        return (Message("user", source),)
    turns = [turn.strip() for turn in source.split(TURN) if turn.strip()]
    roles = ("user", "assistant")
    dialogue = [
        Message(roles[place % 2], turn) for place, turn in enumerate(reversed(turns))
    ]
    known = context.strip()
    knowledge = [Message("system", known)] if known not in ("", NO_FACT) else []
    return (*knowledge, *reversed(dialogue))


def _scores(row: Row) -> dict[str, float]:
    found = row.value.get("scores")
    where = f"{row.where}: scores"
    if not isinstance(found, Mapping) or not found:
        raise InputError(
            f"found {shown(found)}, expected an object of numbers", where=where
        )
    for key, value in found.items():
        if not is_finite(value):
            raise InputError(
                f"found {shown(value)}, expected a finite number",
                where=f"{where}.{key}",
            )
    return {key: float(value) for key, value in found.items()}


def _grouped(file: Path, rows: Sequence[Judged]) -> list[Record]:
    """One record a prompt; the mean of what equal responses to it were given."""
    groups: dict[tuple[Message, ...], list[Judged]] = defaultdict(list)
    for row in rows:
        first = groups[row.prompt][:1]
        if first and first[0].scores.keys() != row.scores.keys():
            raise InputError(
                f"found {', '.join(row.scores)}, expected {', '.join(first[0].scores)} "
                f"as in row {first[0].number}, which has the same prompt",
                where=f"{file}: row {row.number}: scores",
            )
        groups[row.prompt].append(row)
    return [_record(file, prompt, group) for prompt, group in groups.items()]


def _record(file: Path, prompt: tuple[Message, ...], group: list[Judged]) -> Record:
    answers: dict[str, list[Judged]] = defaultdict(list)
    for row in group:
        answers[row.response].append(row)
    mean = lambda rows, name: sum(row.scores[name] for row in rows) / len(rows)
    return Record(
        prompt=prompt,
        responses=tuple((Message("assistant", text),) for text in answers),
        labels={
            name: Labels(scores=tuple(mean(rows, name) for rows in answers.values()))
            for name in group[0].scores
        },
        source="unieval",
        id=str(group[0].number),
        subset=file.name.partition(".")[0],
    )
