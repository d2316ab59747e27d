"""What the names in a specification stand for."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, TypeAlias, get_type_hints

from morl.errors import InputError
from morl.rewards.declared import Reading, as_declared
from morl.rewards.names import unknown_name
from morl.rewards.objective import Reward
from morl.rewards.plain import Plain, as_mapping, as_number, brief
from morl.rewards.schedule import Number
from morl.rewards.spec import (
    SCHEDULES,
)

Functions: TypeAlias = Mapping[str, Callable[..., Any]]


class Known(NamedTuple):
    """What the names in a specification may refer to."""

    rewards: dict[str, Reward]
    functions: Functions

    def reward(self, name: Plain, where: str) -> Reward:
        """The reward of that name."""
        if not isinstance(name, str) or name not in self.rewards:
            raise unknown_name(str(name), self.rewards, where=where)
        return self.rewards[name]

    def function(self, name: Plain, where: str) -> Callable[..., Any]:
        """The function of that name, which the caller has to give."""
        if not isinstance(name, str):
            found = brief(name)
            raise InputError(
                f"found {found}, expected the name of a function", where=where
            )
        if name not in self.functions:
            given = ", ".join(self.functions) or "none"
            raise InputError(
                f"needs the function {name!r}: from_yaml(text, sources={{{name!r}: "
                f"...}}). Given: {given}",
                where=where,
            )
        return self.functions[name]


def read_named(data: Plain, table: Mapping[str, Any], kind: str, where: str) -> Any:
    """What ``{name: settings}``, or the name alone, stands for in ``table``."""
    if isinstance(data, str):
        data = {data: {}}
    if not isinstance(data, dict) or len(data) != 1:
        raise InputError(
            f"found {brief(data)}, expected one of {', '.join(table)} with its "
            "settings",
            where=where,
        )
    ((name, settings),) = data.items()
    if name not in table:
        raise unknown_name(str(name), table, where=where, kind=kind)
    keys = tuple(field.name for field in fields(table[name].settings))
    settings = as_mapping({} if settings is None else settings, keys, f"{where}.{name}")
    kinds = get_type_hints(table[name].make)
    values = {
        key: as_declared(value, kinds[key], SCHEDULED, f"{where}.{name}.{key}")
        for key, value in settings.items()
    }
    return made(table[name].make, values, f"{where}.{name}")


def _schedule(value: Plain, where: str) -> Any:
    return read_named(value, SCHEDULES, "schedule", where)


def _no_function(value: Plain, where: str) -> Any:
    raise InputError(f"found {brief(value)}, but no function goes here", where=where)


SCHEDULED = Reading(_no_function, _schedule)


def made(make: Callable[..., Any], settings: dict[str, Plain], where: str) -> Any:
    """What ``make`` makes of settings; a value of the wrong kind is named."""
    try:
        return make(**settings)
    except InputError as error:
        raise InputError(str(error), where=where) from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"cannot take {brief(settings)}: {error}", where=where
        ) from None


def read_factor(value: Plain, where: str) -> Number:
    """A number, or a schedule."""
    if isinstance(value, dict):
        return read_named(value, SCHEDULES, "schedule", where)
    return as_number(value, where)
