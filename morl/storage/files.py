"""Files that are whole or absent: written beside, flushed, then moved into place."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from morl.errors import InputError


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a file that appears under ``path`` only once it is complete.

    A crash at any moment leaves what was there before, and at most a stray file whose
    name starts with a dot.

    Raises:
      OSError: The file cannot be written; it always says which, a full disk included.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        # A write to an open file fails without its name.
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic_file(path) as handle:
        handle.write(text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Writes JSON atomically; NaN and infinity are refused, as JSON has neither."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads JSON, or says which file is missing or where it is damaged."""
    path = Path(path)
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError("no such file", where=str(path)) from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not valid JSON ({error})", where=str(path)) from None


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def content_hash(*parts: object) -> str:
    """SHA-256 of JSON-serialisable parts: equal content, equal name.

    Examples:
      >>> content_hash({"b": 1, "a": 2}) == content_hash({"a": 2, "b": 1})
      True
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
