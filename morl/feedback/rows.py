"""Rows of data files: JSON Lines, JSON arrays and CSV, each also gzipped.

Every row carries the words that name it in an error, and every reader turns rows into
records through :func:`collect`, which loses none without saying so.
"""

import codecs
import csv
import gzip
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BufferedIOBase, BufferedReader, StringIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from morl.errors import InputError
from morl.feedback.faults import shown

_log = logging.getLogger("morl.feedback")
_T = TypeVar("_T")


class Row(NamedTuple):
    """One row of a file.

    Attributes:
      number: From 1; a header is no row.
      where: The words that name it in an error.
      value: What it holds, a mapping in a sound file.
      fault: What makes it no row at all, or nothing.
    """

    number: int
    where: str
    value: Any
    fault: str = ""


class Dropped(NamedTuple):
    """A sound row that makes no record, and why."""

    reason: str


class Skipped(NamedTuple):
    """Rows of a file that made no record.

    Attributes:
      path: The file.
      reason: Why, in words.
      rows: Their numbers, from 1.
    """

    path: str
    reason: str
    rows: tuple[int, ...]

    def __str__(self) -> str:
        """One line for people: how many, why, and the first few."""
        first = ", ".join(map(str, self.rows[:5])) + (", ..." * (len(self.rows) > 5))
        return f"{self.path}: skipped {len(self.rows)} rows ({self.reason}): {first}"


Report = Callable[[Skipped], None]
Progress = Callable[[int, int], None]


def log_skipped(skipped: Skipped) -> None:
    """Reports skipped rows as a warning of the logger ``morl.feedback``."""
    _log.warning("%s", skipped)


def collect(
    path: str,
    rows: Iterable[Row],
    parse: Callable[[Row], _T | Dropped],
    *,
    max_malformed: int = 0,
    report: Report = log_skipped,
) -> list[_T]:
    """Turns rows into records or parts of them, and reports those that made none.

    Args:
      path: The file, for the report.
      rows: Its rows.
      parse: A row to a record, or to the reason why it makes none; raises InputError
        where the row is malformed.
      max_malformed: So many malformed rows are skipped and reported; one more is an
        error.
      report: Called once for every reason, after the last row.

    Raises:
      InputError: More rows than allowed are malformed; names the last straw.
    """
    records: list[_T] = []
    skipped: dict[str, list[int]] = {}
    for row in rows:
        try:
            if row.fault:
                raise InputError(row.fault, where=row.where)
            made = parse(row)
        except InputError as error:
            malformed = skipped.setdefault("malformed", [])
            malformed.append(row.number)
            if len(malformed) > max_malformed:
                raise _too_many(error, len(malformed)) from None
            continue
        if isinstance(made, Dropped):
            skipped.setdefault(made.reason, []).append(row.number)
        else:
            records.append(made)
    for reason, numbers in skipped.items():
        report(Skipped(path, reason, tuple(numbers)))
    return records


def _too_many(error: InputError, count: int) -> InputError:
    if count == 1:
        return error
    message = str(error).removeprefix(f"{error.where}: ")
    return InputError(f"{message}; {count} rows are malformed", where=error.where)


def require_file(path: Path) -> None:
    """Refuses what is no file.

    Raises:
      InputError: There is nothing of that name, or it is a folder.
    """
    if path.is_dir():
        raise InputError("is a folder, expected a file", where=str(path))
    if not path.is_file():
        raise InputError("no such file", where=str(path))


def find_file(path: str | Path, *places: str) -> Path:
    """The file itself, or the first of the places that exists in a folder.

    Args:
      path: A file or a folder.
      places: Where in the folder to look, in this order.

    Raises:
      InputError: Neither is there; the message lists the places.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError("no such file or folder", where=str(path))
    for place in places:
        if (path / place).is_file():
            return path / place
    raise InputError(f"found none of {', '.join(places)}", where=str(path))


def json_line_rows(path: Path) -> Iterator[Row]:
    """The values of a JSON Lines file, plain or gzipped; blank lines are passed over.

    Raises:
      InputError: The file is gzipped and truncated.
    """
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        try:
            value, fault = strict_json(line), ""
        except (ValueError, RecursionError) as error:
            value, fault = None, f"found {shown(line)} ({error}), expected JSON"
        yield Row(number, where, value, fault)


def json_array_rows(path: Path) -> Iterator[Row]:
    """The entries of a JSON array, plain or gzipped.

    Raises:
      InputError: The file is truncated, not JSON, or not an array.
    """
    try:
        with path.open("rb") as raw:
            text = unzipped(raw).read()
        rows = strict_json(text.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError, *BROKEN) as error:
        raise InputError(f"not valid JSON ({error})", where=str(path)) from None
    if not isinstance(rows, list):
        raise InputError(f"found {shown(rows)}, expected a list", where=str(path))
    for number, value in enumerate(rows, 1):
        yield Row(number, f"{path}: row {number}", value)


def csv_rows(path: Path, *columns: str) -> Iterator[Row]:
    """The rows of a CSV file with a header, plain or gzipped.

    Args:
      path: The file.
      columns: Those that its header must have.

    Raises:
      InputError: A column is missing, a quotation does not end, or the file is
        truncated or not UTF-8.
    """
    header: list[str] = []
    number = 0
    try:
        with path.open("rb") as raw:
            text = unzipped(raw).read().decode("utf-8-sig")
        cells_of_rows = csv.reader(StringIO(text, newline=""), strict=True)
        for number, cells in enumerate(cells_of_rows):
            if number == 0:
                header = _header(path, cells, columns)
            elif cells:
                yield _csv_row(path, number, header, cells)
    except (csv.Error, UnicodeDecodeError, *BROKEN) as error:
        where = f"{path}: row {number + 1}" if header else str(path)
        raise InputError(
            f"cannot be read ({error}), expected CSV in UTF-8", where=where
        ) from None
    if not header:
        raise InputError("found an empty file, expected a header", where=str(path))


def _header(path: Path, cells: list[str], columns: tuple[str, ...]) -> list[str]:
    for column in columns:
        if column not in cells:
            raise InputError(
                f"found columns {', '.join(cells)}, expected {column!r} among them",
                where=str(path),
            )
    return cells


def _csv_row(path: Path, number: int, header: list[str], cells: list[str]) -> Row:
    where = f"{path}: row {number}"
    if len(cells) != len(header):
        fault = f"found {len(cells)} cells, expected {len(header)}"
        return Row(number, where, None, fault)
    return Row(number, where, dict(zip(header, cells, strict=True)))


def field(row: Row, key: str) -> str:
    """The text under a key of a row, stripped, never empty.

    Raises:
      InputError: The row is no object, the key is missing, or it holds no text.
    """
    text = maybe_empty_field(row, key)
    if not text.strip():
        raise InputError(
            f"found {shown(text)}, expected text", where=f"{row.where}: {key}"
        )
    return text.strip()


def maybe_empty_field(row: Row, key: str) -> str:
    """The text under a key of a row, as it is.

    Raises:
      InputError: The row is no object, the key is missing, or it holds no text.
    """
    if not isinstance(row.value, Mapping):
        raise InputError(
            f"found {shown(row.value)}, expected an object", where=row.where
        )
    where = f"{row.where}: {key}"
    if key not in row.value:
        found = ", ".join(map(str, row.value)) or "no keys"
        raise InputError(f"found only {found}, expected this key", where=where)
    value = row.value[key]
    if not isinstance(value, str):
        raise InputError(f"found {shown(value)}, expected text", where=where)
    return value


def choice(row: Row, key: str, choices: Mapping[str, _T]) -> _T:
    """What one of a few words under a key stands for.

    Raises:
      InputError: The key is missing or holds another word.
    """
    word = field(row, key)
    if word not in choices:
        raise InputError(
            f"found {shown(word)}, expected one of {', '.join(choices)}",
            where=f"{row.where}: {key}",
        )
    return choices[word]


BROKEN = (EOFError, OSError, zlib.error)  # what a truncated gzip file raises


def unzipped(raw: BufferedReader) -> BufferedIOBase:
    """The content of an open file; gzip is told by its first bytes, not by its name."""
    magic = raw.read(2)
    raw.seek(0)
    if magic == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)
    return raw


def numbered_lines(
    path: str | Path, progress: Progress | None = None
) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, plain or gzipped, numbered from 1; blank ones are left out.

    Args:
      path: The file; it is streamed.
      progress: Called after every line with the bytes read so far and those in all, as
        they lie on disk.

    Raises:
      InputError: There is no such file, it is a folder, or it is a gzip file that is
        damaged.
    """
    path = Path(path)
    require_file(path)
    total = path.stat().st_size
    with path.open("rb") as raw:
        for number, line in _whole_lines(path, unzipped(raw)):
            if line.strip():
                yield number, line.removeprefix(codecs.BOM_UTF8)
            if progress is not None:
                progress(raw.tell(), total)


def _whole_lines(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            yield number, line
    except BROKEN as error:
        raise InputError(
            f"damaged after line {number} ({error}), expected a whole gzip file",
            where=str(path),
        ) from None


def strict_json(line: bytes) -> Any:
    """JSON as its standard has it: UTF-8, no NaN, and no key twice in an object.

    Raises:
      ValueError: It is something else; says what.
    """
    return json.loads(
        line.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
