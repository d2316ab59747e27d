"""Settings from YAML: strict, and every complaint names file and key."""

import contextlib
import dataclasses
import difflib
import types
from pathlib import Path
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from morl.errors import InputError
from morl.rewards.plain import NUMBER, as_float, parse_yaml

T = TypeVar("T")


def read_text(path: str | Path) -> str:
    """The content of a file of UTF-8 text.

    Raises:
      InputError: The file is missing, a folder, closed to us, or not text.
    """
    path = Path(path)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("no such file", where=str(path)) from None
    except IsADirectoryError:
        raise InputError("is a folder, expected a file", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise InputError(f"is not text ({error})", where=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error})", where=str(path)) from None


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file, by the safe loader.

    Raises:
      InputError: The file is missing, is not YAML or gives a key twice; names the line.
    """
    return parse_yaml(read_text(path), str(path))


def settings_from(kind: Any, value: object, where: str) -> Any:
    """Builds settings from parsed YAML, refusing unknown keys and wrong types.

    Args:
      kind: A dataclass, or any type that its fields may have.
      value: Parsed YAML.
      where: File and key, for the message.

    Returns:
      The settings; keys that are not given keep their defaults.

    Raises:
      InputError: A key is unknown or missing, or a value has the wrong type.
    """
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast(Any, kind), value, where)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(kind, value, where)
    if origin is tuple:
        return _tuple(kind, value, where)
    if origin is dict:
        return _mapping(kind, value, where)
    if origin is Literal:
        return _choice(get_args(kind), value, where)
    return _plain(kind, value, where)


def _dataclass(kind: type[T], value: object, where: str) -> T:
    if not isinstance(value, dict):
        raise InputError(f"found {_shown(value)}, expected keys", where=where)
    fields = {field.name: field for field in dataclasses.fields(cast(Any, kind))}
    hints = get_type_hints(kind)
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(
                f"found unknown key {key!r}, expected {', '.join(fields)}{hint}",
                where=where,
            )
    given = {
        key: settings_from(hints[key], entry, f"{where}: {key}")
        for key, entry in value.items()
    }
    required = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - given.keys()):
        raise InputError(f"lacks {', '.join(missing)}", where=where)
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(str(error), where=where) from None


def _union(kind: Any, value: object, where: str) -> Any:
    choices = get_args(kind)
    if value is None and types.NoneType in choices:
        return None
    *others, last = [choice for choice in choices if choice is not types.NoneType]
    for choice in others:
        with contextlib.suppress(InputError):
            return settings_from(choice, value, where)
    return settings_from(last, value, where)


def _tuple(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, list):
        raise InputError(f"found {_shown(value)}, expected a list", where=where)
    entries = get_args(kind)
    if entries[-1] is Ellipsis:
        entries = (entries[0],) * len(value)
    if len(entries) != len(value):
        raise InputError(
            f"found {len(value)} entries, expected {len(entries)}", where=where
        )
    return tuple(
        settings_from(entry, item, f"{where}[{place}]")
        for place, (entry, item) in enumerate(zip(entries, value, strict=True))
    )


def _mapping(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"found {_shown(value)}, expected keys", where=where)
    entry = get_args(kind)[1]
    return {
        str(key): settings_from(entry, item, f"{where}: {key}")
        for key, item in value.items()
    }


def _choice(choices: tuple[Any, ...], value: object, where: str) -> Any:
    # 1 == True, and neither stands for the other.
    for choice in choices:
        if choice == value and type(choice) is type(value):
            return choice
    listed = ", ".join(map(str, choices))
    raise InputError(f"found {_shown(value)}, expected one of {listed}", where=where)


def _plain(kind: Any, value: object, where: str) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return as_float(value, where)
    # YAML 1.1 takes 1e-3 for text; 1.2, and everybody who writes it, for a number.
    if kind is float and isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    if kind is Any or (
        isinstance(value, kind)
        and not (kind in (int, float) and isinstance(value, bool))
    ):
        return value
    raise InputError(f"found {_shown(value)}, expected {kind.__name__}", where=where)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
