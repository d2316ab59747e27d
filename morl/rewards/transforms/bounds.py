"""Transforms that keep a reward within bounds."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.rewards.gates import STATIC
from morl.rewards.schedule import Number, finite, positive
from morl.rewards.transforms.transform import Here, State, Transform, Values


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Clip(Transform):
    """Built by :func:`clip`."""

    low: Number
    high: Number

    def apply(self, values: Values, present: Here, state: State) -> Values:
        """Values between the bounds."""
        del state
        return jnp.clip(jnp.where(present, values, 0), self.low, self.high)

    def ceiling(self, high: Number | None) -> Number | None:
        """The upper bound, or less."""
        return self.high if high is None else jnp.clip(high, self.low, self.high)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tanh(Transform):
    """Built by :func:`tanh`."""

    scale: Number = 1.0

    def apply(self, values: Values, present: Here, state: State) -> Values:
        """Values in (-1, 1)."""
        del state
        return jnp.tanh(jnp.where(present, values, 0) / self.scale)

    def ceiling(self, high: Number | None) -> Number | None:
        """One, or less."""
        return 1.0 if high is None else jnp.tanh(high / self.scale)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MinMax(Transform):
    """Built by :func:`min_max`."""

    low: Number
    high: Number

    def apply(self, values: Values, present: Here, state: State) -> Values:
        """Values in [0, 1]."""
        del state
        return _between(jnp.where(present, values, 0), self.low, self.high)

    def ceiling(self, high: Number | None) -> Number | None:
        """One, or less."""
        if high is None:
            return 1.0
        return _between(jnp.asarray(high, jnp.float32), self.low, self.high)


class Bounds(NamedTuple):
    """Least and largest value seen; infinite and reversed before any was."""

    low: Float[Array, ""]
    high: Float[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RunningMinMax(Transform):
    """Built by :func:`running_min_max`."""

    axis_name: str | None = field(default=None, metadata=STATIC)

    def init(self) -> Bounds:
        """Nothing seen."""
        return Bounds(jnp.asarray(jnp.inf), jnp.asarray(-jnp.inf))

    def observe(self, values: Values, present: Here, state: Bounds) -> Bounds:
        """Widened by the batch."""
        wide = values.astype(jnp.float32)
        low = jnp.min(jnp.where(present, wide, jnp.inf), initial=jnp.inf)
        high = jnp.max(jnp.where(present, wide, -jnp.inf), initial=-jnp.inf)
        if self.axis_name is not None:
            low = jax.lax.pmin(low, self.axis_name)
            high = jax.lax.pmax(high, self.axis_name)
        return Bounds(jnp.minimum(state.low, low), jnp.maximum(state.high, high))

    def apply(self, values: Values, present: Here, state: Bounds) -> Values:
        """Values in [0, 1]."""
        seen = state.low <= state.high
        low, high = jnp.where(seen, state.low, 0), jnp.where(seen, state.high, 1)
        return _between(jnp.where(present, values, 0), low, high)

    def ceiling(self, high: Number | None) -> Number | None:
        """One."""
        del high
        return 1.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogSigmoid(Transform):
    """Built by :func:`log_sigmoid`."""

    reference: Number = 0.0

    def apply(self, values: Values, present: Here, state: State) -> Values:
        """Values at most 0."""
        del state
        above = jnp.where(present, values, 0) - self.reference
        return jax.nn.log_sigmoid(above).astype(values.dtype)

    def ceiling(self, high: Number | None) -> Number | None:
        """Zero, or less."""
        return 0.0 if high is None else jax.nn.log_sigmoid(high - self.reference)


def clip(low: Number, high: Number) -> Clip:
    """Values no lower than ``low`` and no higher than ``high``.

    Examples:
      >>> here = jnp.ones(3, bool)
      >>> print(clip(-1, 1).apply(jnp.array([-2.0, 0.5, 2.0]), here, ()))
      [-1.   0.5  1. ]
    """
    return Clip(*_ordered(low, high, "clip"))


def tanh(scale: Number = 1.0) -> Tanh:
    """``tanh(r / scale)``: close to ``r / scale`` near 0, never beyond 1.

    Args:
      scale: Above 0, in units of reward.
    """
    return Tanh(positive(scale, "tanh scale"))


def min_max(low: Number, high: Number) -> MinMax:
    """``low`` to 0, ``high`` to 1, straight between and flat beyond.

    Examples:
      >>> here = jnp.ones(3, bool)
      >>> print(min_max(0, 10).apply(jnp.array([-2.0, 5.0, 20.0]), here, ()))
      [0.  0.5 1. ]
    """
    return MinMax(*_ordered(low, high, "min_max"))


def running_min_max(*, axis_name: str | None = None) -> RunningMinMax:
    """The least value seen to 0 and the largest to 1.

    Args:
      axis_name: Mapped axis of devices whose batches are seen together.
    """
    return RunningMinMax(axis_name)


def log_sigmoid(reference: Number = 0.0) -> LogSigmoid:
    r"""Log-sigmoid-centred reward: a bounded bonus, an unbounded penalty.

    .. math:: u = \log \sigma(r - r_{\mathrm{ref}})

    Summed over objectives it is a soft logical AND. The paper takes the 85th
    percentile of the reference policy's samples for the *prompt*: on rewards
    calibrated with ``centre=0.85`` that is 0.

    Args:
      reference: The reward that counts as good, in the units that come in.

    Examples:
      >>> print(f"{log_sigmoid().apply(jnp.zeros(1), jnp.ones(1, bool), ())[0]:.4f}")
      -0.6931

    References:
      Wang et al., Transforming and Combining Rewards for Aligning Large Language
      Models (arXiv:2402.00742), 2024, Section 2.
    """
    return LogSigmoid(finite(reference, "log_sigmoid reference"))


def _between(values: Values, low: Number, high: Number) -> Values:
    """0 at ``low``, 1 at ``high``, clipped; a half where the two are one."""
    span = high - low
    wide = span > 0
    share = jnp.clip((values - low) / jnp.where(wide, span, 1), 0, 1)
    return jnp.where(wide, share, 0.5).astype(values.dtype)


def _ordered(low: Number, high: Number, where: str) -> tuple[Number, Number]:
    low, high = finite(low, f"{where} low"), finite(high, f"{where} high")
    known = not isinstance(low, Tracer) and not isinstance(high, Tracer)
    if known and not low < high:
        raise InputError(f"low {low:g} is not below high {high:g}", where=where)
    return low, high
