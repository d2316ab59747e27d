"""From argv to settings: an optional YAML file first, then dotted overrides."""

import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
import yaml

from morl.cli.config import read_yaml, settings_from
from morl.errors import InputError

T = TypeVar("T")
WIDTH = 80


def parse(
    kind: type[T],
    argv: Sequence[str],
    *,
    prog: str,
    default: T | None = None,
    about: str = "",
) -> T:
    """Settings from command-line flags alone; ``--help`` explains every one.

    Args:
      kind: Dataclass of the settings.
      argv: Flags.
      prog: Name for help and errors.
      default: What flags change.
      about: What the help begins with; the docstring of ``kind`` where not given.
    """
    return tyro.cli(
        kind,
        prog=prog,
        default=tyro.MISSING_NONPROP if default is None else default,
        args=list(argv),
        description=_wrapped(about) if about else _description(kind),
    )


def parse_with_config(
    kind: type[T],
    argv: Sequence[str],
    *,
    prog: str,
    default: T | None = None,
    about: str = "",
) -> T:
    """Settings from a YAML file named first, overridden by flags.

    Args:
      kind: Dataclass of the settings.
      argv: ``CONFIG.yaml``, then flags.
      prog: Name for help and errors.
      default: Used where no file is named; without one the file is required.
      about: What the help begins with; the docstring of ``kind`` where not given.

    Raises:
      InputError: The file is missing or holds something else.
    """
    rest = list(argv)
    start = default
    if rest and not rest[0].startswith("-"):
        path = rest.pop(0)
        start = settings_from(kind, read_yaml(path) or {}, path)
    elif start is None:
        if {"-h", "--help"} & set(rest):
            start = kind()
        else:
            raise InputError(
                "found none, expected a YAML file ahead of all options",
                where="CONFIG.yaml",
            )
    return parse(kind, rest, prog=f"{prog} CONFIG.yaml", default=start, about=about)


def as_yaml(settings: Any) -> str:
    """Settings as YAML that reads back as the same."""
    return yaml.safe_dump(_plain(settings), sort_keys=False, allow_unicode=True)


def command_line() -> str:
    """The command as it was typed, without the path of the program."""
    return " ".join(["morl", *sys.argv[1:]])


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(vars(value)[f.name]) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Path):
        return str(value)
    return value


def _description(kind: type) -> str:
    """The docstring up to its arguments."""
    return _wrapped(inspect.cleandoc(kind.__doc__ or "").partition("\nArgs:\n")[0])


def _wrapped(text: str) -> str:
    """Paragraphs, wrapped as the options below them are.

    A space in front of each line keeps its break: tyro joins lines that begin with a
    letter, and then does not wrap them.
    """
    return "\n\n".join(
        textwrap.fill(
            " ".join(part.split()), WIDTH, initial_indent=" ", subsequent_indent=" "
        )
        for part in text.split("\n\n")
    )
