"""Exact hypervolume of up to five objectives under jit, vmap and grad."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.errors import InputError
from morl.pareto.carry import zeros_beside
from morl.pareto.dominance import non_dominated
from morl.pareto.kept import same_objectives
from morl.pareto.sweep import (
    Sweep,
    contract_cells,
    covers,
    fits,
    fold,
    in_slices,
    sweep,
)

MOST_OBJECTIVES = 5


def hypervolume(
    points: Real[Array, "n k"],
    reference: Real[Array, " r"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Volume that ``points`` dominate above ``reference``, exact for ``k`` up to 5.

    .. math:: HV(P, z) = \lambda\Big(\bigcup_{p \in P} \prod_k [z_k, \max(p_k, z_k)]
      \Big)

    Two objectives take :math:`O(n \log n)`. More take :math:`O(n^{k-1})` time and a
    grid of :math:`n^{k-2}` cells, and their gradient :math:`2 \sqrt n` such grids; a
    larger grid than ``GRID_CELLS`` of :mod:`morl.pareto.sweep` (n > 1024 and 101 for
    k = 4 and 5) is computed slice by slice. For single sets outside a compiled
    program, :func:`morl.pareto.host.hypervolume` is faster.

    The gradient is exact where it exists: 0 at dominated points and at those that do
    not exceed the reference everywhere. Equal points get equal parts of theirs. Where
    unequal points tie in an objective, it is a mixture of the gradients on the two
    sides of the tie.

    Args:
      points: Reward vectors, maximised; masked ones may hold NaN. Duplicates and
        dominated ones add nothing.
      reference: The point :math:`z`. A reward vector that does not exceed it in every
        objective counts nothing, never something negative.
      mask: Points that count; None for all.

    Returns:
      The volume, in float32 at least; 0 where no point counts, NaN where one that
      counts holds NaN.

    Raises:
      InputError: No rows, lengths that do not match, or more than five objectives.

    Examples:
      >>> points = jnp.array([[5.0, 5.0], [4.0, 6.0], [2.0, 7.0], [7.0, 4.0]])
      >>> print(hypervolume(points, jnp.zeros(2)))
      39.0

    References:
      Zitzler and Thiele, Multiobjective Optimization Using Evolutionary Algorithms,
      PPSN V, 1998; Emmerich and Deutz, Time Complexity and Zeros of the Hypervolume
      Indicator Gradient Field, EVOLVE III, 2014, for the gradient.
    """
    expect_few_objectives(points, where="hypervolume")
    extents = extents_above(points, reference, mask, where="hypervolume")
    extents = _share_among_equals(extents)
    broken = jnp.isnan(extents).any()
    if extents.shape[1] > 2:
        # A dominated point that ties with another would be given part of its gradient.
        kept = non_dominated(jax.lax.stop_gradient(extents))
        extents = jnp.where(kept[:, None], extents, 0)
    return jnp.where(broken, jnp.nan, volume(extents))


def expect_few_objectives(points: Real[Array, "n k"], *, where: str) -> None:
    """Refuses more objectives than an exact volume is computed for.

    Args:
      points: Reward vectors.
      where: The caller, which messages start with.

    Raises:
      InputError: More than five objectives.
    """
    if points.shape[1] > MOST_OBJECTIVES:
        raise InputError(
            f"found {points.shape[1]} objectives, expected at most {MOST_OBJECTIVES}; "
            "under jit morl.pareto.polar_hypervolume estimates the volume of any "
            f"number, and morl.pareto.host.{where} is exact for any, outside jit",
            where=where,
        )


def extents_above(
    points: Real[Array, "n k"],
    reference: Real[Array, " r"],
    mask: Bool[Array, " n"] | None,
    *,
    where: str,
) -> Float[Array, "n k"]:
    """How far each point exceeds the reference: 0 where it does not, or is masked.

    Args:
      points: Reward vectors, maximised; masked ones may hold NaN.
      reference: The point below what counts.
      mask: Points that count; None for all.
      where: The caller, which messages start with.

    Returns:
      The extents, in float32 at least.

    Raises:
      InputError: No rows, or lengths that do not match.
    """
    kind = same_objectives(points, reference[None], where=where)
    points, reference = points.astype(kind), reference.astype(kind)[None]
    # What is NaN is not below the reference, and is seen in the result.
    above = ~(points <= reference)
    above = above if mask is None else above & mask[:, None]
    return jnp.where(above, jnp.where(above, points, reference) - reference, 0)


@jax.custom_jvp
def _share_among_equals(points: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """The points; the gradient of each is the mean over all that equal it."""
    return points


@_share_among_equals.defjvp
def _share_tangents(primals: tuple, tangents: tuple) -> tuple:
    (points,), (slopes,) = primals, tangents
    n = len(points)
    order = jnp.lexsort(tuple(points.T))
    ordered = points[order]
    changes = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(changes)])
    group = jnp.zeros(n, int).at[order].set(group)
    size = jax.ops.segment_sum(jnp.ones(n, slopes.dtype), group, n)
    total = jax.ops.segment_sum(slopes, group, n)
    return points, total[group] / size[group][:, None]


def volume(extents: Float[Array, "n k"]) -> Float[Array, ""]:
    """Volume of the union of the boxes that reach from the origin to each row.

    Args:
      extents: Sides of the boxes, at least 0.

    Returns:
      The volume, in the type of the sides.
    """
    k = extents.shape[1]
    if k == 1:
        return jnp.max(extents)
    if k == 2:
        return _staircase(extents)
    return _swept(extents) if fits(extents) else in_slices(volume, extents)


def _staircase(extents: Float[Array, "n 2"]) -> Float[Array, ""]:
    """Area, from the boxes in order of falling width: each adds its rise."""
    wide, high = extents[jnp.lexsort(tuple(-extents.T[::-1]))].T
    fixed = jax.lax.stop_gradient(high)
    before = jnp.concatenate([jnp.zeros(1, high.dtype), jax.lax.cummax(fixed)[:-1]])
    rises = fixed > before
    step = jnp.where(rises, jnp.arange(len(high)), -1)
    last = jnp.concatenate([-jnp.ones(1, step.dtype), jax.lax.cummax(step)[:-1]])
    # The height is taken from its point, not from the running maximum, whose gradient
    # would be shared with points of the same height behind it.
    floor = jnp.where(last >= 0, high[last], 0)
    return jnp.sum(jnp.where(rises, wide * (high - floor), 0))


def _swept(extents: Float[Array, "n k"]) -> Float[Array, ""]:
    """Volume, from the heights that the boxes reach as the first objective falls."""
    sides = jnp.sort(extents[:, 1:-1], axis=0)

    def step(state: tuple, box: Sweep) -> tuple[tuple, None]:
        heights, total = state
        higher = covers(box.sides, sides) & (box.sides[-1] > heights)
        heights = jnp.where(higher, box.sides[-1], heights)
        return (heights, total + box.width * heights), None

    heights = zeros_beside(extents, (len(extents),) * sides.shape[1])
    _, total = fold(step, (heights, heights), sweep(extents))
    return contract_cells(total, sides)
