"""Rows of a benchmark: from JSON, JSON Lines, Parquet or the Hugging Face hub."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from morl.errors import InputError
from morl.feedback.rows import Row, find_file, json_array_rows, json_line_rows, unzipped

PARQUET = b"PAR1"  # what a Parquet file begins with


def file_rows(path: str | Path, folder: str, *names: str) -> tuple[Path, Iterator[Row]]:
    """The rows of a file, whichever of the three formats it has; told by its content.

    Args:
      path: The file, or a folder with one of ``names``, each also gzipped.
      folder: Where they are looked for first, below that folder.
      names: File names without their ending, looked for with ``.json``, ``.jsonl`` and
        ``.parquet``.

    Returns:
      The file that was found, and its rows.

    Raises:
      InputError: There is no such file, it is damaged, or it is Parquet and pyarrow is
        not installed.
    """
    ends = ("json", "jsonl", "parquet", "json.gz", "jsonl.gz")
    below = [f"{folder}/{name}" for name in names]
    file = find_file(path, *(f"{n}.{end}" for n in [*below, *names] for end in ends))
    with file.open("rb") as raw:
        begin = raw.read(len(PARQUET))
    if begin == PARQUET:
        return file, _parquet_rows(file)
    return file, (json_array_rows(file) if _is_array(file) else json_line_rows(file))


def hub_rows(dataset: str, *, split: str, data_dir: str | None = None) -> Iterator[Row]:
    """The rows of a data set of the Hugging Face hub.

    Args:
      dataset: Its id, ``ORG/NAME``.
      split: Which part.
      data_dir: Which of its folders; all of it without one.

    Raises:
      InputError: The ``hub`` extra is not installed, or the data set cannot be loaded.
    """
    try:
        load_dataset = importlib.import_module("datasets").load_dataset
    except ImportError:
        raise InputError(
            "reading from the Hugging Face hub needs the hub extra: "
            "pip install 'morl[hub]'",
            where=dataset,
        ) from None
    folder = {} if data_dir is None else {"data_dir": data_dir}
    try:
        values: Iterable[Any] = load_dataset(dataset, split=split, **folder)
    except (OSError, ValueError) as error:
        inside = "" if data_dir is None else f"the folder {data_dir} and "
        raise InputError(
            f"found {error}, expected a data set with {inside}the split {split}",
            where=dataset,
        ) from None
    return _numbered(dataset, values)


def _numbered(name: str, values: Iterable[Any]) -> Iterator[Row]:
    for number, value in enumerate(values, 1):
        yield Row(number, f"{name}: row {number}", value)


def _is_array(file: Path) -> bool:
    """Whether the first character that is no white space opens a list."""
    try:
        with file.open("rb") as raw:
            start = unzipped(raw).read(1024)
    except (EOFError, OSError):
        return False  # what reads the rows says what is wrong
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _parquet_rows(file: Path) -> Iterator[Row]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise InputError(
            "reading Parquet needs pyarrow, which the hub extra brings: "
            "pip install 'morl[hub]'",
            where=str(file),
        ) from None
    try:
        values = parquet.read_table(str(file)).to_pylist()
    except (OSError, ValueError) as error:
        raise InputError(f"not valid Parquet ({error})", where=str(file)) from None
    return _numbered(str(file), values)
