"""What each point alone adds to the hypervolume, under jit."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.pareto import dominance
from morl.pareto.hypervolume import (
    GRID_CELLS,
    expect_few_objectives,
    extents_above,
    volume,
)


def hypervolume_contributions(
    points: Float[Array, "n k"],
    reference: Float[Array, " r"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, " n"]:
    r"""What the hypervolume loses when one point is taken away, for each point.

    .. math:: HV(P, z) - HV(P \setminus p, z) = \prod_k (p_k - z_k)_+ -
      HV(\{\min(q, p) : q \in P \setminus p\}, z)

    The right side is computed: its rounding errors are those of the point's own box,
    not of the whole volume. It takes ``n`` hypervolumes, as many at once as their
    grids together fit into ``GRID_CELLS`` of :mod:`morl.pareto.hypervolume`.

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
    n, k = extents.shape

    # Recomputed in the backward pass, which would otherwise keep all the grids.
    @jax.checkpoint
    def alone(place: Int[Array, ""]) -> Float[Array, ""]:
        own = extents[place]
        shared = jnp.where(extents < own[None], extents, own[None])
        others = jnp.arange(n) != place
        return jnp.prod(own) - volume(jnp.where(others[:, None], shared, 0))

    together = max(1, min(n, GRID_CELLS // n ** max(k - 1, 1)))
    found = jax.lax.map(alone, jnp.arange(n), batch_size=together)
    fixed = jax.lax.stop_gradient(extents)
    copies = (fixed[None] == fixed[:, None]).all(axis=-1).sum(axis=1)
    counts = dominance.non_dominated(fixed) & (copies == 1) & (found > 0)
    broken = jnp.isnan(extents).any()
    return jnp.where(broken, jnp.nan, jnp.where(counts, found, 0))
