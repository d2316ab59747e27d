"""First states of loops."""

import jax.numpy as jnp
from jaxtyping import Array, DTypeLike


def zeros_beside(
    like: Array, shape: tuple[int, ...], kind: DTypeLike | None = None
) -> Array:
    """Zeros for a loop over ``like``, wherever it runs.

    Inside ``shard_map`` the state of a loop must be known to differ between devices
    from the start, if what the loop reads does.

    Args:
      like: What the loop reads; at least one number.
      shape: Shape of the state.
      kind: Its type; None for that of ``like``.

    Returns:
      The zeros.
    """
    zero = jnp.where(like.ravel()[0] > 0, 0, 0).astype(kind or like.dtype)
    return jnp.broadcast_to(zero, shape)
