"""Dominance under jit: who is undominated, the fronts, and how crowded they are."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# Points whose ranks are settled together. Smaller blocks cost more steps of the scan,
# larger ones more rounds within a block; on two cores 32 to 128 are alike.
BLOCK = 64


def non_dominated(
    points: Float[Array, "n k"], *, mask: Bool[Array, " n"] | None = None
) -> Bool[Array, " n"]:
    """Whether no other point is at least as good everywhere and better somewhere.

    All pairs are compared at once, which takes :math:`n^2` bytes.

    Args:
      points: Reward vectors, maximised; masked ones may hold NaN.
      mask: Points that count; None for all.

    Returns:
      One flag a point; equal points keep each other, masked ones are never kept.

    Examples:
      >>> points = jnp.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [1.0, 1.0]])
      >>> non_dominated(points).tolist()
      [True, True, True, False]
    """
    valid = jnp.ones(len(points), bool) if mask is None else mask
    columns = jnp.where(valid[:, None], points, -jnp.inf).T
    return valid & ~_dominated(columns, columns).any(axis=1)


def front_rank(
    points: Float[Array, "n k"], *, mask: Bool[Array, " n"] | None = None
) -> Int[Array, " n"]:
    r"""Front of each point: 0 for the non-dominated, 1 for those behind them alone.

    The rank is the length of the longest chain of points that dominate one another and
    ends in the point. In lexicographic order all that dominate a point stand before it,
    so blocks of points are ranked one after the other, each against what stands before:
    :math:`O(k n^2)` whatever the number of fronts.

    Args:
      points: Reward vectors, maximised; masked ones may hold NaN.
      mask: Points that count; None for all.

    Returns:
      The ranks; equal points share one. Points that do not count get rank ``n``.

    Examples:
      >>> front_rank(jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
      [1, 0, 0]

    References:
      Deb et al., NSGA-II, 2002, section III A, defines the fronts; its own procedure
      removes them one by one.
    """
    n, k = points.shape
    valid = jnp.ones(n, bool) if mask is None else mask
    points = jnp.where(valid[:, None], points, -jnp.inf)
    order = jnp.lexsort(tuple(-points.T[::-1]))
    size = min(BLOCK, n)
    num_blocks = -(-n // size)
    blank = ((0, num_blocks * size - n), (0, 0))
    columns = jnp.pad(points[order], blank, constant_values=-jnp.inf).T

    def step(depth: Int[Array, " m"], number: Int[Array, ""]) -> tuple:
        block = jax.lax.dynamic_slice(columns, (0, number * size), (k, size))
        # A depth is the rank plus 1, and 0 for points that have no rank yet.
        ahead = jnp.where(_dominated(block, columns), depth[None], 0)
        settled = _longest_chains(_dominated(block, block), jnp.max(ahead, axis=1))
        return jax.lax.dynamic_update_slice(depth, settled + 1, (number * size,)), None

    depth = jnp.zeros(num_blocks * size, jnp.int32)
    depth, _ = jax.lax.scan(step, depth, jnp.arange(num_blocks))
    rank = jnp.zeros(n, jnp.int32).at[order].set(depth[:n] - 1)
    return jnp.where(valid, rank, n)


def _dominated(
    below: Float[Array, "k b"], above: Float[Array, "k m"]
) -> Bool[Array, "b m"]:
    """Which points of ``above`` dominate each of ``below``; one objective a row."""
    at_least = (above[:, None] >= below[:, :, None]).all(0)
    return at_least & (above[:, None] > below[:, :, None]).any(0)


def _longest_chains(
    dominated: Bool[Array, "b b"], least: Int[Array, " b"]
) -> Int[Array, " b"]:
    """Ranks in a block, from those that the points before it require."""

    def deepen(state: tuple) -> tuple:
        rank, _ = state
        chain = jnp.max(jnp.where(dominated, rank[None] + 1, 0), axis=1)
        longer = jnp.maximum(rank, chain)
        return longer, (longer != rank).any()

    rank, _ = jax.lax.while_loop(lambda s: s[1], deepen, (least, jnp.array(True)))
    return rank


def crowding_distance(
    points: Float[Array, "n k"], rank: Int[Array, " n"]
) -> Float[Array, " n"]:
    r"""Crowding distance of each point among those of its rank.

    .. math:: c_i = \sum_k \frac{r_k^{next} - r_k^{previous}}{r_k^{max} - r_k^{min}}

    over the neighbours in each objective; infinite at both ends of an objective.

    Args:
      points: Reward vectors; finite, except where the rank is ``n`` or more.
      rank: Front of each point.

    Returns:
      The distances; 0 where the rank is ``n`` or more.

    Examples:
      >>> points = jnp.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])
      >>> crowding_distance(points, jnp.zeros(3, int)).tolist()
      [inf, 2.0, inf]

    References:
      Deb et al., NSGA-II, 2002, section III B.
    """
    n = len(points)
    counted = rank < n
    points = jnp.where(counted[:, None], points, 0)
    along = jax.vmap(lambda values: _gaps(values, rank))(points.T)
    return jnp.where(counted, jnp.sum(along, axis=0), 0)


def _gaps(values: Float[Array, " n"], rank: Int[Array, " n"]) -> Float[Array, " n"]:
    """Share of a front's extent between the neighbours of each point."""
    n = len(values)
    places = jnp.arange(n)
    ranked, ordered, order = jax.lax.sort((rank, values, places), num_keys=2)
    changes = ranked[1:] != ranked[:-1]
    edge = jnp.ones(1, bool)
    first, last = jnp.concatenate([edge, changes]), jnp.concatenate([changes, edge])
    start = jax.lax.cummax(jnp.where(first, places, 0))
    end = jax.lax.cummin(jnp.where(last, places, n - 1), reverse=True)
    extent = ordered[end] - ordered[start]
    gap = jnp.roll(ordered, -1) - jnp.roll(ordered, 1)
    share = jnp.where(extent > 0, gap / jnp.where(extent > 0, extent, 1), 0)
    share = jnp.where(first | last, jnp.inf, share)
    return jnp.zeros_like(values).at[order].set(share)
