"""Conditions on raw rewards, and the constraints made of them.

A condition compares one raw reward with a threshold in the reward's own unit, before
any transform. Where the reward is absent the condition is neither true nor false, and
``&`` and ``|`` follow Kleene's three-valued logic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from morl.errors import InputError
from morl.rewards.schedule import Number, finite, is_number, is_schedule

if TYPE_CHECKING:
    import morl.rewards.objective

STATIC = {"static": True}

Truth: TypeAlias = tuple[Bool[Array, "..."], Bool[Array, "..."]]


@runtime_checkable
class Logic(Protocol):
    """What conditions have in common: ``&``, ``|`` and no truth value of their own."""

    def __and__(self, other: "Logic") -> "Joined":
        """Both hold."""
        return joined("all", self, other)

    def __or__(self, other: "Logic") -> "Joined":
        """At least one holds."""
        return joined("any", self, other)

    def __bool__(self) -> NoReturn:
        """Refused: ``and``, ``or`` and chained comparisons would drop a condition."""
        raise InputError(
            "a condition has no truth value before rewards are given; combine "
            "conditions with & and |, and write 0.1 <= r <= 0.5 as "
            "(r >= 0.1) & (r <= 0.5)"
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Percentile:
    """A threshold given as a percentile of the reference policy's samples."""

    q: Number

    def __str__(self) -> str:
        """As it is written."""
        return f"percentile({show_number(self.q)})"


Threshold: TypeAlias = Any  # a Number or a Percentile, or a leaf in transit


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Condition(Logic):
    """``reward >= threshold`` or ``reward <= threshold``, in the unit of the reward.

    Attributes:
      reward: The reward that is read, raw.
      sense: ``">="`` or ``"<="``.
      threshold: A number, or a :class:`Percentile` of the reference policy.
    """

    reward: Any = field(metadata=STATIC)
    sense: str = field(metadata=STATIC)
    threshold: Threshold

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.reward.name} {self.sense} {show_number(self.threshold)}"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Joined(Logic):
    """Conditions of which ``"all"`` or ``"any"`` must hold."""

    sense: str = field(metadata=STATIC)
    parts: tuple[Any, ...]

    def __str__(self) -> str:
        """As it is written."""
        # Without brackets Python would read & and | before >= and <=.
        return (" & " if self.sense == "all" else " | ").join(
            f"({part})" for part in self.parts
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constraint:
    """A condition whose violation is subtracted from the utility.

    Attributes:
      condition: What must hold.
      multiplier: Utility lost a unit of violation, at least 0.
    """

    condition: Any
    multiplier: Number = 1.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Gate:
    """The reward where ``condition`` holds, ``otherwise`` (raw units) elsewhere."""

    condition: Any
    otherwise: Number


def percentile(q: Number) -> Percentile:
    """A threshold at the ``q``-th percentile of the reference policy's samples.

    It resolves through the calibration of the composition it is used in; without one,
    evaluating the composition is an error.

    Args:
      q: Between 0 and 100.

    Examples:
      >>> print(percentile(60))
      percentile(60)
    """
    q = finite(q, "percentile")
    if not isinstance(q, Tracer) and not 0 <= q <= 100:
        raise InputError(f"found {q:g}, expected 0 to 100", where="percentile")
    return Percentile(q)


def compare(
    reward: "morl.rewards.objective.Reward", sense: str, threshold: Threshold
) -> Condition:
    """The condition that ``reward`` stands in ``sense`` to ``threshold``."""
    if is_schedule(threshold):
        raise InputError(
            "a threshold cannot be a schedule; change it as a leaf of the composition",
            where=reward.name,
        )
    if not isinstance(threshold, Percentile):
        threshold = finite(threshold, f"{reward.name} {sense}")
    return Condition(reward, sense, threshold)


def joined(sense: str, *conditions: Logic) -> Joined:
    """``conditions`` joined, nested ones of the same sense unfolded."""
    parts = []
    for condition in conditions:
        known = checked(condition, "& and |")
        if isinstance(known, Joined) and known.sense == sense:
            parts.extend(known.parts)
        else:
            parts.append(known)
    return Joined(sense, tuple(parts))


def conjunction(conditions: tuple[Any, ...], where: str) -> Condition | Joined:
    """All of ``conditions`` as one."""
    if not conditions:
        raise InputError("needs at least one condition", where=where)
    known = [checked(condition, where) for condition in conditions]
    return known[0] if len(known) == 1 else joined("all", *known)


def checked(condition: object, where: str) -> Condition | Joined:
    """``condition``, refused where it is not one."""
    if not isinstance(condition, (Condition, Joined)):
        raise InputError(
            f"found {condition!r}, expected a condition such as harmless >= 0.2",
            where=where,
        )
    return condition


def comparisons(condition: Condition | Joined) -> tuple[Condition, ...]:
    """The single comparisons in ``condition``, in the order they are written."""
    if isinstance(condition, Condition):
        return (condition,)
    return tuple(c for part in condition.parts for c in comparisons(part))


def holds(condition: Condition | Joined, decide: Callable[[Condition], Truth]) -> Truth:
    """Whether ``condition`` holds, and whether that is known.

    Args:
      condition: What to decide.
      decide: The same for a single comparison; unknown ones are never true.

    Returns:
      Truth (False where unknown) and knowledge. A conjunction is known where all its
      parts are or one is known to fail, a disjunction where all are or one holds.

    References:
      Kleene, Introduction to Metamathematics, 1952, Section 64: strong logic.
    """
    if isinstance(condition, Condition):
        return decide(condition)
    parts = [holds(part, decide) for part in condition.parts]
    truth = jnp.stack([t for t, _ in parts])
    known = jnp.stack([k for _, k in parts])
    if condition.sense == "all":
        failed = jnp.any(known & ~truth, axis=0)
        return jnp.all(truth, axis=0), jnp.all(known, axis=0) | failed
    passed = jnp.any(truth, axis=0)
    return passed, jnp.all(known, axis=0) | passed


def violation(
    condition: Condition,
    reward: Float[Array, "..."],
    threshold: Float[Array, ""],
) -> Float[Array, "..."]:
    """How far ``reward`` is on the wrong side: ``max(t - r, 0)`` for ``r >= t``."""
    short = threshold - reward if condition.sense == ">=" else reward - threshold
    return jnp.maximum(short, 0)


def show_number(value: Threshold) -> str:
    """A number as people write it; anything else as it shows itself."""
    if isinstance(value, Tracer):
        return "<traced>"
    if not is_number(value):
        return str(value)
    return f"{float(value):g}"
