"""How far a front is from a set of points: inverted generational distance, and plus."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.numerics import length
from morl.pareto.kept import fill_masked, same_objectives


def igd(
    points: Real[Array, "n k"],
    front: Real[Array, "m k"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Mean distance from the points of a front to the nearest point found.

    .. math:: IGD(A, Z) = \frac{1}{|Z|} \sum_{z \in Z} \min_{a \in A} \|z - a\|_2

    Smaller is better. It can prefer a set whose every point is dominated by the other
    set: :func:`igd_plus` cannot. Other definitions take the root of the mean square, or
    divide the root of the sum of squares by :math:`|Z|`; this is the plain mean.

    Args:
      points: Reward vectors found, maximised; masked rows may hold NaN.
      front: Reward vectors of the front that is aimed at.
      mask: Points that count; None for all.

    Returns:
      The mean distance, in float32 at least; infinite where no point counts,
      NaN where one that counts holds NaN.

    Raises:
      InputError: No rows, or different numbers of objectives.

    Examples:
      >>> front = jnp.array([[10.0, 0], [6, 1], [2, 2], [1, 6], [0, 10]])
      >>> found = -jnp.array([[4.0, 2], [3, 3], [2, 4]])
      >>> print(f"{igd(found, -front):.6f}")
      3.707092

    References:
      Coello Coello and Reyes Sierra, A Study of the Parallelization of a Coevolutionary
      Multi-objective Evolutionary Algorithm, MICAI 2004.
    """
    kind = same_objectives(points, front, where="igd")
    kept, some = fill_masked(points, mask, kind)
    gaps = front.astype(kind)[:, None] - kept[None]
    return jnp.where(some, jnp.mean(jnp.min(length(gaps), axis=1)), jnp.inf)


def igd_plus(
    points: Real[Array, "n k"],
    front: Real[Array, "m k"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Mean shortfall of the points found from the points of a front.

    .. math:: IGD^+(A, Z) = \frac{1}{|Z|} \sum_{z \in Z} \min_{a \in A}
      \sqrt{\textstyle\sum_k \max(z_k - a_k, 0)^2}

    Smaller is better. Only what is missing counts, so a set is never worse than one
    it dominates, as it can be under :func:`igd`.

    Args:
      points: Reward vectors found, maximised; masked rows may hold NaN.
      front: Reward vectors of the front that is aimed at.
      mask: Points that count; None for all.

    Returns:
      The mean shortfall, in float32 at least; infinite where no point counts,
      NaN where one that counts holds NaN.

    Raises:
      InputError: No rows, or different numbers of objectives.

    Examples:
      >>> front = jnp.array([[10.0, 0], [6, 1], [2, 2], [1, 6], [0, 10]])
      >>> found = -jnp.array([[4.0, 2], [3, 3], [2, 4]])
      >>> print(f"{igd_plus(found, -front):.6f}")
      1.482843

    References:
      Ishibuchi et al., Modified Distance Calculation in Generational Distance and
      Inverted Generational Distance, EMO 2015 (for minimisation there).
    """
    kind = same_objectives(points, front, where="igd_plus")
    kept, some = fill_masked(points, mask, kind)
    gaps = jnp.maximum(front.astype(kind)[:, None] - kept[None], 0)
    return jnp.where(some, jnp.mean(jnp.min(length(gaps), axis=1)), jnp.inf)
