"""Sums over masked entries that stay exact across micro-batches and devices."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class WeightedSum(NamedTuple):
    """A mean not yet divided: add two of them leaf by leaf, divide once at the end."""

    total: Float[Array, "*shape"]
    weight: Float[Array, "*shape"]

    @property
    def mean(self) -> Float[Array, "*shape"]:
        """The mean, and zero where nothing was counted."""
        return self.total / jnp.where(self.weight > 0, self.weight, 1)


def masked_sum(
    values: Float[Array, "*batch t"],
    mask: Bool[Array, "*batch t"],
    weights: Float[Array, "*batch t"] | None = None,
) -> WeightedSum:
    """Sums ``values`` where ``mask`` holds, whatever they are elsewhere.

    What computes ``values`` must stay finite off the mask, or its backward pass
    multiplies zero by NaN.

    Args:
      values: What is summed; entries off the mask may hold NaN.
      mask: Entries that count.
      weights: How much each entry counts; 1 where not given.

    Returns:
      The sum over all axes and the total weight, both in float32 (float64 stays).

    Examples:
      >>> masked_sum(jnp.array([1.0, jnp.nan]), jnp.array([True, False])).mean.item()
      1.0
    """
    kind = jnp.promote_types(values.dtype, jnp.float32)
    count = mask if weights is None else jnp.where(mask, weights, 0)
    scaled = values.astype(kind) * (1 if weights is None else count)
    # bfloat16 cannot count past 256 one by one: both sums accumulate in float32.
    kept = jnp.where(mask, scaled, 0)
    return WeightedSum(jnp.sum(kept, dtype=kind), jnp.sum(count, dtype=kind))


def masked_mean(
    values: Float[Array, "..."], mask: Bool[Array, "..."], axis: int = -1
) -> Float[Array, "..."]:
    """Mean along ``axis`` of the entries where ``mask`` holds; zero where none does."""
    kind = jnp.promote_types(values.dtype, jnp.float32)
    total = jnp.sum(jnp.where(mask, values, 0), axis=axis, dtype=kind)
    count = jnp.sum(mask, axis=axis, dtype=kind)
    return total / jnp.maximum(count, 1)
