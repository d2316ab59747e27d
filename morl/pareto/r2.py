"""The R2 indicator: expected Chebyshev shortfall from an ideal point."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.errors import InputError
from morl.pareto.kept import fill_masked, same_objectives


def r2(
    points: Real[Array, "n k"],
    directions: Float[Array, "m k"],
    *,
    ideal: Real[Array, " k"],
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Mean over directions of the least weighted Chebyshev shortfall from the ideal.

    .. math:: R2(A, W) = \frac{1}{|W|} \sum_{w \in W} \min_{a \in A} \max_k
      w_k \max(z_k - a_k, 0)

    Smaller is better, 0 where a point reaches the ideal. A reward above the ideal
    counts as at it, which the published formula, written for an ideal that nothing
    exceeds, leaves open. With finitely many directions it is only weakly compliant
    with dominance; :func:`r2_exact` is strictly compliant. The R2 here is the one-set
    form; Hansen and Jaszkiewicz define the difference between two sets.

    Args:
      points: Reward vectors, maximised; masked rows may hold NaN.
      directions: Weightings :math:`w`, at least 0, such as
        :func:`morl.pareto.simplex_lattice`.
      ideal: The point :math:`z`, an upper bound on each reward.
      mask: Points that count; None for all.

    Returns:
      The mean shortfall, in float32 at least; infinite where no point counts.

    Raises:
      InputError: No rows, or different numbers of objectives.

    Examples:
      >>> directions = jnp.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
      >>> print(r2(jnp.array([[-2.0, -4.0]]), directions, ideal=jnp.zeros(2)))
      2.6666667

    References:
      Brockhoff et al., On the Properties of the R2 Indicator, GECCO 2012.
    """
    same_objectives(points, directions, where="r2")
    kind = same_objectives(points, ideal[None], where="r2")
    kept, some = fill_masked(points, mask, kind)
    gaps = jnp.maximum(ideal.astype(kind)[None] - kept, 0)
    worst = jnp.max(directions.astype(kind)[:, None] * gaps[None], axis=-1)
    return jnp.where(some, jnp.mean(jnp.min(worst, axis=1)), jnp.inf)


def r2_exact(
    points: Real[Array, "n 2"],
    *,
    ideal: Real[Array, " 2"],
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""R2 of two objectives under the uniform distribution of weightings, exactly.

    .. math:: R2(A) = \int_0^1 \min_{a \in A} \max\big(w (z_1 - a_1)_+,
      (1 - w) (z_2 - a_2)_+\big)\, dw

    Smaller is better. Below the ideal every improvement of the non-dominated set
    lowers it. A reward above the ideal counts as at it; moocore leaves such a point out
    and scores a set without any other 0, the best there is.

    Args:
      points: Reward vectors of two objectives, maximised; masked rows may hold NaN.
      ideal: The point :math:`z`, an upper bound on each reward.
      mask: Points that count; None for all.

    Returns:
      The expected shortfall, in float32 at least; infinite where no point counts.

    Raises:
      InputError: No points, or not two objectives.

    Examples:
      >>> points = -jnp.array([[5.0, 5], [4, 6], [2, 7], [7, 4]])
      >>> print(f"{r2_exact(points, ideal=jnp.zeros(2)):.6f}")
      2.594192

    References:
      Schäpermeier and Kerschke, R2 v2: The Pareto-compliant R2 Indicator for Better
      Benchmarking in Bi-objective Optimization (arXiv:2407.01504), 2024.
    """
    if points.shape[1] != 2:
        raise InputError(
            f"found {points.shape[1]} objectives, expected 2: r2 with directions takes "
            "any number",
            where="r2_exact",
        )
    kind = same_objectives(points, ideal[None], where="r2_exact")
    kept, some = fill_masked(points, mask, kind)
    gaps = jnp.maximum(ideal.astype(kind)[None] - kept, 0)
    # In units of the largest gap, which cancels: squares of 1e-30 leave float32.
    unit = jax.lax.stop_gradient(jnp.max(gaps))
    unit = jnp.where(unit > 0, unit, 1)
    across, up = (gaps / unit)[jnp.argsort(gaps[:, 0])].T
    # A point put down to the lowest one on its left is a copy that is dominated by it:
    # the integral stays, and the points form a staircase.
    down = jax.lax.cummin(up)
    # Point i serves the weightings between its turns to the points i + 1 and i - 1,
    # with its second shortfall below its own corner and with its first above it.
    turn = _share(down[:-1], across[1:])
    lower = jnp.concatenate([turn, jnp.zeros(1, kind)])
    upper = jnp.concatenate([jnp.ones(1, kind), turn])
    corner = _share(down, across)
    second = down * (corner - lower) * (2 - corner - lower)
    first = across * (upper - corner) * (upper + corner)
    return jnp.where(some, unit * jnp.sum(first + second) / 2, jnp.inf)


def _share(part: Float[Array, " n"], rest: Float[Array, " n"]) -> Float[Array, " n"]:
    """``part / (part + rest)``, and 0 where both are 0."""
    whole = part + rest
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)
