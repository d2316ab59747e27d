"""A composition to YAML, exactly: reading the text gives an equal composition."""

import hashlib
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import yaml

from morl.errors import InputError
from morl.rewards.expression import Branch, Leaf, Node, One, Scalarized, Sum
from morl.rewards.gates import Condition, Joined, Percentile
from morl.rewards.objective import Declarations, Reward
from morl.rewards.schedule import Number, is_number, is_schedule
from morl.rewards.spec import (
    SCALARIZERS,
    SCHEDULES,
    SOURCES,
    TRANSFORMS,
    VERSION,
)

if TYPE_CHECKING:
    import morl.rewards.composition

Composition: TypeAlias = "morl.rewards.composition.Composition"
Plain: TypeAlias = Any  # mappings, lists, strings, numbers and Booleans


def to_yaml(composition: Composition) -> str:
    """The composition as text for :func:`morl.from_yaml`.

    Raises:
      InputError: for what has no name to be saved under: a lambda, or a transform or
        source that :mod:`morl.rewards.spec` does not list.
    """
    return yaml.safe_dump(
        plain(composition),
        sort_keys=False,
        default_flow_style=None,
        width=88,
        allow_unicode=True,
    )


def spec_hash(composition: Composition) -> str:
    """SHA-256 of the text: equal compositions have equal hashes, on any machine."""
    return hashlib.sha256(to_yaml(composition).encode()).hexdigest()


def plain(composition: Composition) -> dict[str, Plain]:
    """The composition as mappings, lists and scalars; defaults are left out."""
    compared = [condition.reward for condition in composition.conditions]
    counted = [column.reward for column in composition.columns]
    ordered = dict.fromkeys([*counted, *compared])
    data: dict[str, Plain] = {
        "morl": VERSION,
        "rewards": {r.name: _reward(composition, r) for r in ordered},
        "utility": _node(composition.root),
    }
    if composition.constraints:
        data["subject_to"] = [
            {"condition": _condition(c.condition), "multiplier": _number(c.multiplier)}
            for c in composition.constraints
        ]
    data["absent"] = composition.absent
    if composition.calibration is not None:
        data["calibration"] = _calibration(composition.calibration)
    return data


def _reward(composition: Composition, reward: Reward) -> Plain:
    data: dict[str, Plain] = {}
    if reward.steered != (reward.source is None):
        data["objective"] = reward.steered
    if reward.source is not None:
        data["source"] = _source(reward)
    if reward.unit:
        data["unit"] = reward.unit
    if reward.range is not None:
        data["range"] = [float(bound) for bound in reward.range]
    if reward.direction != "maximize":
        data["direction"] = reward.direction
    usual, scale = _usual(reward)
    if reward.scale != scale:
        data["scale"] = reward.scale
    for field in fields(Declarations):
        value = vars(reward.declares)[field.name]
        if value != vars(usual)[field.name]:
            data[field.name] = value
    column = composition.column(reward.name)
    if column.gate is not None:
        data["when"] = _condition(column.gate.condition)
        data["otherwise"] = _number(column.gate.otherwise)
    if column.transforms:
        data["through"] = [
            _settings(each, TRANSFORMS, f"transform of {reward.name}")
            for each in column.transforms
        ]
    return data


def _usual(reward: Reward) -> tuple[Declarations, str]:
    """What rewards of this source declare, and their scale, unless told otherwise."""
    for each in SOURCES.values():
        if type(reward.source) is each.settings:
            return each.declares, each.scale
    return Declarations(), "absolute"


def _source(reward: Reward) -> Plain:
    source = reward.source
    kinds = [k for k, each in SOURCES.items() if type(source) is each.settings]
    if not kinds:
        raise InputError(
            f"found {type(source).__name__}, expected a source of {', '.join(SOURCES)}",
            where=f"source of {reward.name}",
        )
    data: dict[str, Plain] = {"kind": kinds[0]}
    for field in fields(source):
        value = vars(source)[field.name]
        usual = reward.name if field.name == "name" else field.default
        if callable(value):
            data[field.name] = {"source": source.name}
        elif usual is MISSING or value != usual:
            data[field.name] = _value(value)
    return data


def _settings(settings: object, table: dict[str, Any], where: str) -> Plain:
    names = [n for n, each in table.items() if type(settings) is each.settings]
    if not names:
        raise InputError(
            f"found {type(settings).__name__}, expected one of {', '.join(table)}",
            where=where,
        )
    data = {}
    for field in fields(settings):  # pyright: ignore[reportArgumentType]
        value = vars(settings)[field.name]
        given = np.ndim(value) > 0 or value != field.default
        if given:
            data[field.name] = _value(value)
    return {names[0]: data}


def _node(node: Node) -> dict[str, Plain]:
    if isinstance(node, Leaf):
        return {"reward": node.name}
    if isinstance(node, One):
        return {"constant": 1.0}
    if isinstance(node, Branch):
        return {
            "where": _condition(node.condition),
            "then": _node(node.then),
            "otherwise": _node(node.otherwise),
        }
    if isinstance(node, Sum):
        pairs = zip(node.parts, node.coefficients, strict=True)
        return {"sum": [_node(part) | {"weight": _number(c)} for part, c in pairs]}
    return _scalarized(node)


def _scalarized(node: Scalarized) -> dict[str, Plain]:
    columns = {"weight": node.weights} | node.points
    if node.ideal is not None:
        columns["ideal"] = node.ideal
    parts = [
        _node(part)
        | {
            name: _number(values[index])
            for name, values in columns.items()
            if values[index] is not None
        }
        for index, part in enumerate(node.parts)
    ]
    settings = {name: _number(value) for name, value in node.settings.items()}
    name = node.function.__name__
    known = SCALARIZERS.get(name)
    if known is not None and known.function is node.function:
        return {name: parts} | settings
    if not name.isidentifier():
        raise InputError(
            f"{name} has no name to be saved under; give the function one with def",
            where="scalarizer",
        )
    data = {"scalarizer": name, "of": parts, "settings": settings}
    return data | ({} if node.ideal is None else {"takes_ideal": True})


def _condition(condition: Condition | Joined) -> Plain:
    if isinstance(condition, Joined):
        return {condition.sense: [_condition(part) for part in condition.parts]}
    threshold = condition.threshold
    shown = (
        f"percentile({float(threshold.q)!r})"
        if isinstance(threshold, Percentile)
        else repr(float(threshold))
    )
    return f"{condition.reward.name} {condition.sense} {shown}"


def _number(value: Number) -> Plain:
    return (
        _settings(value, SCHEDULES, "schedule") if is_schedule(value) else float(value)
    )


def _value(value: Any) -> Plain:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if is_number(value) or is_schedule(value):
        return _number(value)
    if isinstance(value, (tuple, list)):
        return [_value(each) for each in value]
    return floats(value)


def floats(values: Any) -> Plain:
    """Float32 values as the shortest numbers that read back equal."""
    array = np.asarray(values, np.float32)
    if array.ndim > 1:
        return [floats(row) for row in array]
    return [float(str(value)) for value in array]


def _calibration(calibration: Any) -> Plain:
    table = np.asarray(calibration.quantiles)
    return {
        "names": list(calibration.names),
        "kept": list(calibration.kept),
        "centre": calibration.centre,
        "scale": floats(calibration.scale),
        "percentiles": {
            n: floats(table[:, i]) for i, n in enumerate(calibration.names)
        },
    }
