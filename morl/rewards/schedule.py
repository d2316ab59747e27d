"""Numbers of a composition: constant, traced, or scheduled over the steps of a run.

A schedule is a frozen pytree: its settings are traced leaves and so is the step, so a
run that walks along it compiles once.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from morl.errors import InputError

# A float, a zero-dimensional array or, inside a transformation, whatever JAX puts in
# the place of a leaf: pytrees cannot be annotated more narrowly.
Number: TypeAlias = Any
Arrays: TypeAlias = Array | np.ndarray  # what callers may hand in


@runtime_checkable
class Schedule(Protocol):
    """A number that depends on the step."""

    def at(self, step: Number) -> Float[Array, ""]:
        """The value at ``step``."""
        ...

    def __mul__(self, factor: Number) -> Any:
        """The schedule times a number; a reward takes the product itself."""
        return scaled(self, factor) if is_number(factor) else NotImplemented

    def __rmul__(self, factor: Number) -> Any:
        """The schedule times a number."""
        return scaled(self, factor) if is_number(factor) else NotImplemented

    def __neg__(self) -> Any:
        """The schedule with its sign changed."""
        return scaled(self, -1.0)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Linear(Schedule):
    """Built by :func:`linear`."""

    start: Number
    end: Number
    steps: Number
    begin: Number = 0.0

    def at(self, step: Number) -> Float[Array, ""]:
        """The value at ``step``."""
        share = jnp.clip((_real(step) - self.begin) / self.steps, 0, 1)
        return self.start + (self.end - self.start) * share


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cosine(Schedule):
    """Built by :func:`cosine`."""

    start: Number
    end: Number
    steps: Number
    begin: Number = 0.0

    def at(self, step: Number) -> Float[Array, ""]:
        """The value at ``step``."""
        share = jnp.clip((_real(step) - self.begin) / self.steps, 0, 1)
        return self.end + (self.start - self.end) * (1 + jnp.cos(jnp.pi * share)) / 2


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Geometric(Schedule):
    """Built by :func:`geometric`."""

    start: Number
    end: Number
    steps: Number
    begin: Number = 0.0

    def at(self, step: Number) -> Float[Array, ""]:
        """The value at ``step``."""
        share = jnp.clip((_real(step) - self.begin) / self.steps, 0, 1)
        # Powers of each end, and not of their ratio, are exact at both ends.
        return _real(self.start) ** (1 - share) * _real(self.end) ** share


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Piecewise(Schedule):
    """Built by :func:`piecewise`."""

    boundaries: tuple[Number, ...]
    values: tuple[Number, ...]

    def at(self, step: Number) -> Float[Array, ""]:
        """The value at ``step``."""
        value = _real(self.values[0])
        for boundary, later in zip(self.boundaries, self.values[1:], strict=True):
            value = jnp.where(_real(step) >= boundary, later, value)
        return value


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mixed(Schedule):
    """A sum of schedules and numbers, each times a number: what algebra leaves."""

    parts: tuple[Any, ...]
    factors: tuple[Number, ...]

    def at(self, step: Number) -> Float[Array, ""]:
        """The value at ``step``."""
        values = [value_at(part, step) for part in self.parts]
        pairs = zip(values, self.factors, strict=True)
        return jnp.sum(jnp.stack([v * _real(f) for v, f in pairs]))


def linear(start: Number, end: Number, *, steps: Number, begin: Number = 0.0) -> Linear:
    """A straight line from ``start`` to ``end``, constant before and after.

    Args:
      start: Value until step ``begin``.
      end: Value from step ``begin + steps`` on.
      steps: Length of the line, above 0.
      begin: The step at which it starts.

    Examples:
      >>> print(linear(0.0, 1.0, steps=10).at(5))
      0.5
    """
    return Linear(
        *_checked("linear", start, end, positive(steps, "linear steps"), begin)
    )


def cosine(start: Number, end: Number, *, steps: Number, begin: Number = 0.0) -> Cosine:
    r"""Half a cosine from ``start`` to ``end``, flat at both ends.

    .. math:: e + \tfrac12 (s - e) (1 + \cos(\pi t / T))

    Args:
      start: Value :math:`s` until step ``begin``.
      end: Value :math:`e` from step ``begin + steps`` on.
      steps: Length :math:`T`, above 0.
      begin: The step at which it starts.

    Examples:
      >>> print(f"{cosine(1.0, 0.0, steps=10).at(5):.3f}")
      0.500

    References:
      Loshchilov and Hutter, SGDR (arXiv:1608.03983), 2016, Equation 5, one period.
    """
    return Cosine(
        *_checked("cosine", start, end, positive(steps, "cosine steps"), begin)
    )


def geometric(
    start: Number, end: Number, *, steps: Number, begin: Number = 0.0
) -> Geometric:
    """Equal factors from ``start`` to ``end``: the way to cool a temperature.

    Args:
      start: Value until step ``begin``, above 0.
      end: Value from step ``begin + steps`` on, above 0.
      steps: Length of the way, above 0.
      begin: The step at which it starts.

    Examples:
      >>> print(f"{geometric(1.0, 0.01, steps=10).at(5):.3f}")
      0.100
    """
    start, end = positive(start, "geometric start"), positive(end, "geometric end")
    return Geometric(
        *_checked("geometric", start, end, positive(steps, "geometric steps"), begin)
    )


def piecewise(boundaries: tuple[Number, ...], values: tuple[Number, ...]) -> Piecewise:
    """Steps: ``values[i]`` holds from ``boundaries[i - 1]`` up to ``boundaries[i]``.

    Args:
      boundaries: Rising steps at which the value changes.
      values: One more than ``boundaries``.

    Examples:
      >>> [float(piecewise((10,), (0.0, 0.5)).at(step)) for step in (9, 10)]
      [0.0, 0.5]
    """
    if len(values) != len(boundaries) + 1:
        raise InputError(
            f"{len(boundaries)} boundaries need {len(boundaries) + 1} values, "
            f"found {len(values)}",
            where="piecewise",
        )
    if list(boundaries) != sorted(set(boundaries)):
        raise InputError(f"boundaries {boundaries} do not rise", where="piecewise")
    return Piecewise(_checked("piecewise", *boundaries), _checked("piecewise", *values))


def mixed(parts: tuple[Any, ...], factors: tuple[Number, ...]) -> Mixed:
    """The sum of ``parts``, schedules or numbers, each times its factor.

    Args:
      parts: At least one.
      factors: One a part.

    Examples:
      >>> print(mixed((linear(0.0, 1.0, steps=10), 1.0), (2.0, 0.5)).at(5))
      1.5
    """
    if not parts or len(parts) != len(factors):
        raise InputError(
            f"found {len(parts)} parts and {len(factors)} factors, expected one factor "
            "a part",
            where="mixed",
        )
    return Mixed(
        tuple(coefficient(part, "mixed parts") for part in parts),
        _checked("mixed factors", *factors),
    )


def is_schedule(value: object) -> bool:
    """Whether ``value`` depends on the step."""
    return isinstance(value, (Linear, Cosine, Geometric, Piecewise, Mixed))


def is_number(value: object) -> bool:
    """Whether ``value`` can stand where a composition wants a number."""
    if isinstance(value, bool):
        return False
    arrays = (jax.Array, np.ndarray, np.generic)
    return isinstance(value, (int, float)) or (
        isinstance(value, arrays) and value.ndim == 0 and value.dtype != bool
    )


def finite(value: Number, where: str) -> Number:
    """``value`` as a Python float (a traced one as it is), refused unless finite."""
    if isinstance(value, Tracer):
        return value
    if is_schedule(value):
        raise InputError("found a schedule, expected a number", where=where)
    if not is_number(value):
        raise InputError(f"found {value!r}, expected a number", where=where)
    try:
        wide = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        wide = math.inf
    if not math.isfinite(wide):
        raise InputError(f"found {wide}, expected a finite number", where=where)
    # Another -0.0 would make equal compositions print differently.
    return wide + 0.0


def coefficient(value: Number, where: str) -> Number:
    """A finite number, or a schedule as it is."""
    return value if is_schedule(value) else finite(value, where)


def positive(value: Number, where: str) -> Number:
    """A finite number above 0, as :func:`finite` gives it."""
    value = finite(value, where)
    if isinstance(value, float) and value <= 0:
        raise InputError(f"found {value:g}, expected above 0", where=where)
    return value


def nonnegative(value: Number, where: str) -> Number:
    """A finite number of at least 0, as :func:`finite` gives it."""
    value = finite(value, where)
    if isinstance(value, float) and value < 0:
        raise InputError(f"found {value:g}, expected at least 0", where=where)
    return value


def value_at(value: Number, step: Number) -> Number:
    """``value``, or what it is at ``step`` where it is a schedule."""
    return value.at(step) if is_schedule(value) else _real(value)


def span(value: Number) -> tuple[float, float] | None:
    """Least and greatest value on the whole way of a schedule; of a number, itself.

    Of a sum of schedules these are bounds. None where any number is traced.

    Examples:
      >>> span(linear(1.0, 0.25, steps=10))
      (0.25, 1.0)
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value)):
        return None
    if isinstance(value, Mixed):
        ends = [
            sorted(factor * end for end in bounds)
            for part, factor in zip(value.parts, value.factors, strict=True)
            if (bounds := span(part)) is not None
        ]
        return sum(low for low, _ in ends), sum(high for _, high in ends)
    if isinstance(value, Piecewise):
        return min(value.values), max(value.values)
    if isinstance(value, (Linear, Cosine, Geometric)):
        return min(value.start, value.end), max(value.start, value.end)
    return value, value


def scaled(value: Number, factor: Number) -> Number:
    """``factor * value`` for numbers and schedules."""
    if is_schedule(value) and is_schedule(factor):
        raise InputError(
            "found a schedule times a schedule; write one schedule for the product"
        )
    if is_schedule(factor):
        value, factor = factor, value
    if not is_schedule(value):
        return value * factor
    if isinstance(factor, float) and factor == 1:
        return value
    mixed = _mixed(value)
    return Mixed(mixed.parts, tuple(each * factor for each in mixed.factors))


def added(first: Number, second: Number) -> Number:
    """``first + second`` for numbers and schedules."""
    if not is_schedule(first) and not is_schedule(second):
        return first + second
    one, other = _mixed(first), _mixed(second)
    return Mixed(one.parts + other.parts, one.factors + other.factors)


def _mixed(value: Number) -> Mixed:
    return value if isinstance(value, Mixed) else Mixed((value,), (1.0,))


def _real(value: Number) -> Float[Array, ""]:
    return jnp.asarray(value, jnp.float32)


def _checked(name: str, *values: Number) -> tuple[Number, ...]:
    return tuple(finite(value, name) for value in values)
