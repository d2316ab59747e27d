"""A non-dominated set of fixed size that lives in the state of a compiled loop."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from morl.errors import InputError
from morl.pareto.dominance import crowding_distance, non_dominated


class Archive(NamedTuple):
    """The best points seen, in the first places, and what each stands for.

    Attributes:
      points: Reward vectors, maximised; 0 in places that are not filled.
      payload: Index of what gave each point, such as a row of a table; -1 if none.
      filled: Places that hold a point.
    """

    points: Float[Array, "c k"]
    payload: Int[Array, " c"]
    filled: Bool[Array, " c"]


def init_archive(capacity: int, num_objectives: int) -> Archive:
    """An archive without points.

    Args:
      capacity: Most points that it keeps, at least 1.
      num_objectives: Length of their reward vectors, at least 1.

    Returns:
      The archive, in the default floating type.

    Raises:
      InputError: A size below 1.

    Examples:
      >>> init_archive(2, 3).filled.tolist()
      [False, False]
    """
    if capacity < 1 or num_objectives < 1:
        raise InputError(
            f"found capacity {capacity} and {num_objectives} objectives, expected at "
            "least 1 of each",
            where="init_archive",
        )
    return Archive(
        jnp.zeros((capacity, num_objectives)),
        jnp.full(capacity, -1),
        jnp.zeros(capacity, bool),
    )


def update_archive(
    archive: Archive,
    points: Real[Array, "n k"],
    payload: Int[Array, " n"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Archive:
    """The archive with new points in it, and without those that are now dominated.

    Of equal points the first stays, so copies never fill it. Beyond its capacity the
    point of least crowding distance is dropped, again and again, with the distances
    taken anew each time; of equally crowded ones the newest goes. The ends of each
    objective are the last to go. What was dropped for room is forgotten, so a later
    point may enter that the dropped one dominates.

    Args:
      archive: What was kept so far.
      points: New reward vectors; finite, except in masked rows.
      payload: Index of what gave each of them.
      mask: New points that count; None for all.

    Returns:
      The new archive, oldest points first, of the same shapes and types.

    Raises:
      InputError: A number of objectives that is not the archive's.

    Examples:
      >>> archive = init_archive(3, 2)
      >>> points = jnp.array([[1.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
      >>> update_archive(archive, points, jnp.arange(3)).payload.tolist()
      [1, 2, -1]

    References:
      Kukkonen and Deb, Improved Pruning of Non-Dominated Solutions Based on Crowding
      Distance for Bi-Objective Optimization Problems, CEC 2006.
    """
    capacity, k = archive.points.shape
    if points.shape[1] != k:
        raise InputError(
            f"found {points.shape[1]} objectives, expected the archive's {k}",
            where="update_archive",
        )
    valid = jnp.ones(len(points), bool) if mask is None else mask
    new = jnp.where(valid[:, None], points.astype(archive.points.dtype), 0)
    pool = jax.lax.stop_gradient(jnp.concatenate([archive.points, new]))
    kept = _first_undominated(pool, jnp.concatenate([archive.filled, valid]))
    kept = _thinned(pool, kept, capacity)
    order = jnp.argsort(~kept, stable=True)[:capacity]
    filled = kept[order]
    labels = jnp.concatenate([archive.payload, payload.astype(archive.payload.dtype)])
    return Archive(
        jnp.where(filled[:, None], pool[order], 0),
        jnp.where(filled, labels[order], -1),
        filled,
    )


def _first_undominated(
    pool: Float[Array, "m k"], valid: Bool[Array, " m"]
) -> Bool[Array, " m"]:
    """Non-dominated points, only the first of equal ones."""
    kept = non_dominated(pool, mask=valid)
    equal = (pool[None] == pool[:, None]).all(axis=-1)
    earlier = jnp.tril(equal & kept[None], k=-1).any(axis=1)
    return kept & ~earlier


def _thinned(
    pool: Float[Array, "m k"], kept: Bool[Array, " m"], capacity: int
) -> Bool[Array, " m"]:
    """At most ``capacity`` of the kept points: the most crowded are dropped."""
    m = len(pool)
    most = jnp.finfo(pool.dtype).max

    def drop(kept: Bool[Array, " m"]) -> Bool[Array, " m"]:
        crowding = crowding_distance(pool, jnp.where(kept, 0, m))
        # The ends are infinitely far, but still before those that are out already.
        crowding = jnp.where(kept, jnp.minimum(crowding, most), jnp.inf)
        return kept.at[m - 1 - jnp.argmin(crowding[::-1])].set(False)

    return jax.lax.while_loop(lambda kept: kept.sum() > capacity, drop, kept)
