"""The rewards of a specification: what they declare, their gates and transforms."""

from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from functools import partial
from typing import Any, get_type_hints

from morl.errors import InputError
from morl.rewards.declared import Reading, as_declared
from morl.rewards.expression import (
    Column,
)
from morl.rewards.gates import (
    Gate,
)
from morl.rewards.named import Known, made, read_named
from morl.rewards.names import unknown_name
from morl.rewards.objective import Declarations, Reward
from morl.rewards.plain import (
    Plain,
    as_list,
    as_mapping,
    as_number,
    as_numbers,
    brief,
)
from morl.rewards.read_utility import read_condition
from morl.rewards.spec import (
    SOURCES,
    TRANSFORMS,
    Sourced,
)

DECLARED = tuple(field.name for field in fields(Declarations))

REWARD = (
    "objective",
    "source",
    "unit",
    "range",
    "direction",
    "scale",
    *DECLARED,
    "when",
    "otherwise",
    "through",
)


def read_reward(name: str, entry: dict[str, Plain], known: Known, where: str) -> Reward:
    """What a reward is; steered unless a source computes it or it says otherwise."""
    usual, scale, source = Declarations(), "absolute", None
    if "source" in entry:
        kind, source = _source(name, entry["source"], known, f"{where}.source")
        usual, scale = kind.declares, kind.scale
    given = {key: entry[key] for key in DECLARED if key in entry}
    plain: dict[str, Plain] = {"scale": scale}
    plain |= {key: entry[key] for key in ("unit", "direction", "scale") if key in entry}
    for key, value in (given | plain).items():
        if not isinstance(value, str):
            raise InputError(
                f"found {brief(value)}, expected text", where=f"{where}.{key}"
            )
    if "range" in entry:
        plain["range"] = tuple(as_numbers(entry["range"], f"{where}.range"))
        if len(plain["range"]) != 2:
            raise InputError(
                f"found {brief(entry['range'])}, expected [low, high]",
                where=f"{where}.range",
            )
    steered = entry.get("objective", source is None)
    if not isinstance(steered, bool):
        raise InputError(
            f"found {brief(steered)}, expected true or false",
            where=f"{where}.objective",
        )
    declares = replace(usual, **given)
    return Reward(name, source, steered, declares=declares, **plain)


def _source(name: str, data: Plain, known: Known, where: str) -> tuple[Sourced, object]:
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in SOURCES:
        raise unknown_name(str(kind), SOURCES, where=f"{where}.kind", kind="kind")
    sourced = SOURCES[kind]
    keys = tuple(field.name for field in fields(sourced.settings))
    needed = tuple(
        field.name
        for field in fields(sourced.settings)
        if field.default is MISSING and field.name != "name"
    )
    data = as_mapping(data, ("kind", *keys), where, needed)
    kinds = get_type_hints(sourced.settings)
    reading = Reading(partial(_function, known), partial(_function, known))
    settings = {
        key: as_declared(value, kinds[key], reading, f"{where}.{key}")
        for key, value in data.items()
        if key != "kind"
    }
    # A function keeps the name it was found by, so that it is written as it was read.
    found = [data[key]["source"] for key, value in settings.items() if callable(value)]
    settings.setdefault("name", found[0] if found else name)
    return sourced, made(sourced.settings, settings, where)


def _function(known: Known, value: Plain, where: str) -> Callable[..., Any]:
    """The function that ``{source: name}`` names."""
    named = as_mapping(value, ("source",), where, ("source",))
    return known.function(named["source"], where)


def read_column(
    reward: Reward, entry: dict[str, Plain], known: Known, where: str
) -> Column:
    """A reward with its gate and transforms."""
    gate = None
    if "when" in entry:
        condition = read_condition(entry["when"], known, f"{where}.when")
        floor = entry.get("otherwise", reward.worst)
        if floor is None:
            raise InputError(
                "declares no worst value; give otherwise", where=f"{where}.when"
            )
        gate = Gate(condition, as_number(floor, f"{where}.otherwise"))
    elif "otherwise" in entry:
        raise InputError("stands without when", where=f"{where}.otherwise")
    listed = entry.get("through", [])
    through = [
        read_named(each, TRANSFORMS, "transform", f"{where}.through[{i}]")
        for i, each in enumerate(as_list(listed, f"{where}.through"))
    ]
    return Column(reward, gate, tuple(through))
