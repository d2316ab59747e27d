"""The utility of a specification, and the conditions in it."""

import re
from typing import Any

from morl.errors import InputError
from morl.rewards.expression import (
    Branch,
    Leaf,
    Node,
    One,
    Scalarized,
    Sum,
)
from morl.rewards.gates import (
    Condition,
    Joined,
    compare,
    percentile,
)
from morl.rewards.named import Known, read_factor
from morl.rewards.names import unknown_name
from morl.rewards.objective import NAME
from morl.rewards.plain import NUMBER, Plain, as_list, as_mapping, as_number, brief
from morl.rewards.schedule import is_schedule, nonnegative
from morl.rewards.settings import check_points, setting
from morl.rewards.spec import (
    SCALARIZERS,
)

COMPARISON = re.compile(
    rf"(?P<name>{NAME.pattern})\s*(?P<sense>>=|<=)\s*"
    rf"(?P<open>percentile\(\s*)?(?P<value>{NUMBER.pattern})\s*(?P<close>\))?"
)

NODES = ("reward", "constant", "where", "sum", "scalarizer", *SCALARIZERS)


def read_node(data: Plain, known: Known, where: str) -> Node:
    """A utility, or a part of one."""
    if not isinstance(data, dict):
        raise InputError(
            f"found {brief(data)}, expected a mapping with one of {', '.join(NODES)}",
            where=where,
        )
    kinds = [key for key in data if key in NODES]
    if len(kinds) != 1:
        raise unknown_name(
            ", ".join(map(str, data)), NODES, where=where, kind="kind of utility"
        )
    kind = kinds[0]
    if kind == "reward":
        as_mapping(data, ("reward",), where)
        return Leaf(known.reward(data["reward"], where).name)
    if kind == "constant":
        as_mapping(data, ("constant",), where)
        value = read_factor(data["constant"], f"{where}.constant")
        return One() if value == 1 else Sum((One(),), (value,))
    if kind == "where":
        as_mapping(data, ("where", "then", "otherwise"), where, ("then", "otherwise"))
        return Branch(
            read_condition(data["where"], known, f"{where}.where"),
            read_node(data["then"], known, f"{where}.then"),
            read_node(data["otherwise"], known, f"{where}.otherwise"),
        )
    if kind == "sum":
        as_mapping(data, ("sum",), where)
        parts, columns = _parts(data["sum"], known, f"{where}.sum")
        return Sum(parts, columns["weight"])
    return _scalarized(kind, data, known, where)


def _scalarized(
    kind: str, data: dict[str, Plain], known: Known, where: str
) -> Scalarized:
    if kind == "scalarizer":
        return _custom(data, known, where)
    entry, place = SCALARIZERS[kind], f"{where}.{kind}"
    names = tuple(entry.settings)
    as_mapping(data, (kind, *names), where, names)
    optional = ("ideal",) if entry.takes_ideal else ()
    parts, columns = _parts(data[kind], known, place, optional, entry.points)
    settings = {
        name: setting(
            read_factor(data[name], f"{where}.{name}"), limits, f"{where}.{name}"
        )
        for name, limits in entry.settings.items()
    }
    for weight in columns["weight"]:
        if kind != "linear" and not is_schedule(weight):
            nonnegative(weight, f"{place} weight")
    points = {name: columns[name] for name in entry.points}
    check_points(points, place)
    ideal = columns.get("ideal")
    return Scalarized(entry.function, parts, columns["weight"], ideal, settings, points)


def _custom(data: dict[str, Plain], known: Known, where: str) -> Scalarized:
    """A scalarizer of the caller's own."""
    as_mapping(data, ("scalarizer", "of", "settings", "takes_ideal"), where, ("of",))
    function = known.function(data["scalarizer"], where)
    optional = ("ideal",) if data.get("takes_ideal", False) else ()
    parts, columns = _parts(data["of"], known, f"{where}.scalarizer", optional)
    given = data.get("settings", {})
    if not isinstance(given, dict):
        found = brief(given)
        raise InputError(
            f"found {found}, expected a mapping", where=f"{where}.settings"
        )
    settings = {
        name: read_factor(value, f"{where}.{name}") for name, value in given.items()
    }
    ideal = columns.get("ideal")
    return Scalarized(function, parts, columns["weight"], ideal, settings)


def _parts(
    data: Plain,
    known: Known,
    where: str,
    optional: tuple[str, ...] = (),
    required: tuple[str, ...] = (),
) -> tuple[tuple[Node, ...], dict[str, tuple[Any, ...]]]:
    """Parts, and their weights and points as columns.

    They stand in a list, or in a mapping from names to weights.
    """
    if isinstance(data, dict):
        data = [{"reward": name, "weight": weight} for name, weight in data.items()]
    keys = ("weight", *optional, *required)
    parts, columns = [], {key: [] for key in keys}
    for index, entry in enumerate(as_list(data, where)):
        place = f"{where}[{index}]"
        if not isinstance(entry, dict):
            raise InputError(f"found {brief(entry)}, expected a mapping", where=place)
        rest = {key: value for key, value in entry.items() if key not in keys}
        parts.append(read_node(rest, known, place))
        columns["weight"].append(
            read_factor(entry.get("weight", 1.0), f"{place}.weight")
        )
        for key in required:
            if entry.get(key) is None:
                raise InputError(f"{key!r} is missing", where=place)
        for key in (*optional, *required):
            value = entry.get(key)
            columns[key].append(
                None if value is None else as_number(value, f"{place}.{key}")
            )
    if not parts:
        raise InputError("is empty", where=where)
    names = [part.name for part in parts if isinstance(part, Leaf)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"{', '.join(doubled)} is given twice", where=where)
    return tuple(parts), {key: tuple(values) for key, values in columns.items()}


def read_condition(data: Plain, known: Known, where: str) -> Condition | Joined:
    """A comparison as text, or several under ``all`` or ``any``."""
    if isinstance(data, dict):
        as_mapping(data, ("all", "any"), where)
        if len(data) != 1:
            raise InputError(f"found {brief(data)}, expected all or any", where=where)
        ((sense, listed),) = data.items()
        parts = [
            read_condition(each, known, f"{where}.{sense}[{i}]")
            for i, each in enumerate(as_list(listed, f"{where}.{sense}"))
        ]
        if not parts:
            raise InputError("needs at least one condition", where=f"{where}.{sense}")
        return Joined(sense, tuple(parts))
    match = COMPARISON.fullmatch(data.strip()) if isinstance(data, str) else None
    if match is None or bool(match["open"]) != bool(match["close"]):
        raise InputError(
            f"found {brief(data)}, expected a comparison such as 'harmless >= 0.2' or "
            "'harmless >= percentile(60)'",
            where=where,
        )
    reward = known.reward(match["name"], where)
    value = float(match["value"])
    threshold = percentile(value) if match["open"] else value
    return compare(reward, match["sense"], threshold)
