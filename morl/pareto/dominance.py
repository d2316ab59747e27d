"""Dominance under jit: who is undominated, the fronts, and how crowded they are."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from morl.pareto.carry import zeros_beside
from morl.pareto.kept import same_objectives

# Points whose ranks are settled together. Smaller blocks cost more steps of the scan,
# larger ones more rounds within a block; on two cores 32 to 128 are alike.
BLOCK = 64


def non_dominated(
    points: Real[Array, "n k"], *, mask: Bool[Array, " n"] | None = None
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
    better = (columns[:, :, None] > columns[:, None]).any(axis=0)
    return valid & ~(_at_least(columns, columns) & better).any(axis=0)


def front_rank(
    points: Real[Array, "n k"], *, mask: Bool[Array, " n"] | None = None
) -> Int[Array, " n"]:
    r"""Front of each point: 0 for the non-dominated, 1 for those behind them alone.

    The rank is the length of the longest chain of points that dominate one another and
    ends in the point. In lexicographic order all that dominate a point stand before it,
    and are those that are at least as good in the other objectives: blocks of points
    are ranked one after the other, each against what stands before,
    :math:`O(k n^2)` whatever the number of fronts. No array of all pairs is made.

    Args:
      points: Reward vectors, maximised; masked ones may hold NaN, others not.
      mask: Points that count; None for all.

    Returns:
      The ranks; equal points share one. Points that do not count get rank ``n``.

    Raises:
      InputError: No points, or no objectives.

    Examples:
      >>> front_rank(jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
      [1, 0, 0]

    References:
      Deb et al., NSGA-II, 2002, section III A, defines the fronts; its own procedure
      removes them one by one.
    """
    kind, n = same_objectives(points, points, where="front_rank"), len(points)
    valid = jnp.ones(n, bool) if mask is None else mask
    points = jnp.where(valid[:, None], points.astype(kind), -jnp.inf)
    order = jnp.lexsort(tuple(-points.T[::-1]))
    ordered = points[order]
    # Copies would count as ahead of one another: only the first of each is ranked.
    first = jnp.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    leader = jax.lax.cummax(jnp.where(first, jnp.arange(n), 0))
    depth = _depths(ordered[:, 1:].T, first)[leader]
    rank = jnp.zeros(n, jnp.int32).at[order].set(depth - 1, unique_indices=True)
    return jnp.where(valid, rank, n)


def _depths(
    columns: Float[Array, "j n"], counted: Bool[Array, " n"]
) -> Int[Array, " n"]:
    """Ranks plus 1 of points in lexicographic order; 0 for those that do not count."""
    objectives, n = columns.shape
    size = min(BLOCK, n)
    blank = -n % size
    columns = jnp.pad(columns, ((0, 0), (0, blank)), constant_values=-jnp.inf)
    counted = jnp.pad(counted, (0, blank))

    def step(depth: Int[Array, " m"], start: Int[Array, ""]) -> tuple:
        block = jax.lax.dynamic_slice(columns, (0, start), (objectives, size))
        ranked = jax.lax.dynamic_slice(counted, (start,), (size,))
        ahead = jnp.where(_at_least(columns, block), depth[:, None], 0)
        earlier = jnp.triu(_at_least(block, block) & ranked[:, None], k=1)
        settled = _longest_chains(earlier, jnp.max(ahead, axis=0))
        settled = jnp.where(ranked, settled + 1, 0)
        return jax.lax.dynamic_update_slice(depth, settled, (start,)), None

    depth = zeros_beside(counted, (n + blank,), jnp.int32)
    return jax.lax.scan(step, depth, jnp.arange(0, n + blank, size))[0][:n]


def _at_least(
    above: Float[Array, "k m"], below: Float[Array, "k b"]
) -> Bool[Array, "m b"]:
    """Which of ``above`` are nowhere lower than each of ``below``."""
    return (above[:, :, None] >= below[:, None]).all(axis=0)


def _longest_chains(
    ahead: Bool[Array, "b b"], least: Int[Array, " b"]
) -> Int[Array, " b"]:
    """Ranks in a block, from those that the points before it require."""

    def deepen(rank: Int[Array, " b"]) -> Int[Array, " b"]:
        chain = jnp.max(jnp.where(ahead, rank[:, None] + 1, 0), axis=0)
        return jnp.maximum(rank, chain)

    deeper = lambda state: (deepen(state[0]), state[0])
    grows = lambda state: (state[0] != state[1]).any()
    return jax.lax.while_loop(grows, deeper, (deepen(least), least))[0]


def crowding_distance(
    points: Real[Array, "n k"], rank: Int[Array, " n"]
) -> Float[Array, " n"]:
    r"""Crowding distance of each point among those of its rank.

    .. math:: c_i = \sum_k \frac{r_k^{next} - r_k^{previous}}{r_k^{max} - r_k^{min}}

    over the neighbours in each objective; infinite at both ends of an objective. The
    extent is that of the front: the paper leaves open whose maximum and minimum it
    means. Values that tie are in the order of the rows, so of several points at an end
    one is infinite. An objective in which the front has no extent adds 0 to the points
    between. pymoo divides by the number of objectives too, which changes no order.

    Args:
      points: Reward vectors; finite, except where the rank is ``n`` or more.
      rank: Front of each point.

    Returns:
      The distances, in float32 at least; 0 where the rank is ``n`` or more.

    Raises:
      InputError: No points, or no objectives.

    Examples:
      >>> points = jnp.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])
      >>> crowding_distance(points, jnp.zeros(3, int)).tolist()
      [inf, 2.0, inf]

    References:
      Deb et al., NSGA-II, 2002, section III B.
    """
    kind = same_objectives(points, points, where="crowding_distance")
    counted = rank < len(points)
    points = jnp.where(counted[:, None], points.astype(kind), 0)
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
