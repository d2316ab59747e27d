"""The key-value header of a GGUF file: what the file says of itself, no tensor read.

The layout is that of the GGUF specification, versions 2 and 3 (little-endian): magic,
version, counts, then for each entry a string key, a type and a value.
"""

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from morl.errors import InputError

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}


class _Cursor:
    """A position in the bytes; every read moves it on or says that the file ended."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise EOFError
        chunk = self.data[self.position : end]
        self.position = end
        return chunk

    def scalar(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def string(self) -> str:
        return self.take(self.scalar("<Q")).decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise ValueError(f"unknown value type {kind}")
        return self.scalar(_SCALARS[kind])

    def array(self) -> list[Any]:
        kind, count = self.scalar("<I"), self.scalar("<Q")
        if kind == _STRING:
            return [self.string() for _ in range(count)]
        if kind not in _SCALARS:
            raise ValueError(f"unknown array type {kind}")
        layout = _SCALARS[kind]
        packed = self.take(count * struct.calcsize(layout))
        return [value for (value,) in struct.iter_unpack(layout, packed)]


def read_gguf_metadata(path: str | Path) -> Mapping[str, Any]:
    """Reads the metadata of a GGUF file: scalars, strings, and lists of these.

    Args:
      path: The file.

    Returns:
      Keys such as ``"tokenizer.ggml.tokens"`` to their values.

    Raises:
      InputError: The file is missing, is not GGUF, or ends inside its header.

    References:
      The GGUF specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    with path.open("rb") as handle:
        if handle.read(4) != _MAGIC:
            raise InputError("not a GGUF file (it does not begin so)", where=str(path))
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read_header(_Cursor(data), str(path))


def _read_header(cursor: _Cursor, where: str) -> dict[str, Any]:
    """Reads version, counts and entries; names the last whole key when one fails."""
    found: dict[str, Any] = {}
    try:
        cursor.take(len(_MAGIC))
        version = cursor.scalar("<I")
        if version not in (2, 3):
            raise InputError(
                f"found GGUF version {version}, expected 2 or 3", where=where
            )
        cursor.scalar("<Q")
        for _ in range(cursor.scalar("<Q")):
            key = cursor.string()
            found[key] = cursor.value(cursor.scalar("<I"))
    except EOFError:
        last = f"after {list(found)[-1]!r}" if found else "before its first key"
        raise InputError(
            f"damaged or cut short: the file ends inside its header, {last}",
            where=where,
        ) from None
    except (ValueError, struct.error, OverflowError) as error:
        raise InputError(f"damaged GGUF header ({error})", where=where) from None
    return found
