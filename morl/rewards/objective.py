"""Rewards by name: what a component is, before anything is said about how it counts.

A :class:`Reward` is one entry of the reward vector. It carries what it declares about
itself and, where a rule or a callable computes it, the settings of that *source*.
:func:`objectives` declares the rewards that call-time weights steer.

A source (a rule, a judge, a jitted function) is a frozen, hashable dataclass with a
``name``; the function that a user calls returns the reward that wraps it::

    @dataclass(frozen=True)
    class Length:
        unit: str = "token"
        name: str = "length"

    def length(unit: str = "token") -> Reward:
        return Reward("length", source=Length(unit), declares=RULE, unit=unit)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import jax

from morl.errors import InputError
from morl.rewards.gates import Condition, Logic, Threshold, compare
from morl.rewards.schedule import Number, finite

if TYPE_CHECKING:
    import morl.rewards.composition
    import morl.rewards.transforms

BASES = ("rule-based", "data-driven", "hybrid")
FORMATS = ("numerical", "non-numerical")
EXPRESSIONS = ("explicit", "implicit")
GRANULARITIES = ("general", "token", "step", "segment", "multi-aspect", "multi-stage")
DIRECTIONS = ("maximize", "minimize")
SCALES = ("absolute", "per-prompt")
Range: TypeAlias = tuple[float | int, float | int]
Operand: TypeAlias = Any  # a number, a schedule, a reward or a composition
NAME = re.compile(r"[A-Za-z_][\w./:-]*")


def _one_of(key: str, found: str, allowed: tuple[str, ...], where: str = "") -> None:
    if found not in allowed:
        raise InputError(
            f"found {found!r}, expected one of {', '.join(allowed)}",
            where=f"{where}.{key}" if where else key,
        )


def _check_range(bounds: Range, name: str) -> None:
    ordered = len(bounds) == 2 and bounds[0] < bounds[1]
    if not ordered:
        raise InputError(
            f"found {bounds}, expected (low, high) with low < high",
            where=f"{name}.range",
        )


@dataclass(frozen=True)
class Declarations:
    """A reward's cell in the survey's four dimensions (arXiv:2505.02666).

    Attributes:
      basis: What it is constructed from.
      format: A number, or a critique, text or symbol behind the number.
      expression: A visible score, or implicit in a policy.
      granularity: What is scored.
    """

    basis: str = "data-driven"
    format: str = "numerical"
    expression: str = "explicit"
    granularity: str = "general"

    def __post_init__(self) -> None:
        """Refuses what the survey does not name."""
        _one_of("basis", self.basis, BASES)
        _one_of("format", self.format, FORMATS)
        _one_of("expression", self.expression, EXPRESSIONS)
        _one_of("granularity", self.granularity, GRANULARITIES)


RULE = Declarations(basis="rule-based")


@runtime_checkable
class Source(Protocol):
    """Settings of what computes a reward: a frozen, hashable dataclass.

    A field that holds a function is saved by the source's ``name`` and looked up by it
    when a specification is read; every other field is saved as it is.
    """

    @property
    def name(self) -> str:
        """What the source is called in tables and specifications."""
        ...


@runtime_checkable
class Term(Protocol):
    """Anything that can be added, scaled, gated and constrained."""

    __array_ufunc__ = None  # NumPy scalars on the left then leave the algebra to us.

    def composed(self) -> morl.rewards.composition.Composition:
        """The term as a composition."""
        ...

    def __add__(self, other: Operand) -> morl.rewards.composition.Composition:
        """The sum."""
        return self.composed().plus(other)

    def __radd__(self, other: Operand) -> morl.rewards.composition.Composition:
        """The sum."""
        return self.composed().plus(other)

    def __sub__(self, other: Operand) -> morl.rewards.composition.Composition:
        """The difference."""
        return self.composed().plus(other, factor=-1.0)

    def __rsub__(self, other: Operand) -> morl.rewards.composition.Composition:
        """The difference."""
        return self.composed().times(-1.0).plus(other)

    def __mul__(self, factor: Operand) -> morl.rewards.composition.Composition:
        """The term scaled by a number or schedule."""
        return self.composed().times(factor)

    def __rmul__(self, factor: Operand) -> morl.rewards.composition.Composition:
        """The term scaled by a number or schedule."""
        return self.composed().times(factor)

    def __truediv__(self, divisor: Operand) -> morl.rewards.composition.Composition:
        """The term divided by a number other than 0."""
        divisor = finite(divisor, "/")
        if isinstance(divisor, float) and divisor == 0:
            raise InputError("found 0, expected another number", where="/")
        return self.composed().times(1.0 / divisor)

    def __neg__(self) -> morl.rewards.composition.Composition:
        """The term with its sign changed."""
        return self.composed().times(-1.0)


@jax.tree_util.register_static
@dataclass(frozen=True)
class Reward(Term):
    """One named entry of the reward vector.

    Attributes:
      name: A letter or underscore, then letters, digits and ``_ . / : -``.
      source: Settings of what computes it; None where the caller supplies the column,
        as for a reward head.
      steered: Whether weights given at call time replace its coefficient.
      unit: The unit of the raw value, for people to read.
      range: Least and largest raw value, where they are known.
      direction: ``"minimize"`` where less is better: the raw value then enters
        transforms and utility with its sign changed, and nowhere else.
      scale: ``"per-prompt"`` where values compare only within a prompt, as those of a
        Bradley-Terry head do; thresholds on it then ask for calibration.
      declares: Its cell in the survey's dimensions.
    """

    name: str
    source: Any = None
    steered: bool = False
    unit: str = ""
    range: Range | None = None
    direction: str = "maximize"
    scale: str = "absolute"
    declares: Declarations = Declarations()

    def __post_init__(self) -> None:
        """Refuses a name that cannot be printed, and values outside the lists."""
        if not NAME.fullmatch(self.name):
            raise InputError(
                f"found {self.name!r}, expected a letter or underscore, then letters, "
                "digits and _ . / : -",
                where="name of a reward",
            )
        _one_of("direction", self.direction, DIRECTIONS, where=self.name)
        _one_of("scale", self.scale, SCALES, where=self.name)
        if self.range is not None:
            _check_range(self.range, self.name)

    @property
    def worst(self) -> float | int | None:
        """The worst raw value that is declared, finite, or None."""
        return self._bound(0 if self.direction == "maximize" else 1)

    @property
    def best(self) -> float | int | None:
        """The best raw value that is declared, finite, or None."""
        return self._bound(1 if self.direction == "maximize" else 0)

    def _bound(self, side: int) -> float | int | None:
        if self.range is None or not math.isfinite(self.range[side]):
            return None
        return self.range[side]

    def steer(self) -> Reward:
        """The same reward as an objective, whose coefficient weights replace."""
        return replace(self, steered=True)

    def composed(self) -> morl.rewards.composition.Composition:
        """The reward alone, with coefficient 1."""
        from morl.rewards.composition import Composition

        return Composition.of(self)

    def when(
        self, *conditions: Logic, otherwise: Number | None = None
    ) -> morl.rewards.composition.Composition:
        """The reward where all ``conditions`` hold, a floor elsewhere.

        Args:
          conditions: Comparisons of raw rewards.
          otherwise: The floor, in raw units of this reward; its worst declared value
            where not given.

        Raises:
          InputError: if no floor is given and the reward declares no worst value: 0
            would reward failure wherever scores are negative.

        References:
          Conditioned rewards of GDPO (arXiv:2601.05242), Section 3.2.
        """
        return self.composed().when(*conditions, otherwise=otherwise)

    def through(
        self, *transforms: morl.rewards.transforms.Transform
    ) -> morl.rewards.composition.Composition:
        """The reward after ``transforms``, first to last."""
        return self.composed().through(*transforms)

    def subject_to(
        self, *conditions: Logic, multiplier: Number = 1.0
    ) -> morl.rewards.composition.Composition:
        """The reward less ``multiplier`` times the violation of each condition."""
        return self.composed().subject_to(*conditions, multiplier=multiplier)

    def __ge__(self, threshold: Threshold) -> Condition:
        """The condition that the raw reward is at least ``threshold``."""
        return compare(self, ">=", threshold)

    def __le__(self, threshold: Threshold) -> Condition:
        """The condition that the raw reward is at most ``threshold``."""
        return compare(self, "<=", threshold)


def objective(
    name: str,
    *,
    unit: str = "",
    range: Range | None = None,
    direction: Literal["maximize", "minimize"] = "maximize",
    scale: Literal["absolute", "per-prompt"] = "absolute",
    declares: Declarations = Declarations(),
) -> Reward:
    """Declares an objective: a reward whose coefficient call-time weights replace.

    Args:
      name: Its name, unique in a composition.
      unit: The unit of its raw value, for people to read.
      range: Least and largest raw value, where known; infinities are allowed.
      direction: Whether more or less of it is better.
      scale: ``"per-prompt"`` for scores that compare only within a prompt.
      declares: Its cell in the survey's four dimensions.

    Returns:
      The objective, ready for ``+ - *``, ``>=``, ``.when``, ``.through``.

    Examples:
      >>> toxicity = objective("toxicity", range=(0, 1), direction="minimize")
      >>> toxicity.worst, toxicity.best
      (1, 0)
    """
    return Reward(name, None, True, unit, range, direction, scale, declares)


def objectives(*names: str) -> tuple[Reward, ...]:
    """Declares several objectives of which nothing but the name is known.

    Examples:
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> helpful.name
      'helpful'
    """
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"{', '.join(doubled)} is named twice", where="objectives")
    return tuple(objective(name) for name in names)
