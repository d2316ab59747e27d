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
    try:
        refuse_doubled(yaml.compose(text, Loader=yaml.SafeLoader), "specification")
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(
            f"not valid YAML ({' '.join(str(error).split())})", where="specification"
        ) from None
    as_mapping(data, TOP, "specification", ("rewards", "utility"))
    version = data.get("morl", VERSION)
    if version != VERSION:
        raise InputError(f"found {version!r}, expected {VERSION}", where="morl")
    return data


def refuse_doubled(node: yaml.Node | None, where: str) -> None:
    """YAML keeps the last of two equal keys and says nothing; this says which line.

    Args:
      node: What ``yaml.compose`` made of a text.
      where: What the text is called.

    Raises:
      InputError: A mapping gives a key twice.
    """
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            refuse_doubled(child, where)
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
        refuse_doubled(value, where)


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
    return float(value)


def brief(data: Plain) -> str:
    """Data in an error message."""
    text = repr(data)
    return text if len(text) <= 40 else f"{text[:37]}..."
