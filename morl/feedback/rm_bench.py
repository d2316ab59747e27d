"""RM-Bench: right and wrong answers that differ in substance, each in three styles."""

from collections.abc import Callable
from pathlib import Path

from morl.errors import InputError
from morl.feedback.chosen import chosen_record, many_texts
from morl.feedback.records import Record
from morl.feedback.row_files import file_rows, hub_rows
from morl.feedback.rows import Report, Row, collect, field, log_skipped

HUB, SPLIT = "THU-KEG/RM-Bench", "train"
SOURCE = "rm-bench"
STYLES = ("concise", "detailed", "detailed, markdown")


def read_rm_bench(
    path: str | Path,
    objective: str = "preferred",
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """Reads RM-Bench: each answer in three styles. Never train on them.

    Args:
      path: JSON, JSON Lines or Parquet with ``prompt``, ``chosen`` and ``rejected``
        (three texts each: concise, detailed, detailed with markdown) and ``domain``; or
        a folder with such a file that is called ``total_dataset`` or ``rm-bench``, or
        that in ``rm-bench/``.
      objective: What its preferences are about.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason to skip rows.

    Returns:
      One record a row: the right answer in each style, then the wrong one in each, and
      the nine pairs of a right and a wrong one. ``subset`` is the domain.

    Raises:
      InputError: A row holds something else; names file, row, key, what was found and
        what was expected.

    References:
      Liu et al., RM-Bench: Benchmarking Reward Models of Language Models with Subtlety
      and Style (arXiv:2410.16184), 2024.
    """
    file, rows = file_rows(path, SOURCE, "total_dataset", SOURCE)
    return collect(
        str(file), rows, _styled(objective), max_malformed=max_malformed, report=report
    )


def read_rm_bench_hub(
    dataset: str = HUB,
    objective: str = "preferred",
    *,
    split: str = SPLIT,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[Record]:
    """:func:`read_rm_bench` of a data set on the Hugging Face hub."""
    return collect(
        dataset,
        hub_rows(dataset, split=split),
        _styled(objective),
        max_malformed=max_malformed,
        report=report,
    )


def _styled(objective: str) -> Callable[[Row], Record]:
    def parse(row: Row) -> Record:
        chosen, rejected = many_texts(row, "chosen"), many_texts(row, "rejected")
        for key, texts in (("chosen", chosen), ("rejected", rejected)):
            if len(texts) != len(STYLES):
                raise InputError(
                    f"found {len(texts)} texts, expected {len(STYLES)}: "
                    f"{', '.join(STYLES)}",
                    where=f"{row.where}: {key}",
                )
        return chosen_record(
            row,
            chosen,
            rejected,
            objective,
            source=SOURCE,
            subset=field(row, "domain"),
        )

    return parse
