"""What each point alone adds to the hypervolume, under jit."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.pareto.carry import zeros_beside
from morl.pareto.hypervolume import expect_few_objectives, extents_above
from morl.pareto.sweep import Sweep, covers, fits, fold, in_slices, sweep


def hypervolume_contributions(
    points: Real[Array, "n k"],
    reference: Real[Array, " r"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, " n"]:
    r"""What the hypervolume loses when one point is taken away, for each point.

    .. math:: HV(P, z) - HV(P \setminus p, z) = \prod_k (p_k - z_k)_+ -
      HV(\{\min(q, p) : q \in P \setminus p\}, z)

    No difference of volumes is taken: the parts of the point's box that no other
    covers are added, so small contributions keep their digits. Time and memory are
    those of :func:`morl.pareto.hypervolume`, for all points together.

    Args:
      points: Reward vectors, maximised; masked ones may hold NaN.
      reference: As for :func:`morl.pareto.hypervolume.hypervolume`.
      mask: Points that count; None for all.

    Returns:
      One number at least 0 a point, in float32 at least: 0 for dominated and masked
      points and for each of a set of equal ones.

    Raises:
      InputError: No rows, lengths that do not match, or more than five objectives.

    Examples:
      >>> points = jnp.array([[5.0, 5.0], [4.0, 6.0], [2.0, 7.0], [7.0, 4.0]])
      >>> hypervolume_contributions(points, jnp.zeros(2)).tolist()
      [1.0, 2.0, 2.0, 8.0]

    References:
      While, Bradstreet and Barone, A Fast Way of Calculating Exact Hypervolumes, IEEE
      Transactions on Evolutionary Computation 16, 2012, for the right side.
    """
    expect_few_objectives(points, where="hypervolume_contributions")
    extents = extents_above(points, reference, mask, where="hypervolume_contributions")
    broken = jnp.isnan(extents).any()
    return jnp.where(broken, jnp.nan, exclusive(extents))


def exclusive(extents: Float[Array, "n k"]) -> Float[Array, " n"]:
    """What each box alone covers.

    Args:
      extents: Sides of the boxes, at least 0; each reaches from the origin.

    Returns:
      One volume a box.
    """
    n, k = extents.shape
    if k == 1:
        others = jnp.where(jnp.eye(n, dtype=bool), 0, extents.T)
        return jnp.maximum(extents[:, 0] - jnp.max(others, axis=1), 0)
    return _swept(extents) if fits(extents) else in_slices(exclusive, extents)


def _swept(extents: Float[Array, "n k"]) -> Float[Array, " n"]:
    """What each box alone covers, from the two highest over every cell."""
    sides = jnp.sort(extents[:, 1:-1], axis=0)
    shape = (len(extents),) * sides.shape[1]
    widths = jnp.ones((), extents.dtype)
    for side in sides.T:
        widths = jnp.multiply.outer(widths, jnp.diff(side, prepend=0))

    def step(state: tuple, box: Sweep) -> tuple[tuple, None]:
        top, second, owner, found = state
        reach = jnp.where(covers(box.sides, sides), box.sides[-1], 0)
        higher = reach > top
        second = jnp.where(higher, top, jnp.where(reach > second, reach, second))
        top, owner = jnp.where(higher, reach, top), jnp.where(higher, box.place, owner)
        # Heights that tie belong to nobody, and their gradient to no one either.
        gap = jnp.where(top > second, top - second, 0)
        if owner.ndim:
            # Summed apart: added one by one to the totals, a million cells lose digits.
            parts = jnp.zeros_like(found).at[owner].add(gap * widths)
            found = found + box.width * parts
        else:
            found = found.at[owner].add(box.width * gap)
        return (top, second, owner, found), None

    heights, owner = zeros_beside(extents, shape), zeros_beside(extents, shape, int)
    state = (heights, heights, owner, zeros_beside(extents, extents.shape[:1]))
    return fold(step, state, sweep(extents))[3]
