"""Strict readers of JSON values: each returns the value, or says where it is wrong."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from morl.errors import InputError

T = TypeVar("T")
Reader: TypeAlias = Callable[[object, str], T]


def _refuse(value: object, expected: str, where: str) -> InputError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return InputError(f"found {shown}, expected {expected}", where=where)


def text(value: object, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _refuse(value, "a string", where)
    return value


def flag(value: object, where: str) -> bool:
    """``true`` or ``false``, never 0 or 1."""
    if not isinstance(value, bool):
        raise _refuse(value, "true or false", where)
    return value


def integer(value: object, where: str) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(value, "a whole number", where)
    return value


def number(value: object, where: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(value, "a number", where)
    try:
        wide = float(value)
    except OverflowError:
        wide = math.inf
    if not math.isfinite(wide):
        raise _refuse(value, "a finite number", where)
    return wide


def optional(read: Reader[T]) -> Reader[T | None]:
    """``null``, or what ``read`` reads."""
    return lambda value, where: None if value is None else read(value, where)


def array_of(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """A list, each entry read by ``read``."""

    def read_all(value: object, where: str) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise _refuse(value, "a list", where)
        return tuple(read(entry, f"{where}[{i}]") for i, entry in enumerate(value))

    return read_all


def mapping_of(read: Reader[T]) -> Reader[dict[str, T]]:
    """An object with free keys, each value read by ``read``."""

    def read_all(value: object, where: str) -> dict[str, T]:
        if not isinstance(value, dict):
            raise _refuse(value, "an object", where)
        return {key: read(entry, f"{where}.{key}") for key, entry in value.items()}

    return read_all


def bounds(value: object, where: str) -> tuple[float, float]:
    """A pair ``[low, high]`` with ``low <= high``."""
    pair = array_of(number)(value, where)
    if len(pair) != 2 or pair[0] > pair[1]:
        raise _refuse(value, "[low, high] with low <= high", where)
    return pair[0], pair[1]


def fields(
    value: object,
    where: str,
    required: Mapping[str, Reader[Any]],
    extra: Mapping[str, Reader[Any]],
) -> dict[str, Any]:
    """An object with every required key, and no key that neither table names.

    Args:
      value: What was found.
      where: Its place, which messages start with.
      required: Keys that must be there, and how to read them.
      extra: Keys that may be there.

    Returns:
      The values found, read.

    Raises:
      InputError: A missing or unknown key, or a value its reader refuses.
    """
    if not isinstance(value, dict):
        raise _refuse(value, "an object", where)
    dot = f"{where}." if where else ""
    for key in value:
        if key not in required and key not in extra:
            known = ", ".join((*required, *extra))
            raise InputError(f"unknown key, expected one of {known}", where=dot + key)
    for key in required:
        if key not in value:
            raise InputError("missing key", where=dot + key)
    readers = {**required, **extra}
    return {key: readers[key](entry, dot + key) for key, entry in value.items()}
