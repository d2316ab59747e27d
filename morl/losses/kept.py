"""What a loss reads of its inputs: nothing off the mask, and float32 at least."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def kept(
    values: Float[Array, "..."], mask: Bool[Array, "..."] | None
) -> Float[Array, "..."]:
    """``values`` where the mask holds and zero elsewhere, in float32 (float64 stays).

    Applied to every input before any formula: off the mask an input may be NaN, and a
    finite formula of NaN has no finite derivative. Differences of bfloat16 are taken in
    float32 too, not only sums.

    Args:
      values: What a loss is given.
      mask: Entries that count; None where all do.

    Examples:
      >>> kept(jnp.array([1.0, jnp.nan]), jnp.array([True, False])).tolist()
      [1.0, 0.0]
    """
    wide = values if values.dtype == jnp.float64 else values.astype(jnp.float32)
    return wide if mask is None else jnp.where(mask, wide, 0)
