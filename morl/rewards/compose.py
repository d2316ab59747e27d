"""Any scalarizer over rewards and compositions, and branches between utilities."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from morl.errors import InputError
from morl.rewards.algebra import branch, merged, refuse_constraints
from morl.rewards.composition import Composition
from morl.rewards.expression import Leaf, Node, Scalarized, Sum
from morl.rewards.gates import Logic, conjunction
from morl.rewards.names import unknown_name
from morl.rewards.objective import Operand
from morl.rewards.schedule import (
    Number,
    coefficient,
    finite,
    is_number,
    is_schedule,
    nonnegative,
)
from morl.rewards.settings import check_points, setting
from morl.rewards.spec import SCALARIZERS

Weighted: TypeAlias = Mapping[Any, Number]  # reward or composition -> its weight
Point: TypeAlias = Any  # a number for all, or a mapping from rewards to numbers


def where(condition: Logic, then: Operand, otherwise: Operand) -> Composition:
    """One utility where a condition on raw rewards holds, another elsewhere.

    Where the condition cannot be decided, because a reward it reads is absent, the
    utility is absent.

    Args:
      condition: A comparison such as ``harmless >= 0.2``, or several joined.
      then: A reward, composition or number.
      otherwise: A reward, composition or number.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> gated = where(harmless >= 0.5, helpful, -1.0)
      >>> raw = jnp.array([0.3, 0.4])
      >>> utility, _ = gated.utility(raw, jnp.ones(2, bool))
      >>> print(utility)
      -1.0
    """
    condition = conjunction((condition,), "where")
    return branch(condition, Composition.of(then), Composition.of(otherwise))


def scalarized(
    function: Callable[..., Any],
    parts: Weighted,
    *,
    ideal: tuple[Number | None, ...] | None = None,
    settings: Mapping[str, Number] | None = None,
) -> Composition:
    """Any scalarizer over rewards and compositions.

    Args:
      function: ``f(rewards [k], weights [k], *, present [k], ...) -> scalar``, as in
        :mod:`morl.scalarize`; a function of your own is saved by its name.
      parts: Weight of each part. Those of objectives are replaced by call-time weights.
      ideal: None where ``function`` takes no ideal point; otherwise one entry a part,
        None where the best known value is meant.
      settings: Its other keyword arguments, traced or scheduled.
    """
    name = function.__name__
    given = {k: coefficient(v, f"{name} {k}") for k, v in (settings or {}).items()}
    return _composed(function, parts, ideal, given, {})


def listed(
    function: Callable[..., Any],
    parts: Weighted,
    *,
    ideal: Point = None,
    settings: Mapping[str, Number] | None = None,
    points: Mapping[str, Point] | None = None,
) -> Composition:
    """A scalarizer of :mod:`morl.rewards.spec`, what it is given checked by that table.

    Args:
      function: The scalarizer.
      parts: Weight of each part.
      ideal: A number for all parts or a mapping to numbers, the best known value
        standing for the others; read where ``function`` takes an ideal point.
      settings: Its numbers, which may be scheduled.
      points: Its other points, each a number for all parts or a mapping with one for
        every part.
    """
    name = function.__name__
    entry = SCALARIZERS[name]
    for part, weight in parts.items():
        if not is_schedule(weight):
            nonnegative(weight, f"{name} weight of {_shown(part)}")
    checked = {
        key: setting(value, entry.settings[key], f"{name} {key}")
        for key, value in (settings or {}).items()
    }
    whole = {key: _complete(parts, value, key) for key, value in (points or {}).items()}
    check_points(whole, name)
    best = _points(parts, ideal, "ideal") if entry.takes_ideal else None
    return _composed(function, parts, best, checked, whole)


def _composed(
    function: Callable[..., Any],
    parts: Weighted,
    ideal: tuple[Number | None, ...] | None,
    settings: dict[str, Number],
    points: dict[str, tuple[Number, ...]],
) -> Composition:
    name = function.__name__
    if not parts:
        raise InputError("needs at least one reward", where=name)
    wholes = tuple(Composition.of(part) for part in parts)
    for whole in wholes:
        refuse_constraints(whole, name)
    node = Scalarized(
        function,
        tuple(_part(whole) for whole in wholes),
        tuple(
            coefficient(w, f"{name} weight of {_shown(p)}") for p, w in parts.items()
        ),
        ideal,
        settings,
        points,
    )
    names = [part.name for part in node.parts if isinstance(part, Leaf)]
    doubled = sorted({each for each in names if names.count(each) > 1})
    if doubled:
        raise InputError(f"{', '.join(doubled)} is given twice", where=name)
    return merged(node, *wholes)


def _part(whole: Composition) -> Node:
    """The node of a part; a lone reward with coefficient 1 is the reward."""
    root = whole.root
    if isinstance(root, Sum) and root.coefficients == (1.0,):
        return root.parts[0]
    return root


def _complete(parts: Weighted, given: Point, where: str) -> tuple[Number, ...]:
    found = _points(parts, given, where)
    for part, value in zip(parts, found, strict=True):
        if value is None:
            raise InputError(f"needs a number for {_shown(part)}", where=where)
    return found


def _points(parts: Weighted, given: Point, where: str) -> tuple[Number | None, ...]:
    if given is None or is_number(given):
        point = None if given is None else finite(given, where)
        return (point,) * len(parts)
    if not isinstance(given, Mapping):
        raise InputError(
            f"found {given!r}, expected a number or a mapping from rewards to numbers",
            where=where,
        )
    by_name = {
        _shown(key): finite(v, f"{where} of {_shown(key)}") for key, v in given.items()
    }
    known = [_shown(part) for part in parts]
    for name in by_name:
        if name not in known:
            raise unknown_name(name, known, where=where)
    return tuple(by_name.get(name) for name in known)


def _shown(part: Operand) -> str:
    """What a part is called: the name of a lone reward, or itself."""
    if isinstance(part, str):
        return part
    node = _part(Composition.of(part))
    return node.name if isinstance(node, Leaf) else str(part)
