"""What a user writes instead of a weighted sum: scalarizers and branches."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from morl import scalarize
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
    positive,
)

Weighted: TypeAlias = Mapping[Any, Number]  # reward or composition -> its weight
Ideal: TypeAlias = Any  # a number for all, or a mapping from rewards to numbers


def linear(parts: Weighted) -> Composition:
    """A weighted sum that stays whole: a factor in front of it is no weight.

    ``0.1 * linear({a: 1.0})`` keeps the 0.1 when call-time weights replace the 1.0,
    where ``0.1 * a`` would have it replaced.

    Args:
      parts: Weight of each reward or composition, of any sign.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> fair = chebyshev({helpful: 0.5, harmless: 0.5}, ideal=1.0)
      >>> augmented = fair + 0.1 * linear({helpful: 0.5, harmless: 0.5})
      >>> augmented.objectives
      ('helpful', 'harmless')
    """
    return scalarized(scalarize.linear, parts)


def chebyshev(parts: Weighted, *, ideal: Ideal = None) -> Composition:
    """The worst weighted shortfall from an ideal point.

    See :func:`morl.scalarize.chebyshev`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      ideal: A number for all parts, or one for some of them by reward or name; in the
        unit of the reward after its transforms, larger better. The best value that is
        known stands for the others: declared, or reached by the reference policy on a
        calibrated composition. Evaluating without either is an error.
    """
    _nonnegative(parts, "chebyshev")
    return scalarized(scalarize.chebyshev, parts, ideal=_points(parts, ideal))


def smooth_chebyshev(
    parts: Weighted, *, temperature: Number = 0.1, ideal: Ideal = None
) -> Composition:
    """The soft worst case of weighted shortfalls from an ideal point.

    See :func:`morl.scalarize.smooth_chebyshev`.

    Args:
      parts: Weight of each reward or composition, at least 0.
      temperature: Smoothing, above 0, in units of weighted reward.
      ideal: As for :func:`chebyshev`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> fair = smooth_chebyshev({helpful: 0.5, harmless: 0.5}, ideal=1.0)
      >>> utility, _ = fair.utility(jnp.zeros(2), jnp.ones(2, bool))
      >>> print(f"{utility:.4f}")
      -0.5693
    """
    _nonnegative(parts, "smooth_chebyshev")
    temperature = positive(temperature, "smooth_chebyshev temperature")
    return scalarized(
        scalarize.smooth_chebyshev,
        parts,
        ideal=_points(parts, ideal),
        settings={"temperature": temperature},
    )


def worst_case(parts: Weighted | Iterable[Operand]) -> Composition:
    """The smallest of the rewards that have weight.

    See :func:`morl.scalarize.worst_case`.

    Args:
      parts: Rewards or compositions, each with weight 1, or a mapping to weights, of
        which only whether they are above 0 matters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.rewards import objectives
      >>> team = worst_case(objectives("helpful", "harmless"))
      >>> utility, _ = team.utility(jnp.array([0.3, 0.2]), jnp.ones(2, bool))
      >>> print(utility)
      0.2
    """
    if not isinstance(parts, Mapping):
        parts = dict.fromkeys(parts, 1.0)
    _nonnegative(parts, "worst_case")
    return scalarized(scalarize.worst_case, parts)


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
      settings: Its other keyword arguments, traced.
    """
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
        {k: finite(v, f"{name} {k}") for k, v in (settings or {}).items()},
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


def _points(parts: Weighted, ideal: Ideal) -> tuple[Number | None, ...]:
    if ideal is None or is_number(ideal):
        point = None if ideal is None else finite(ideal, "ideal")
        return (point,) * len(parts)
    if not isinstance(ideal, Mapping):
        raise InputError(
            f"found {ideal!r}, expected a number or a mapping from rewards to numbers",
            where="ideal",
        )
    by_name = {
        _shown(key): finite(v, f"ideal of {_shown(key)}") for key, v in ideal.items()
    }
    known = [_shown(part) for part in parts]
    for name in by_name:
        if name not in known:
            raise unknown_name(name, known, where="ideal")
    return tuple(by_name.get(name) for name in known)


def _shown(part: Operand) -> str:
    """What a part is called: the name of a lone reward, or itself."""
    if isinstance(part, str):
        return part
    node = _part(Composition.of(part))
    return node.name if isinstance(node, Leaf) else str(part)


def _nonnegative(parts: Weighted, where: str) -> None:
    for part, weight in parts.items():
        if not is_schedule(weight):
            nonnegative(weight, f"{where} weight of {_shown(part)}")
