"""TruthfulQA: questions that many people answer falsely, with both kinds of answer."""

from collections.abc import Callable
from pathlib import Path

from morl.errors import InputError
from morl.feedback.records import Labels, Pair, Record, plain_record
from morl.feedback.rows import (
    Dropped,
    Report,
    Row,
    collect,
    csv_rows,
    field,
    find_file,
    log_skipped,
)

PLACES = ("truthfulqa/TruthfulQA_790.csv", "TruthfulQA_790.csv", "TruthfulQA.csv")


def read_truthfulqa(
    path: str | Path,
    objective: str = "honest",
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads one pair a question: the best answer against the best incorrect one.

    Args:
      path: The CSV file, or a folder with ``truthfulqa/TruthfulQA_790.csv`` or that
        file; the column names of both published versions are known.
      objective: What a true answer shows.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason to skip rows.

    Returns:
      One record a question, with one pair: response 0 is the best answer.

    Raises:
      InputError: A column or a cell is missing; names file, row, key, what was found
        and what was expected.

    References:
      Lin et al., TruthfulQA: Measuring How Models Mimic Human Falsehoods
      (arXiv:2109.07958), 2022.
    """
    return _read(path, objective, _best_answers, max_malformed, report)


def read_truthfulqa_all(
    path: str | Path,
    objective: str = "honest",
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads every correct answer against every incorrect one.

    An answer that a question lists as both is neither, and is left out; repeated
    answers count once. The best answers come first in each list.

    Args:
      path: As in :func:`read_truthfulqa`.
      objective: What a true answer shows.
      max_malformed: As in :func:`read_truthfulqa`.
      report: As in :func:`read_truthfulqa`.

    Returns:
      One record a question: its correct answers, then its incorrect ones, and a pair
      for each correct and each incorrect one.

    Raises:
      InputError: As :func:`read_truthfulqa`.
    """
    return _read(path, objective, _all_answers, max_malformed, report)


Answers = Callable[[Row], tuple[list[str], list[str]]]


def _read(
    path: str | Path,
    objective: str,
    answers: Answers,
    max_malformed: int,
    report: Report,
) -> list[Record]:
    def parse(row: Row) -> Record | Dropped:
        correct, incorrect = answers(row)
        if not correct or not incorrect:
            return Dropped("no answer that is only correct, or only incorrect")
        pairs = tuple(
            Pair(better, len(correct) + worse)
            for better in range(len(correct))
            for worse in range(len(incorrect))
        )
        return plain_record(
            field(row, _named(row, "question", "Question")),
            [*correct, *incorrect],
            {objective: Labels(pairs=pairs)},
            source="truthfulqa",
            id=str(row.number),
        )

    file = find_file(path, *PLACES)
    rows = csv_rows(file, "Best Incorrect Answer")
    return collect(str(file), rows, parse, max_malformed=max_malformed, report=report)


def _best_answers(row: Row) -> tuple[list[str], list[str]]:
    best = field(row, _named(row, "answer", "Best Answer"))
    wrong = field(row, "Best Incorrect Answer")
    if best == wrong:
        raise InputError(
            "found the best answer again, expected an incorrect one",
            where=f"{row.where}: Best Incorrect Answer",
        )
    return [best], [wrong]


def _all_answers(row: Row) -> tuple[list[str], list[str]]:
    (best,), (wrong,) = _best_answers(row)
    correct = [best, *_listed(row, "Correct Answers")]
    incorrect = [wrong, *_listed(row, "Incorrect Answers")]
    both = set(correct) & set(incorrect)
    unique = dict.fromkeys
    return (
        [answer for answer in unique(correct) if answer not in both],
        [answer for answer in unique(incorrect) if answer not in both],
    )


def _listed(row: Row, key: str) -> list[str]:
    """The answers of a cell, which a semicolon separates and may also end."""
    answers = (answer.strip() for answer in field(row, key).split(";"))
    return [answer for answer in answers if answer]


def _named(row: Row, *names: str) -> str:
    """The name that this version of the file gives a column."""
    return next((name for name in names if name in row.value), names[0])
