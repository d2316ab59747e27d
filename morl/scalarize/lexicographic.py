"""Thresholded lexicographic order: as a utility, and exactly as ranks."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from morl.scalarize.present import has_weight, keep_present, utility_type, widen


def lexicographic(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    threshold: Float[Array, " k"],
    floor: Float[Array, " k"],
    resolution: Float[Array, ""] | float = 0.01,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""First things first: an objective counts once those before it are good enough.

    .. math::
        u(r) = \sum_k \epsilon^{l_k} s_k, \qquad
        s_k = \operatorname{clip}\Big(\frac{r_k - f_k}{t_k - f_k}, 0, 1\Big)

    where :math:`l_k` is the number of objectives of higher priority. Priority is the
    order of the weights, the largest first and the earlier entry first at a tie; their
    size does not matter and they have no gradient.

    No continuous scalar is the lexicographic order itself. This one agrees with it for
    every two points whose first objective that differs, between floor and threshold,
    differs by more than :math:`\epsilon / (1 - \epsilon)` of its span; a smaller
    difference may be outweighed. The last of :math:`K` objectives moves the utility by
    :math:`\epsilon^{K-1}`, which in float32 must stay well above :math:`10^{-7}`:
    with :math:`\epsilon = 0.01`, three objectives of which the last is resolved to
    about a thousandth of its span. :func:`lexicographic_rank` is exact.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Priorities, at least 0; an entry with weight 0 is left out.
      threshold: What is good enough, :math:`t`, above the floor. That of the last
        objective is its upper bound.
      floor: Lower bound :math:`f` of each reward.
      resolution: :math:`\epsilon`, between 0 and 1/2.
      present: Entries that count; the utility is 0 where none has weight.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers; at least 0 and
      below :math:`1 / (1 - \epsilon)`.

    Examples:
      >>> low, good, w = jnp.zeros(2), jnp.array([1, 0.5]), jnp.array([0.4, 0.6])
      >>> for r in ([0.9, 0.4], [0.1, 0.5], [0.7, 0.8]):
      ...     u = lexicographic(jnp.array(r), w, threshold=good, floor=low)
      ...     print(f"{u:.3f}")
      0.809
      1.001
      1.007

    References:
      Gábor, Kalmár and Szepesvári, Multi-criteria Reinforcement Learning, ICML 1998;
      Vamplew et al., Empirical Evaluation Methods for Multiobjective Reinforcement
      Learning Algorithms, Machine Learning 84, 2011.
    """
    kind = utility_type(rewards)
    rewards, weights, kept = keep_present(rewards, weights, present)
    counted = kept & has_weight(weights)
    low = jnp.where(counted, widen(floor), 0)
    span = jnp.where(counted, widen(threshold), 1) - low
    reached = jnp.where(counted, rewards - low, 0) / jnp.where(span <= 0, 1, span)
    level = _levels(weights, counted).astype(rewards.dtype)
    each = resolution**level * jnp.clip(reached, 0, 1)
    return jnp.sum(jnp.where(counted, each, 0)).astype(kind)


def lexicographic_rank(
    rewards: Real[Array, "n k"],
    weights: Float[Array, " k"],
    *,
    threshold: Float[Array, " k"],
    present: Bool[Array, " k"] | None = None,
) -> Int[Array, " n"]:
    """Rank of every point in the thresholded lexicographic order, exactly.

    Of two points the better is that with the larger reward, counted up to the
    threshold, in the objective of highest priority in which they differ so.

    Args:
      rewards: Points, one a row; absent entries may hold NaN.
      weights: Priorities, as for :func:`lexicographic`.
      threshold: What is good enough; infinite where more is always better.
      present: Objectives that count, the same for all points.

    Returns:
      0 for the best points; points that the order holds equal share a rank, and no rank
      is left out.

    Examples:
      >>> points = jnp.array([[0.9, 0.4], [0.1, 0.5], [0.7, 0.8]])
      >>> limits = jnp.array([jnp.inf, 0.5])
      >>> print(lexicographic_rank(points, jnp.array([0.4, 0.6]), threshold=limits))
      [2 1 0]
    """
    counted = weights > 0
    if present is not None:
        counted = counted & present
    kind = utility_type(rewards)
    capped = jnp.minimum(rewards.astype(kind), threshold.astype(kind)[None, :])
    # What does not count is equal for all points. lexsort reads its last key first.
    capped = jnp.where(counted[None, :], capped, 0)
    keys = jnp.argsort(_levels(weights, counted), descending=True)
    capped = -capped[:, keys]
    order = jnp.lexsort(tuple(capped.T))
    ordered = capped[order]
    worse = jnp.any(ordered[1:] != ordered[:-1], -1)
    ranks = jnp.pad(jnp.cumsum(worse), (1, 0))
    return jnp.zeros_like(ranks).at[order].set(ranks)


def _levels(
    weights: Float[Array, " k"], counted: Bool[Array, " k"]
) -> Int[Array, " k"]:
    """How many entries that count have higher priority than each."""
    index = jnp.arange(len(weights))
    column, row = weights[:, None], weights[None, :]
    earlier = (row == column) & (index[None, :] < index[:, None])
    return jnp.sum(counted[None, :] & ((row > column) | earlier), -1)
