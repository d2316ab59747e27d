"""Plain data, as YAML holds it, taken apart with errors that name the place."""

import re
from typing import Any, TypeAlias

import yaml

from morl.errors import InputError
from morl.rewards.names import unknown_name
from morl.rewards.schedule import finite
from morl.rewards.spec import (
    VERSION,
)

TOP = ("morl", "rewards", "utility", "subject_to", "absent", "calibration")

Plain: TypeAlias = Any  # what YAML holds

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def load(text: str) -> dict[str, Plain]:
    """The top level of a specification, each key given once and known."""
    data = parse_yaml(text, "specification")
    as_mapping(data, TOP, "specification", ("rewards", "utility"))
    version = data.get("morl", VERSION)
    if version != VERSION:
        raise InputError(f"found {version!r}, expected {VERSION}", where="morl")
    return data


def parse_yaml(text: str, where: str) -> Plain:
    """What a text in YAML holds, by the safe loader.

    Args:
      text: The text.
      where: What it is called.

    Raises:
      InputError: It is not YAML, is nested without end or gives a key twice; the
        message names the line where there is one.
    """
    try:
        _refuse_doubled(yaml.compose(text, Loader=yaml.SafeLoader), where)
        return yaml.safe_load(text)
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise InputError(
            f"is not YAML: {error.problem or error.context}", where=f"{where}{line}"
        ) from None
    except RecursionError:
        raise InputError(
            "is nested too deeply, or an anchor holds itself", where=where
        ) from None
    # What looks like a date and is none is a bare ValueError.
    except (yaml.YAMLError, ValueError) as error:
        found = " ".join(str(error).split())
        raise InputError(f"is not YAML: {found}", where=where) from None


def _refuse_doubled(node: yaml.Node | None, where: str) -> None:
    """YAML keeps the last of two equal keys and says nothing; this says which line.

    Args:
      node: What ``yaml.compose`` made of a text.
      where: What the text is called.

    Raises:
      InputError: A mapping gives a key twice.
    """
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_doubled(child, where)
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            line = key.start_mark.line + 1
            raise InputError(
                f"{key.value!r} is given twice", where=f"{where} line {line}"
            )
        seen.add(key.value)
        _refuse_doubled(value, where)


def as_mapping(
    data: Plain, known: tuple[str, ...], where: str, needs: tuple[str, ...] = ()
) -> dict[str, Plain]:
    """A mapping with no key outside ``known`` and none of ``needs`` missing."""
    if not isinstance(data, dict):
        raise InputError(
            f"found {brief(data)}, expected a mapping with keys {', '.join(known)}",
            where=where,
        )
    for key in data:
        if key not in known:
            raise unknown_name(str(key), known, where=where, kind="key")
    for key in needs:
        if key not in data:
            raise InputError(f"the key {key!r} is missing", where=where)
    return data


def as_choice(value: Plain, allowed: tuple[str, ...], where: str) -> str:
    """One of the words that are allowed."""
    if value not in allowed:
        raise InputError(
            f"found {brief(value)}, expected one of {', '.join(allowed)}", where=where
        )
    return value


def as_list(data: Plain, where: str) -> list[Plain]:
    """A list."""
    if not isinstance(data, list):
        raise InputError(f"found {brief(data)}, expected a list", where=where)
    return data


def as_texts(data: Plain, where: str) -> tuple[str, ...]:
    """A list of text."""
    for value in as_list(data, where):
        if not isinstance(value, str):
            raise InputError(f"found {brief(value)}, expected text", where=where)
    return tuple(data)


def as_numbers(data: Plain, where: str) -> list[float]:
    """A list of numbers, infinities allowed."""
    return [as_real(value, where) for value in as_list(data, where)]


def as_number(value: Plain, where: str) -> float:
    """A finite number."""
    return finite(as_real(value, where), where)


def as_real(value: Plain, where: str) -> float:
    """A number, also one that YAML 1.1 takes for text, such as 1e-3."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"found {brief(value)}, expected a number", where=where)
    return as_float(value, where)


def as_float(value: int | float, where: str) -> float:
    """A number as a float; a whole one of hundreds of digits is refused."""
    try:
        return float(value)
    except OverflowError:
        text = brief(value)
        raise InputError(
            f"found {text}, expected a number that a float can hold", where=where
        ) from None


def brief(data: Plain) -> str:
    """Data in an error message."""
    text = repr(data)
    return text if len(text) <= 40 else f"{text[:37]}..."
