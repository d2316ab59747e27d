"""The tree behind a composition: what it is made of, and its value on one example.

Nodes are frozen pytrees. Names, functions and senses are static; every number is a
leaf. A *slot* is a place where the coefficient of a reward stands: beside it in a sum,
or among the weights of a scalarizer. A factor in front of a scalarizer is no slot.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from morl import scalarize
from morl.errors import InputError
from morl.rewards.gates import STATIC, Condition, Truth, comparisons, holds
from morl.rewards.schedule import Number, is_schedule

Value: TypeAlias = tuple[Float[Array, ""], Bool[Array, ""]]

RENORMALIZE = "renormalize"
PROPAGATE = "propagate"
ABSENT = (RENORMALIZE, PROPAGATE)
# Their weights belong to ranks: a part whose weight is 0 counts like any other.
POSITIONAL = (scalarize.owa, scalarize.generalized_gini)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Leaf:
    """A reward, after its gate and transforms."""

    name: str = field(metadata=STATIC)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class One:
    """The number 1: its coefficient makes it any other."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sum:
    """Parts times coefficients, added."""

    parts: tuple[Any, ...]
    coefficients: tuple[Number, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scalarized:
    """A scalarizer over parts.

    Attributes:
      function: The scalarizer; its name is the name of this node.
      parts: One node an entry of its reward vector.
      weights: One weight a part.
      ideal: None where the scalarizer takes no ideal point; otherwise one entry a
        part, None where the best value that is known of the part is meant.
      settings: Its other keyword arguments that are numbers.
      points: Its other keyword arguments that are vectors, one entry a part.
    """

    function: Callable[..., Any] = field(metadata=STATIC)
    parts: tuple[Any, ...]
    weights: tuple[Number, ...]
    ideal: tuple[Number | None, ...] | None
    settings: dict[str, Number]
    points: dict[str, tuple[Number, ...]] = field(default_factory=dict)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Branch:
    """One node where a condition holds, another elsewhere."""

    condition: Any
    then: Any
    otherwise: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Column:
    """A reward with the gate and the transforms it passes.

    Attributes:
      reward: What it is.
      gate: Its floor and when that applies, or None.
      transforms: First to last, after the gate.
    """

    reward: Any = field(metadata=STATIC)
    gate: Any = None
    transforms: tuple[Any, ...] = ()


Node: TypeAlias = Leaf | One | Sum | Scalarized | Branch


class Slot(NamedTuple):
    """Where the coefficient of a reward stands."""

    name: str
    coefficient: Number


class Scope(NamedTuple):
    """What the value of a node depends on, for one example.

    Attributes:
      rewards: By name, after gates and transforms, larger is better.
      present: By name, after gates.
      decide: Truth and knowledge of a comparison of raw rewards.
      steered: Names of the objectives.
      weights: Replaces the coefficients of the names it holds.
      best: The best value known of a reward, or None.
      absent: What is done where a reward is absent.
    """

    rewards: dict[str, Float[Array, ""]]
    present: dict[str, Bool[Array, ""]]
    decide: Callable[[Condition], Truth]
    steered: frozenset[str]
    weights: dict[str, Float[Array, ""]]
    best: Callable[[str], Number | None]
    absent: str


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below ``node``."""
    if isinstance(node, (Sum, Scalarized)):
        return node.parts
    if isinstance(node, Branch):
        return (node.then, node.otherwise)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """``node`` and all below it, in the order they are written."""
    yield node
    for child in children(node):
        yield from walk(child)


def leaf_names(node: Node) -> tuple[str, ...]:
    """Names of the rewards in ``node``, in order of first use."""
    return tuple(dict.fromkeys(n.name for n in walk(node) if isinstance(n, Leaf)))


def conditions(node: Node) -> tuple[Condition, ...]:
    """The comparisons that branches of ``node`` make."""
    branches = [n for n in walk(node) if isinstance(n, Branch)]
    return tuple(c for branch in branches for c in comparisons(branch.condition))


def slots(node: Node) -> tuple[Slot, ...]:
    """Every place in ``node`` where the coefficient of a reward stands."""
    found = []
    for part in walk(node):
        if isinstance(part, (Sum, Scalarized)):
            factors = part.coefficients if isinstance(part, Sum) else part.weights
            pairs = zip(part.parts, factors, strict=True)
            found += [Slot(p.name, c) for p, c in pairs if isinstance(p, Leaf)]
    return tuple(found)


def evaluate(node: Node, scope: Scope) -> Value:
    """The value of ``node`` on one example, and whether it has one.

    Where it has none the value is finite and means nothing.
    """
    if isinstance(node, Leaf):
        return scope.rewards[node.name], scope.present[node.name]
    if isinstance(node, One):
        return jnp.ones(()), jnp.asarray(True)
    if isinstance(node, Sum):
        return _sum(node, scope)
    if isinstance(node, Scalarized):
        return _scalarized(node, scope)
    truth, known = holds(node.condition, scope.decide)
    (then, then_present) = evaluate(node.then, scope)
    (otherwise, otherwise_present) = evaluate(node.otherwise, scope)
    present = known & jnp.where(truth, then_present, otherwise_present)
    return jnp.where(truth, then, otherwise), present


def number(value: Number) -> Float[Array, ""]:
    """``value`` as a float32 scalar; a schedule must have met its step before."""
    if is_schedule(value):
        raise InputError(
            "a coefficient is scheduled; give the step with composition.at(step) "
            "before evaluating"
        )
    return jnp.asarray(value, jnp.float32)


def _sum(node: Sum, scope: Scope) -> Value:
    """Objectives stand in for each other as ``absent`` says; nothing else can.

    A rule or a nested part has a unit of its own, so that the sum is absent where one
    of them is.
    """
    steered = [_is_steered(part, scope) for part in node.parts]
    chosen = [i for i, is_steered in enumerate(steered) if is_steered]
    others = [i for i, is_steered in enumerate(steered) if not is_steered]
    total, present = jnp.zeros(()), jnp.asarray(True)
    if chosen:
        values, weights, here = _gather(node.parts, node.coefficients, chosen, scope)
        total = scalarize.linear(values, weights, present=here)
        present = _enough(weights, here, scope.absent)
    if others:
        values, weights, here = _gather(node.parts, node.coefficients, others, scope)
        total = total + jnp.sum(weights * jnp.where(here, values, 0))
        present = present & _enough(weights, here, PROPAGATE)
    return total, present


def _is_steered(part: Node, scope: Scope) -> bool:
    return isinstance(part, Leaf) and part.name in scope.steered


def _scalarized(node: Scalarized, scope: Scope) -> Value:
    everything = list(range(len(node.parts)))
    values, weights, here = _gather(node.parts, node.weights, everything, scope)
    settings = {name: number(value) for name, value in node.settings.items()}
    if node.ideal is not None:
        settings["ideal"] = _ideal(node, scope)
    for name, point in node.points.items():
        settings[name] = jnp.stack([number(value) for value in point])
    utility = node.function(values, weights, present=here, **settings)
    if node.function in POSITIONAL:
        weights = jnp.ones_like(weights)
    steered = np.array([_is_steered(part, scope) for part in node.parts])
    enough = _enough(jnp.where(steered, weights, 0), here, scope.absent)
    return utility, enough & _enough(jnp.where(steered, 0, weights), here, PROPAGATE)


def _gather(
    parts: tuple[Node, ...],
    factors: tuple[Number, ...],
    chosen: list[int],
    scope: Scope,
) -> tuple[Float[Array, " p"], Float[Array, " p"], Bool[Array, " p"]]:
    pairs = [evaluate(parts[i], scope) for i in chosen]
    weights = [_weight(parts[i], factors[i], scope) for i in chosen]
    values, present = zip(*pairs, strict=True)
    return jnp.stack(values), jnp.stack(weights), jnp.stack(present)


def _weight(part: Node, factor: Number, scope: Scope) -> Float[Array, ""]:
    if isinstance(part, Leaf) and part.name in scope.weights:
        return scope.weights[part.name]
    return number(factor)


def _enough(
    weights: Float[Array, " p"], present: Bool[Array, " p"], absent: str
) -> Bool[Array, ""]:
    """Whether what is present suffices; an entry with weight 0 is never missed."""
    missed = ~present & (weights != 0)
    if absent == PROPAGATE:
        return ~jnp.any(missed)
    return jnp.any(present & (weights != 0)) | ~jnp.any(missed)


def _ideal(node: Scalarized, scope: Scope) -> Float[Array, " p"]:
    assert node.ideal is not None
    found = []
    for part, given in zip(node.parts, node.ideal, strict=True):
        known = scope.best(part.name) if isinstance(part, Leaf) else None
        value = known if given is None else given
        if value is None:
            name = part.name if isinstance(part, Leaf) else "a nested part"
            raise InputError(
                f"no ideal value is known for {name}: declare its range, calibrate "
                f"the composition, or give ideal={{{name!r}: ...}}",
                where=node.function.__name__,
            )
        found.append(number(value))
    return jnp.stack(found)
