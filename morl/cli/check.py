"""``morl check``: whether files of feedback are what the schema asks for."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table
from tqdm import tqdm

from morl.cli.arguments import parse
from morl.cli.console import OUT
from morl.feedback import Problem, check_jsonl, describe, read_jsonl

SHOWN = 50
UNSOUND = 1


@dataclass(frozen=True)
class CheckConfig:
    """Validates feedback in JSONL (plain or gzipped): every problem with its line and
    key, what was found and what was expected. Exits with 1 where there are problems.

    Args:
      files: The files.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]


def check(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(CheckConfig, argv, prog="morl check")
    sound = True
    for path in config.files:
        problems = _problems(path)
        sound &= not problems
        if problems:
            OUT.print(_problem_table(path, problems))
        else:
            OUT.print(_summary_table(path))
    if not sound:
        sys.exit(UNSOUND)


def _problems(path: Path) -> list[Problem]:
    with tqdm(unit="B", unit_scale=True, desc=path.name, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return check_jsonl(path, progress=progress)


def _problem_table(path: Path, problems: Sequence[Problem]) -> Table:
    table = Table(title=f"{path}: {len(problems)} problems")
    for header in ("line", "key", "found", "expected"):
        table.add_column(header, overflow="fold")
    for problem in problems[:SHOWN]:
        shown = (problem.line, problem.key, problem.found, problem.expected)
        table.add_row(*(str(part).replace("[", "\\[") for part in shown))
    if len(problems) > SHOWN:
        table.caption = f"and {len(problems) - SHOWN} more"
    return table


def _summary_table(path: Path) -> Table:
    table = Table(title=f"{path}: sound")
    rows = describe(read_jsonl(path))
    for header in ("source", "objective", "records", "prompts", "pairs", "scores"):
        table.add_column(header)
    table.add_column("median words")
    for row in rows:
        table.add_row(
            row.source or "-",
            row.objective or "-",
            f"{row.records}",
            f"{row.prompts}",
            f"{row.pairs}",
            f"{row.scores}",
            f"{row.median_words:g}",
        )
    return table
