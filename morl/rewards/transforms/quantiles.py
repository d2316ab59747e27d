"""A reward as the share of a sample that lies below it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from morl.errors import InputError
from morl.rewards.gates import STATIC
from morl.rewards.schedule import Number
from morl.rewards.transforms.transform import Here, State, Transform, Values


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Quantile(Transform):
    """Built by :func:`quantile`."""

    sample: Any

    def apply(self, values: Values, present: Here, state: State) -> Values:
        """Shares in [0, 1]."""
        del state
        sample = jnp.asarray(self.sample)
        return _share_below(jnp.where(present, values, 0), sample, sample.size)

    def ceiling(self, high: Number | None) -> Number | None:
        """One."""
        del high
        return 1.0

    def __eq__(self, other: object) -> bool:
        """Whether the samples are equal."""
        if not isinstance(other, Quantile):
            return NotImplemented
        return np.array_equal(self.sample, other.sample)

    def __hash__(self) -> int:
        """Equal samples have equal hashes."""
        return hash(np.asarray(self.sample).tobytes())


class Sample(NamedTuple):
    """The latest values, in a ring: infinite where there is none yet."""

    values: Float[Array, " n"]
    count: Int[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RunningQuantile(Transform):
    """Built by :func:`running_quantile`."""

    size: int = field(default=1024, metadata=STATIC)

    def init(self) -> Sample:
        """Nothing seen."""
        return Sample(jnp.full(self.size, jnp.inf), jnp.zeros((), jnp.int32))

    def observe(self, values: Values, present: Here, state: Sample) -> Sample:
        """The ring with the batch written over its oldest values."""
        flat, here = values.reshape(-1).astype(jnp.float32), present.reshape(-1)
        rank = jnp.cumsum(here) - 1
        arrived = jnp.sum(here)
        # Of a batch longer than the ring only the end stays; each place is then
        # written once, whatever the order of writing.
        lasts = here & (rank >= arrived - self.size)
        place = jnp.where(lasts, (state.count + rank) % self.size, self.size)
        ring = state.values.at[place].set(flat, mode="drop")
        # The count keeps its remainder and stops growing, so that it never overflows.
        count = state.count + arrived
        wrapped = self.size + count % self.size
        return Sample(ring, jnp.where(count > self.size, wrapped, count))

    def apply(self, values: Values, present: Here, state: Sample) -> Values:
        """Shares in [0, 1]; a half before anything was seen."""
        filled = jnp.minimum(state.count, self.size)
        ordered = jnp.sort(state.values)
        return _share_below(jnp.where(present, values, 0), ordered, filled)

    def ceiling(self, high: Number | None) -> Number | None:
        """One."""
        del high
        return 1.0


def quantile(sample: Any) -> Quantile:
    """The share of a frozen sample that lies below, ties counted half.

    Args:
      sample: One-dimensional values, such as the reference policy's; saved with the
        composition.

    Examples:
      >>> here = jnp.ones(3, bool)
      >>> print(quantile([1.0, 2.0]).apply(jnp.array([0.0, 1.5, 2.0]), here, ()))
      [0.   0.5  0.75]
    """
    values = np.sort(np.asarray(sample, np.float32))
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(
            f"found shape {values.shape}, expected one axis of finite values",
            where="quantile sample",
        )
    return Quantile(values)


def running_quantile(*, size: int = 1024) -> RunningQuantile:
    """The share of the latest values that lies below, ties counted half.

    Args:
      size: How many values are remembered.
    """
    if size < 1:
        raise InputError(f"found {size}, expected 1 or more", where="running_quantile")
    return RunningQuantile(size)


def _share_below(
    values: Values, ordered: Float[Array, " n"], count: Int[Array, ""] | int
) -> Values:
    below = jnp.searchsorted(ordered, values, side="left")
    upto = jnp.searchsorted(ordered, values, side="right")
    share = (below + jnp.minimum(upto, count)) / (2 * jnp.maximum(count, 1))
    return jnp.where(count > 0, share, 0.5).astype(values.dtype)
