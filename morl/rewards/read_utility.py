"""The utility of a specification, and the conditions in it."""

import re

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
from morl.rewards.schedule import Number, is_schedule, nonnegative, positive
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
        parts, weights, _ = _parts(data["sum"], known, f"{where}.sum", ("weight",))
        return Sum(parts, weights)
    return _scalarized(kind, data, known, where)


def _scalarized(
    kind: str, data: dict[str, Plain], known: Known, where: str
) -> Scalarized:
    if kind == "scalarizer":
        keys = ("scalarizer", "of", "settings", "takes_ideal")
        as_mapping(data, keys, where, ("of",))
        function = known.function(data["scalarizer"], where)
        takes_ideal = data.get("takes_ideal", False)
        listed, settings = data["of"], data.get("settings", {})
    else:
        entry = SCALARIZERS[kind]
        as_mapping(data, (kind, *entry.settings), where, entry.settings)
        function, takes_ideal, listed = entry.function, entry.takes_ideal, data[kind]
        settings = {key: data[key] for key in entry.settings}
    keys = ("weight", "ideal") if takes_ideal else ("weight",)
    parts, weights, ideal = _parts(listed, known, f"{where}.{kind}", keys)
    values = {k: as_number(v, f"{where}.{k}") for k, v in settings.items()}
    if "temperature" in values:
        positive(values["temperature"], f"{where}.temperature")
    if kind not in ("linear", "scalarizer"):
        for weight in weights:
            if not is_schedule(weight):
                nonnegative(weight, f"{where}.{kind} weight")
    return Scalarized(function, parts, weights, ideal if takes_ideal else None, values)


def _parts(
    data: Plain, known: Known, where: str, keys: tuple[str, ...]
) -> tuple[tuple[Node, ...], tuple[Number, ...], tuple[Number | None, ...]]:
    """Parts with weights and ideals, from a list or a mapping of names to weights."""
    if isinstance(data, dict):
        data = [{"reward": name, "weight": weight} for name, weight in data.items()]
    parts, weights, ideal = [], [], []
    for index, entry in enumerate(as_list(data, where)):
        place = f"{where}[{index}]"
        if not isinstance(entry, dict):
            raise InputError(f"found {brief(entry)}, expected a mapping", where=place)
        rest = {key: value for key, value in entry.items() if key not in keys}
        parts.append(read_node(rest, known, place))
        weights.append(read_factor(entry.get("weight", 1.0), f"{place}.weight"))
        point = entry.get("ideal")
        ideal.append(None if point is None else as_number(point, f"{place}.ideal"))
    if not parts:
        raise InputError("is empty", where=where)
    names = [part.name for part in parts if isinstance(part, Leaf)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"{', '.join(doubled)} is given twice", where=where)
    return tuple(parts), tuple(weights), tuple(ideal)


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
