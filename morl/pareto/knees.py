"""Knee points: where a front gives up much for little. Two ways to measure it."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.numerics import length
from morl.pareto.kept import fill_masked, same_objectives


def knee_distance(
    points: Real[Array, "n k"], *, mask: Bool[Array, " n"] | None = None
) -> Float[Array, " n"]:
    r"""Signed distance of each point beyond the plane through the extreme points.

    Each objective is brought to the range 0 to 1 over the points. With :math:`e_k` the
    point of the largest reward :math:`k` (the largest sum of the others among equals)
    and :math:`h` the plane :math:`h \cdot e_k = 1`,

    .. math:: d(r) = \frac{h \cdot r - 1}{\|h\|}

    The knee is the point of the largest distance. It is positive where the front bulges
    outwards, 0 at the extremes, negative on concave parts. Where extremes coincide,
    :math:`h` is the plane of least norm. Das takes the distance along the normal to the
    simplex of the extremes for a front without gaps, which is the same number.

    Args:
      points: Reward vectors, maximised, best without dominated ones; masked rows may
        hold NaN.
      mask: Points that count; None for all.

    Returns:
      One distance a point, in float32 at least; minus infinity where masked.

    Raises:
      InputError: No points, or no objectives.

    Examples:
      >>> print(knee_distance(jnp.array([[0.0, 4.0], [3.0, 3.0], [4.0, 0.0]])))
      [0.         0.35355338 0.        ]

    References:
      Das, On Characterizing the "Knee" of the Pareto Curve Based on Normal-Boundary
      Intersection, Structural Optimization 18, 1999.
    """
    scaled, kept = _to_unit_range(points, mask, where="knee_distance")
    extremes = scaled[_extremes(scaled)]
    ones = jnp.ones(points.shape[1], scaled.dtype)
    plane = jnp.linalg.pinv(extremes) @ ones
    size = length(plane)
    # No plane: a single point, or several equal ones, is its own extreme.
    none = size == 0
    beyond = jnp.where(none, 0, scaled @ plane - 1) / jnp.where(none, 1, size)
    return jnp.where(kept, beyond, -jnp.inf)


def trade_off(
    points: Real[Array, "n k"], *, mask: Bool[Array, " n"] | None = None
) -> Float[Array, " n"]:
    r"""Least that must be given up for one unit of gain when a point is left.

    .. math:: \mu(r_i) = \min_{j \neq i}
      \frac{\sum_k \max(r_{ik} - r_{jk}, 0)}{\sum_k \max(r_{jk} - r_{ik}, 0)}

    Each objective is brought to the range 0 to 1 over the points. Above 1, every
    exchange loses more than it gains; the knee is the point of the largest value. A
    dominated point has 0. A point that gains nothing over this one is no exchange, so
    a point that dominates all others, or has no other, has infinity.

    Args:
      points: Reward vectors, maximised; masked rows may hold NaN.
      mask: Points that count; None for all.

    Returns:
      One rate a point, in float32 at least; minus infinity where masked.

    Raises:
      InputError: No points, or no objectives.

    Examples:
      >>> print(trade_off(jnp.array([[0.0, 4.0], [3.0, 3.0], [4.0, 0.0]])))
      [0.33333334 3.         0.33333334]

    References:
      Rachmawati and Srinivasan, Multiobjective Evolutionary Algorithm With
      Controllable Focus on the Knees of the Pareto Front, IEEE Trans. Evol. Comput.
      13(4), 2009.
    """
    scaled, kept = _to_unit_range(points, mask, where="trade_off")
    change = scaled[None] - scaled[:, None]
    gain = jnp.sum(jnp.maximum(change, 0), axis=-1)
    loss = jnp.sum(jnp.maximum(-change, 0), axis=-1)
    # A gain of NaN is kept: it is no point that is gained nothing over.
    exchange = kept[None] & ~(gain <= 0)
    rate = jnp.where(exchange, loss / jnp.where(exchange, gain, 1), jnp.inf)
    return jnp.where(kept, jnp.min(rate, axis=1), -jnp.inf)


def _to_unit_range(
    points: Real[Array, "n k"], mask: Bool[Array, " n"] | None, *, where: str
) -> tuple[Float[Array, "n k"], Bool[Array, " n"]]:
    """Points scaled to 0..1 in each objective over the kept ones, and the mask."""
    kind = same_objectives(points, points, where=where)
    filled, _ = fill_masked(points, mask, kind)
    kept = jnp.ones(points.shape[0], bool) if mask is None else mask
    low, high = jnp.min(filled, axis=0), jnp.max(filled, axis=0)
    extent = jnp.where(high > low, high - low, 1)
    return (filled - low[None]) / extent[None], kept


def _extremes(scaled: Float[Array, "n k"]) -> Array:
    """Index of the point with the largest reward in each objective, then in the sum."""
    order = jnp.argsort(-jnp.sum(scaled, axis=1))
    return order[jnp.argmax(scaled[order], axis=0)]
