"""``morl check``: whether files of feedback are what the schema asks for."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.table import Table
from tqdm import tqdm

from morl.cli.arguments import as_yaml, parse
from morl.cli.console import OUT
from morl.errors import InputError
from morl.feedback import Problem, Summary, check_jsonl, describe, read_jsonl
from morl.feedback.rows import require_file
from morl.storage import write_json

REPORT = "check.json"
SHOWN = 50
UNSOUND, UNREADABLE = 1, 2


@dataclass(frozen=True)
class CheckConfig:
    """Validates feedback in JSON Lines (plain or gzipped): every problem with its line
    and key, what was found and what was expected. A sound file is summarised.

    Exits with 0 where all files are sound, 1 where there are problems, and 2 where a
    file cannot be read at all.

    Args:
      files: The files.
      objectives: What the files are meant to label: another objective, or none of these
        in a file, is a problem. A misspelt name is sound JSON.
      out: Folder that check.json is written to, with every problem; nothing is written
        without it.
      dry_run: Print the settings and what would be done, once all files are there, and
        do nothing.
    """

    files: tyro.conf.Positional[tuple[Path, ...]]
    objectives: tuple[str, ...] = ()
    out: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Report:
    """What was found in one file.

    Args:
      path: The file.
      problems: All that is wrong with its lines.
      summary: What a sound file holds.
      mislabelled: What is wrong with the names of its objectives.
      unreadable: Why it could not be read; empty where it was.
    """

    path: Path
    problems: tuple[Problem, ...] = ()
    summary: tuple[Summary, ...] = ()
    mislabelled: tuple[str, ...] = ()
    unreadable: str = ""

    @property
    def code(self) -> int:
        """What the command exits with because of this file."""
        if self.unreadable:
            return UNREADABLE
        return UNSOUND if self.problems or self.mislabelled else 0

    def to_json(self) -> dict[str, Any]:
        """The same as dictionaries and lists."""
        return {
            "file": str(self.path),
            "sound": self.code == 0,
            "unreadable": self.unreadable,
            "mislabelled": list(self.mislabelled),
            "problems": [problem._asdict() for problem in self.problems],
            "summary": [row._asdict() for row in self.summary],
        }


def check(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(CheckConfig, argv, prog="morl check")
    if not config.files:
        raise InputError("found none, expected one or more", where="files")
    if config.dry_run:
        for path in config.files:
            require_file(path)
        _dry_run(config)
        return
    reports = []
    for path in config.files:
        reports.append(examine(path, config.objectives))
        _print(reports[-1])
    if config.out is not None:
        found = [report.to_json() for report in reports]
        write_json(config.out / REPORT, found)
        OUT.print(f"report   {config.out / REPORT}")
    if code := max(report.code for report in reports):
        sys.exit(code)


def examine(path: Path, objectives: Sequence[str] = ()) -> Report:
    """Everything that is wrong with a file of feedback, or what it holds.

    Args:
      path: JSON Lines, plain or gzipped.
      objectives: What it is meant to label; anything where empty.

    Returns:
      The report, also of a file that cannot be read.
    """
    try:
        problems = _problems(path)
        if problems:
            return Report(path, tuple(problems))
        summary = describe(read_jsonl(path))
    except (InputError, OSError) as error:
        return Report(path, unreadable=str(error))
    return Report(path, (), tuple(summary), tuple(_mislabelled(summary, objectives)))


def _problems(path: Path) -> list[Problem]:
    # A bar that would be gone before it can be read is not worth a flicker.
    with tqdm(unit="B", unit_scale=True, desc=path.name, leave=False, delay=1.0) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return check_jsonl(path, progress=progress)


def _mislabelled(summary: Sequence[Summary], expected: Sequence[str]) -> list[str]:
    if not expected:
        return []
    wanted = ", ".join(expected)
    counts: dict[str, int] = {}
    for row in summary:
        counts[row.objective] = counts.get(row.objective, 0) + row.records
    strange = [
        f"found {name!r} in {count} records, expected one of {wanted}"
        for name, count in counts.items()
        if name and name not in expected
    ]
    if counts.keys() & set(expected):
        return strange
    return [*strange, f"found no label for {wanted}"]


def _print(report: Report) -> None:
    if report.unreadable:
        print(f"morl check: {report.unreadable}", file=sys.stderr)
        return
    if report.problems:
        OUT.print(_problem_table(report))
        if (rest := len(report.problems) - SHOWN) > 0:
            OUT.print(f"and {rest} more")
        return
    OUT.print(_summary_table(report))
    for problem in report.mislabelled:
        OUT.print(f"labels: {problem}")


def _problem_table(report: Report) -> Table:
    table = Table(
        title=f"{report.path}: {_counted(len(report.problems), 'problem')}",
        title_justify="left",
    )
    for header in ("line", "key", "found", "expected"):
        right = "right" if header == "line" else "left"
        table.add_column(header, overflow="fold", justify=right)
    for problem in report.problems[:SHOWN]:
        table.add_row(*map(str, problem))
    return table


def _summary_table(report: Report) -> Table:
    verdict = "other labels than expected" if report.mislabelled else "sound"
    table = Table(title=f"{report.path}: {verdict}", title_justify="left")
    for header in ("source", "objective"):
        table.add_column(header)
    for header in ("records", "prompts", "pairs", "scores", "median words"):
        table.add_column(header, justify="right")
    for row in report.summary:
        counts = (row.records, row.prompts, row.pairs, row.scores)
        table.add_row(
            row.source or "-",
            row.objective or "-",
            *map(str, counts),
            f"{row.median_words:g}",
        )
    return table


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _dry_run(config: CheckConfig) -> None:
    OUT.print(as_yaml(config))
    names = ", ".join(map(str, config.files))
    written = f" and write {config.out / REPORT}" if config.out else ""
    OUT.print(f"would check {names}{written}")
