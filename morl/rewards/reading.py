"""YAML to a composition; whatever is wrong is named with its place."""

import numpy as np

from morl.errors import InputError
from morl.rewards.calibration import PERCENTILES, Calibration, checked_centre
from morl.rewards.composition import Composition
from morl.rewards.expression import ABSENT, RENORMALIZE, leaf_names
from morl.rewards.gates import (
    Condition,
    Constraint,
)
from morl.rewards.named import Functions, Known, read_factor
from morl.rewards.names import unknown_name
from morl.rewards.plain import (
    Plain,
    as_choice,
    as_list,
    as_mapping,
    as_numbers,
    as_texts,
    brief,
    load,
)
from morl.rewards.read_rewards import REWARD, read_column, read_reward
from morl.rewards.read_utility import read_condition, read_node
from morl.rewards.schedule import is_schedule, nonnegative, positive


def from_yaml(text: str, sources: Functions | None = None) -> Composition:
    """Reads a composition that :func:`to_yaml` wrote, or a person did.

    Args:
      text: The specification.
      sources: The functions it names, by the name of their reward or scalarizer.

    Returns:
      The composition; of a text that was written, one equal to what was written.

    Raises:
      InputError: for text that is not YAML, an unknown or doubled key, a name that is
        not among the rewards, a count or number that is wrong, and a function that
        ``sources`` lacks. The message names the place.

    Examples:
      >>> spec = '''
      ... rewards:
      ...   helpful: {}
      ...   length: {source: {kind: length, unit: word}}
      ... utility:
      ...   sum: {helpful: 1.0, length: -0.01}
      ... '''
      >>> from_yaml(spec)
      Composition(helpful - 0.01 * length)
    """
    data = load(text)
    return _composition(data, {} if sources is None else sources)


def _composition(data: dict[str, Plain], functions: Functions) -> Composition:
    known = Known({}, functions)
    entries = data["rewards"]
    if not isinstance(entries, dict) or not entries:
        raise InputError(
            f"found {brief(entries)}, expected a mapping from names to rewards",
            where="rewards",
        )
    for name, entry in entries.items():
        where = f"rewards.{name}"
        if not isinstance(name, str):
            raise InputError(f"found the name {name!r}, expected text", where=where)
        entry = as_mapping({} if entry is None else entry, REWARD, where)
        known.rewards[name] = read_reward(name, entry, known, where)
    root = read_node(data["utility"], known, "utility")
    used = leaf_names(root)
    columns = {}
    for name, entry in entries.items():
        column = read_column(known.rewards[name], entry or {}, known, f"rewards.{name}")
        bare = column.gate is None and not column.transforms
        if name in used:
            columns[name] = column
        elif not bare:
            raise InputError(
                "has a gate or transforms, but the utility does not use it",
                where=f"rewards.{name}",
            )
    composition = Composition(
        tuple(columns.values()),
        root,
        _constraints(data.get("subject_to", []), known),
        _calibration(data.get("calibration")),
        as_choice(data.get("absent", RENORMALIZE), ABSENT, "absent"),
    )
    idle = [name for name in entries if name not in composition.names]
    if idle:
        raise InputError("nothing uses it", where=f"rewards.{idle[0]}")
    return composition


def _constraints(data: Plain, known: Known) -> tuple[Constraint, ...]:
    constraints = []
    for index, entry in enumerate(as_list(data, "subject_to")):
        where = f"subject_to[{index}]"
        if not isinstance(entry, dict):
            entry = {"condition": entry}
        as_mapping(entry, ("condition", "multiplier"), where, ("condition",))
        condition = read_condition(entry["condition"], known, f"{where}.condition")
        if not isinstance(condition, Condition):
            raise InputError(
                "a constraint is one comparison; list several", where=where
            )
        multiplier = read_factor(entry.get("multiplier", 1.0), f"{where}.multiplier")
        if not is_schedule(multiplier):
            nonnegative(multiplier, f"{where}.multiplier")
        constraints.append(Constraint(condition, multiplier))
    return tuple(constraints)


def _calibration(data: Plain) -> Calibration | None:
    if data is None:
        return None
    keys = ("names", "kept", "centre", "scale", "percentiles")
    data = as_mapping(data, keys, "calibration", keys)
    names = as_texts(data["names"], "calibration.names")
    scale = as_numbers(data["scale"], "calibration.scale")
    rows = as_mapping(data["percentiles"], names, "calibration.percentiles", names)
    table = [as_numbers(rows[n], f"calibration.percentiles.{n}") for n in names]
    _count(scale, len(names), "calibration.scale")
    for name, row in zip(names, table, strict=True):
        _count(row, PERCENTILES + 1, f"calibration.percentiles.{name}")
    for value in scale:
        positive(value, "calibration.scale")
    kept = as_texts(data["kept"], "calibration.kept")
    for name in kept:
        if name not in names:
            raise unknown_name(name, names, where="calibration.kept")
    centre = checked_centre(data["centre"], "calibration.centre")
    return Calibration(
        names,
        kept,
        centre,
        np.asarray(scale, np.float32),
        np.asarray(table, np.float32).T,
    )


def _count(numbers: list[float], expected: int, where: str) -> None:
    if len(numbers) != expected:
        raise InputError(
            f"found {len(numbers)} numbers, expected {expected}", where=where
        )
