"""Settings from YAML: strict, and every complaint names file and key."""

import dataclasses
import difflib
import types
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml

from morl.errors import InputError

T = TypeVar("T")


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file, by the safe loader.

    Raises:
      InputError: The file is missing or is not YAML; names the line where it breaks.
    """
    path = Path(path)
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise InputError("no such file", where=str(path)) from None
    except IsADirectoryError:
        raise InputError("is a folder, expected a file", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise InputError(f"is not text ({error})", where=str(path)) from None
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {error}", where=str(path)) from None


def settings_from(kind: type[T], value: object, where: str) -> T:
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
        return _dataclass(kind, value, where)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(kind, value, where)
    if origin is tuple:
        return _tuple(kind, value, where)
    if origin is dict:
        return _mapping(kind, value, where)
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
    for choice in get_args(kind):
        if choice is type(None):
            if value is None:
                return None
            continue
        return settings_from(choice, value, where)
    raise InputError(f"found {_shown(value)}, expected nothing", where=where)


def _tuple(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, list):
        raise InputError(f"found {_shown(value)}, expected a list", where=where)
    entry = get_args(kind)[0]
    return tuple(
        settings_from(entry, item, f"{where}[{place}]")
        for place, item in enumerate(value)
    )


def _mapping(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"found {_shown(value)}, expected keys", where=where)
    entry = get_args(kind)[1]
    return {
        str(key): settings_from(entry, item, f"{where}: {key}")
        for key, item in value.items()
    }


def _plain(kind: Any, value: object, where: str) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
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
