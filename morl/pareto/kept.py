"""Sets of points under static shapes: rows that do not count, and what stands there."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, DTypeLike, Float, Real

from morl.errors import InputError


def same_objectives(
    first: Real[Array, "n a"], second: Real[Array, "m b"], *, where: str
) -> DTypeLike:
    """The type that both sets are computed in: float32, or float64 if either is.

    Args:
      first: Points or weightings, one a row.
      second: Others, one a row.
      where: The caller, which messages start with.

    Returns:
      The wider of the two types, at least float32.

    Raises:
      InputError: A set without rows, or sets of different numbers of objectives.
    """
    if first.shape[1] != second.shape[1] or not first.shape[1]:
        raise InputError(
            f"found {first.shape[1]} and {second.shape[1]} objectives, expected as "
            "many of each, at least one",
            where=where,
        )
    if not first.shape[0] or not second.shape[0]:
        raise InputError(
            f"found {first.shape[0]} and {second.shape[0]} rows, expected at least "
            "one of each",
            where=where,
        )
    double = jnp.float64 in (first.dtype, second.dtype)
    return jnp.dtype(jnp.float64 if double else jnp.float32)


def fill_masked(
    points: Real[Array, "n k"], mask: Bool[Array, " n"] | None, kind: DTypeLike
) -> tuple[Float[Array, "n k"], Bool[Array, ""]]:
    """The points, with a copy of the first kept one wherever the mask is False.

    An indicator of a *set* (one that takes a minimum or maximum over points) has the
    same value with a point repeated, so what is masked drops out without a second
    rule. The copy is differentiable: where a minimum is shared between copies, their
    parts of the gradient add up at the original.

    Args:
      points: One reward vector a row; masked rows may hold NaN.
      mask: Rows that count; None for all.
      kind: Type to compute in.

    Returns:
      The filled points (zeros where nothing is kept), and whether any point is kept.
    """
    points = points.astype(kind)
    if mask is None:
        return points, jnp.ones((), bool)
    some = jnp.any(mask)
    first = jnp.where(some, points[jnp.argmax(mask)], 0)
    return jnp.where(mask[:, None], points, first[None]), some
