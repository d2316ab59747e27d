"""Whether points follow their weightings, and how evenly they are spread."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.errors import InputError
from morl.numerics import length, masked_mean
from morl.pareto.kept import same_objectives


def mean_inner_product(
    points: Real[Array, "n k"],
    weights: Float[Array, "n k"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Mean of each point's reward under the weighting it was made for.

    .. math:: MIP = \frac{1}{n} \sum_i w_i \cdot r_i

    Larger is better. Rows are matched: a method that ignores its weighting scores
    lower than one that follows it, even if their sets of points are the same.

    Args:
      points: Reward vector that each weighting reached; masked rows may hold NaN.
      weights: Weighting of each point, row by row.
      mask: Rows that count; None for all.

    Returns:
      The mean, in float32 at least; 0 where no row counts.

    Raises:
      InputError: No rows, or different numbers of them or of objectives.

    Examples:
      >>> print(mean_inner_product(jnp.array([[4.0, 0.0], [0.0, 2.0]]), jnp.eye(2)))
      3.0

    References:
      Zhong et al., Panacea: Pareto Alignment via Preference Adaptation for LLMs
      (arXiv:2402.02030), 2024 ("inner product").
    """
    kind = same_objectives(points, weights, where="mean_inner_product")
    if points.shape != weights.shape:
        raise InputError(
            f"found {points.shape[0]} points and {weights.shape[0]} weightings, "
            "expected one weighting a point",
            where="mean_inner_product",
        )
    kept = jnp.ones(points.shape[0], bool) if mask is None else mask
    rewards = jnp.where(kept[:, None], points, 0).astype(kind)
    asked = jnp.where(kept[:, None], weights, 0).astype(kind)
    return masked_mean(jnp.sum(rewards * asked, axis=1), kept)


def spacing(
    points: Real[Array, "n k"], *, mask: Bool[Array, " n"] | None = None
) -> Float[Array, ""]:
    r"""Standard deviation of the distances from each point to its nearest other.

    .. math:: S = \sqrt{\frac{1}{n - 1} \sum_i (\bar d - d_i)^2}, \quad
      d_i = \min_{j \neq i} \sum_k |r_{ik} - r_{jk}|

    0 where the points are evenly spread, and for fewer than three points. It says
    nothing of how far the points reach, and depends on the objectives' units. This is
    Schott's definition; other implementations take Euclidean distances or divide by
    :math:`n`.

    Args:
      points: Reward vectors; masked rows may hold NaN.
      mask: Points that count; None for all.

    Returns:
      The deviation, in float32 at least.

    Raises:
      InputError: No points, or no objectives.

    Examples:
      >>> points = jnp.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])
      >>> print(f"{spacing(points):.6f}")
      2.309401

    References:
      Schott, Fault Tolerant Design Using Single and Multicriteria Genetic Algorithm
      Optimization, MIT, 1995.
    """
    kind = same_objectives(points, points, where="spacing")
    num = points.shape[0]
    kept = jnp.ones(num, bool) if mask is None else mask
    clean = jnp.where(kept[:, None], points, 0).astype(kind)
    between = jnp.sum(jnp.abs(clean[:, None] - clean[None]), axis=-1)
    others = kept[:, None] & kept[None] & ~jnp.eye(num, dtype=bool)
    paired = jnp.any(others, axis=1)
    nearest = jnp.min(jnp.where(others, between, jnp.inf), axis=1)
    nearest = jnp.where(paired, nearest, 0)
    deviation = jnp.where(paired, nearest - masked_mean(nearest, paired), 0)
    freedom = jnp.maximum(jnp.sum(paired, dtype=kind) - 1, 1)
    return length(deviation) / jnp.sqrt(freedom)
