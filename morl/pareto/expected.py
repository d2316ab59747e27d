"""What a user with a utility gains from a set of points, and what is missed."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.pareto.kept import fill_masked, same_objectives
from morl.scalarize import linear

Utility: TypeAlias = Callable[[Float[Array, " k"], Float[Array, " k"]], Array]


def _best(
    points: Float[Array, "n k"], weights: Float[Array, "m k"], utility: Utility
) -> Float[Array, " m"]:
    """The highest utility among the points, for each weighting."""
    each = jax.vmap(jax.vmap(utility, (0, None)), (None, 0))
    return jnp.max(each(points, weights), axis=1)


def expected_utility(
    points: Real[Array, "n k"],
    weights: Float[Array, "m k"],
    *,
    utility: Utility = linear,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Mean over weightings of the best utility among the points.

    .. math:: EUM(A) = \frac{1}{|W|} \sum_{w \in W} \max_{a \in A} u(a, w)

    Larger is better. Each user takes the point that suits best: what the point was
    trained for does not matter, as it does in
    :func:`morl.pareto.mean_inner_product`.

    Args:
      points: Reward vectors, maximised; masked rows may hold NaN.
      weights: Weightings of the users, one a row, drawn from their distribution.
      utility: From a reward vector and a weighting to a utility, larger is better:
        any of :mod:`morl.scalarize`.
      mask: Points that count; None for all.

    Returns:
      The mean utility, in float32 at least; minus infinity where no point counts.

    Raises:
      InputError: No rows, or different numbers of objectives.

    Examples:
      >>> points = jnp.array([[4.0, 0.0], [0.0, 2.0]])
      >>> print(expected_utility(points, jnp.array([[0.5, 0.5], [0.0, 1.0]])))
      2.0

    References:
      Zintgraf et al., Quality Assessment of MORL Algorithms: A Utility-Based Approach,
      Benelearn 2015.
    """
    kind = same_objectives(points, weights, where="expected_utility")
    kept, some = fill_masked(points, mask, kind)
    best = _best(kept, weights.astype(kind), utility)
    return jnp.where(some, jnp.mean(best), -jnp.inf)


def maximum_utility_loss(
    points: Real[Array, "n k"],
    reference_points: Real[Array, "r k"],
    weights: Float[Array, "m k"],
    *,
    utility: Utility = linear,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Largest utility that any weighting loses against the reference points.

    .. math:: MUL(A, Z) = \max_{w \in W} \big(\max_{z \in Z} u(z, w) -
      \max_{a \in A} u(a, w)\big)

    Smaller is better. Negative where the points beat the reference for every
    weighting: it is not cut off at 0.

    Args:
      points: Reward vectors found, maximised; masked rows may hold NaN.
      reference_points: Reward vectors of the set that is aimed at.
      weights: Weightings that may be asked for, one a row.
      utility: From a reward vector and a weighting to a utility, larger is better.
      mask: Points that count; None for all.

    Returns:
      The largest loss, in float32 at least; infinite where no point counts.

    Raises:
      InputError: No rows, or different numbers of objectives.

    Examples:
      >>> wanted = jnp.array([[4.0, 0.0], [0.0, 2.0]])
      >>> print(maximum_utility_loss(wanted[:1], wanted, jnp.eye(2)))
      2.0

    References:
      Zintgraf et al., Quality Assessment of MORL Algorithms: A Utility-Based Approach,
      Benelearn 2015.
    """
    same_objectives(points, weights, where="maximum_utility_loss")
    kind = same_objectives(points, reference_points, where="maximum_utility_loss")
    kept, some = fill_masked(points, mask, kind)
    asked = weights.astype(kind)
    wanted = _best(reference_points.astype(kind), asked, utility)
    loss = jnp.max(wanted - _best(kept, asked, utility))
    return jnp.where(some, loss, jnp.inf)
