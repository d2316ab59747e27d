"""Feedback as JSON Lines: read, written and checked; the project's own format."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from morl.errors import InputError
from morl.feedback.faults import Fault, shown
from morl.feedback.records import Record
from morl.feedback.rows import Progress, numbered_lines, strict_json
from morl.feedback.schema import from_json, to_json
from morl.storage import atomic_file


class Problem(NamedTuple):
    """One thing wrong with a file of feedback.

    Attributes:
      line: Which line, from 1.
      key: Which key, such as ``labels.helpful.pairs[0].better``; empty where it is the
        whole line.
      found: What is there.
      expected: What should be.
    """

    line: int
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        """One line for people."""
        where = f"line {self.line}" + (f": {self.key}" if self.key else "")
        return f"{where}: found {self.found}, expected {self.expected}"


def write_jsonl(path: str | Path, records: Iterable[Record]) -> int:
    """Writes records as JSON Lines, one a line; gzipped where the name ends in ``.gz``.

    The file appears once it is whole. Equal records give equal bytes.

    Args:
      path: Where to; parents are made.
      records: What to write; read once, so that it may be a generator.

    Returns:
      How many were written.
    """
    path = Path(path)
    with atomic_file(path) as handle:
        if path.suffix != ".gz":
            return _write_lines(handle.write, records)
        # Without a name and a time in its header, equal records give equal bytes.
        with gzip.GzipFile("", "wb", fileobj=handle, mtime=0) as packed:
            return _write_lines(packed.write, records)


def _write_lines(write: Callable[[bytes], int], records: Iterable[Record]) -> int:
    count = 0
    for record in records:
        write(_line(record))
        count += 1
    return count


def _line(record: Record) -> bytes:
    row = to_json(record)
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape holds
        text = json.dumps(row, allow_nan=False).encode()
    return text + b"\n"


def stream_jsonl(
    path: str | Path, *, progress: Progress | None = None
) -> Iterator[Record]:
    """The records of a JSON Lines file, plain or gzipped, one by one.

    Args:
      path: The file.
      progress: Called after every line with the bytes read so far and those in all.

    Raises:
      InputError: A line is not a record; names file, line, key, what was found and what
        was expected. Or the file is missing or damaged.
    """
    for number, line in numbered_lines(path, progress):
        record, faults = _parsed(line)
        if record is None:
            raise InputError(_words(faults), where=_where(path, number, faults[0].key))
        yield record


def read_jsonl(path: str | Path) -> list[Record]:
    """All records of a JSON Lines file, plain or gzipped: what `write_jsonl` wrote.

    Raises:
      InputError: As :func:`stream_jsonl`.
    """
    return list(stream_jsonl(path))


def check_jsonl(path: str | Path, *, progress: Progress | None = None) -> list[Problem]:
    """All that is wrong with a file of feedback, not just the first thing.

    The file is streamed: memory grows with its problems, not with its lines.

    Args:
      path: A JSON Lines file, plain or gzipped.
      progress: Called after every line with the bytes read so far and those in all.

    Returns:
      Problems in the order of the lines; empty for a sound file.

    Raises:
      InputError: There is no such file.
    """
    problems: list[Problem] = []
    number = 0
    try:
        for number, line in numbered_lines(path, progress):
            problems += [Problem(number, *fault) for fault in _parsed(line)[1]]
    except InputError:
        if not Path(path).is_file():
            raise
        found = "the end of what can be unpacked"
        problems.append(Problem(number + 1, "", found, "a whole gzip file"))
    return problems


def _parsed(line: bytes) -> tuple[Record | None, list[Fault]]:
    try:
        value = strict_json(line)
    except (ValueError, RecursionError) as error:
        start = shown(line.decode(errors="backslashreplace").strip())
        return None, [Fault("", f"{start} ({error})", "a JSON object")]
    return from_json(value)


def _words(faults: list[Fault]) -> str:
    rest = len(faults) - 1
    more = f" (and {rest} more; morl check lists them)" if rest else ""
    return f"found {faults[0].found}, expected {faults[0].expected}{more}"


def _where(path: str | Path, number: int, key: str) -> str:
    return f"{path}:{number}" + (f": {key}" if key else "")
