"""Plain data as the types that settings declare, with errors that name the place."""

import collections.abc
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeAlias, Union, get_args, get_origin

from morl.errors import InputError
from morl.rewards.plain import NUMBER, Plain, as_list, as_real, brief

Kind: TypeAlias = Any  # a type, as ``get_type_hints`` gives it
Mapped: TypeAlias = collections.abc.Callable[[Plain, str], Any]


class Reading(NamedTuple):
    """What the types alone do not say.

    Attributes:
      function: The function that a mapping names.
      mapped: What a mapping stands for where any value may be.
    """

    function: Mapped
    mapped: Mapped


def as_declared(value: Plain, kind: Kind, reading: Reading, where: str) -> Any:
    """``value`` as ``kind``: lists as tuples, whole numbers as floats where declared.

    Args:
      value: What YAML holds.
      kind: float, int, str, a tuple of kinds, an optional kind, a callable or Any. A
        mapping is taken for a tuple of pairs.
      reading: What mappings stand for.
      where: The place, for errors.

    Raises:
      InputError: The value is of another kind.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is collections.abc.Callable:
        return reading.function(value, where)
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        (kind,) = (part for part in parts if part is not NoneType)
        return as_declared(value, kind, reading, where)
    if origin is tuple:
        return _tuple(value, parts, reading, where)
    if kind is float:
        return as_real(value, where)
    if kind in (int, str, bool):
        return _exactly(value, kind, where)
    return _anything(value, reading, where)


def _tuple(
    value: Plain, parts: tuple[Kind, ...], reading: Reading, where: str
) -> tuple[Any, ...]:
    *fixed, last = parts
    if last is not Ellipsis:
        listed = as_list(value, where)
        if len(listed) != len(parts):
            raise InputError(
                f"found {brief(value)}, expected a list of {len(parts)}", where=where
            )
        pairs = zip(listed, parts, strict=True)
        return tuple(as_declared(each, kind, reading, where) for each, kind in pairs)
    (kind,) = fixed
    if isinstance(value, dict) and len(get_args(kind)) == 2:
        value = [list(pair) for pair in value.items()]
    return tuple(
        as_declared(each, kind, reading, f"{where}[{index}]")
        for index, each in enumerate(as_list(value, where))
    )


def _exactly(value: Plain, kind: type, where: str) -> Any:
    if type(value) is not kind:
        expected = {int: "a whole number", str: "text", bool: "true or false"}[kind]
        raise InputError(f"found {brief(value)}, expected {expected}", where=where)
    return value


def _anything(value: Plain, reading: Reading, where: str) -> Any:
    """Lists become tuples, mappings what they stand for, text a number where it is."""
    if isinstance(value, list):
        return tuple(
            _anything(each, reading, f"{where}[{index}]")
            for index, each in enumerate(value)
        )
    if isinstance(value, dict):
        return reading.mapped(value, where)
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return value
