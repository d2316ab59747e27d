"""``front.json``: strict reading, one point a line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from morl.errors import InputError
from morl.pareto import schema
from morl.pareto.front import (
    ExactFront,
    Front,
    FrontPoint,
    Hypervolume,
    Provenance,
)
from morl.pareto.normalisation import Normalisation
from morl.pareto.schema import Reader
from morl.storage import read_json, write_text

_VECTOR = schema.array_of(schema.number)
_STRINGS = schema.array_of(schema.text)
_BOUNDS = schema.optional(schema.bounds)
_NUMBER = schema.optional(schema.number)

_POINT: Mapping[str, Reader[Any]] = {
    "method": schema.text,
    "weights": _VECTOR,
    "rewards": _VECTOR,
    "interval": schema.optional(schema.array_of(schema.bounds)),
    "selector_rewards": schema.optional(_VECTOR),
    "kl": _NUMBER,
    "seed": schema.integer,
    "dominated": schema.flag,
}
_POINT_EXTRA: Mapping[str, Reader[Any]] = {
    "length": _NUMBER,
    "beta": _NUMBER,
    "n": schema.optional(schema.integer),
    "label": schema.text,
    "role": schema.text,
    "ties": schema.array_of(schema.integer),
}
_PROVENANCE: Mapping[str, Reader[Any]] = {
    "config_hash": schema.text,
    "seeds": schema.array_of(schema.integer),
    "created_by": schema.text,
    "command": schema.text,
    "model": schema.text,
    "judge": schema.text,
    "data": _STRINGS,
    "sizes": schema.mapping_of(schema.integer),
    "versions": schema.mapping_of(schema.text),
}


def _point(value: object, where: str) -> FrontPoint:
    return FrontPoint(**schema.fields(value, where, _POINT, _POINT_EXTRA))


def _hypervolume(value: object, where: str) -> Hypervolume:
    required = {"value": schema.number, "interval": _BOUNDS}
    return Hypervolume(**schema.fields(value, where, required, {}))


def _exact(value: object, where: str) -> ExactFront:
    required = {
        "points": schema.array_of(_point),
        "hypervolume": schema.number,
        "base_hypervolume": schema.number,
        "share_closed": schema.mapping_of(schema.number),
    }
    return ExactFront(**schema.fields(value, where, required, {}))


def _normalisation(value: object, where: str) -> Normalisation:
    required = {"base": _VECTOR, "best": _VECTOR}
    return Normalisation(**schema.fields(value, where, required, {}))


def _provenance(value: object, where: str) -> Provenance:
    return Provenance(**schema.fields(value, where, {}, _PROVENANCE))


_FRONT: Mapping[str, Reader[Any]] = {
    "objectives": _STRINGS,
    "reference": _VECTOR,
    "points": schema.array_of(_point),
    "hypervolume": schema.mapping_of(_hypervolume),
}
_FRONT_EXTRA: Mapping[str, Reader[Any]] = {
    "exact": schema.optional(_exact),
    "units": _STRINGS,
    "normalisation": schema.optional(_normalisation),
    "provenance": _provenance,
}


def front_from_json(value: object) -> Front:
    """Builds a front from the content of a ``front.json``.

    Args:
      value: What ``json.load`` returned.

    Returns:
      The front, equal to the one that was written.

    Raises:
      InputError: A missing or unknown key, a value of another kind, NaN, or a length
        that does not match the objectives; the message starts with the key, such as
        ``points[3].rewards``.
    """
    return Front(**schema.fields(value, "", _FRONT, _FRONT_EXTRA))


def front_to_json(front: Front) -> dict[str, Any]:
    """The content of ``front.json``; ``exact`` only where a true front is known."""
    value = asdict(front)
    if front.exact is None:
        del value["exact"]
    return value


def _lines(key: str, records: Sequence[Any], indent: str) -> str:
    """A list of records, one a line: long fronts stay readable and diffs short."""
    rows = (json.dumps(record, allow_nan=False) for record in records)
    body = f",\n{indent} ".join(rows)
    return f'{indent}"{key}": [\n{indent} {body}\n{indent}]'


def front_text(front: Front) -> str:
    """``front.json`` as text, one point a line."""
    value = front_to_json(front)
    points = _lines("points", value.pop("points"), " ")
    exact = value.pop("exact", None)
    parts = [
        *(f' "{key}": {json.dumps(entry)}' for key, entry in value.items()),
        points,
    ]
    if exact is not None:
        inner = [_lines("points", exact.pop("points"), "  ")]
        inner += [f'  "{key}": {json.dumps(entry)}' for key, entry in exact.items()]
        parts.append(' "exact": {\n' + ",\n".join(inner) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_front(path: str | Path, front: Front) -> None:
    """Writes ``front.json`` atomically.

    Args:
      path: Where to; parents are made.
      front: What to write.
    """
    write_text(path, front_text(front))


def read_front(path: str | Path) -> Front:
    """Reads a ``front.json`` that :func:`write_front` (or another program) wrote.

    Args:
      path: The file.

    Returns:
      The front.

    Raises:
      InputError: The file is missing or not JSON, or as :func:`front_from_json`; the
        message names the file and the key.

    Examples:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "front.json"
      >>> write_front(path, Front(("helpful",), (0.0,), ()))
      >>> read_front(path).objectives
      ('helpful',)
    """
    value = read_json(path)
    try:
        return front_from_json(value)
    except InputError as error:
        raise InputError(str(error), where=str(path)) from None
