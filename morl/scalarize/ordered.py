"""Ordered weighted averages: weights belong to ranks, not to objectives."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from morl.scalarize.present import utility_type, widen


def owa(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Ordered weighted average: weights times the sorted rewards, the worst first.

    .. math:: u(r) = \sum_i w_i \, r_{(i)}, \qquad r_{(1)} \le \dots \le r_{(K)}

    The weights are *positional*: the first belongs to the worst reward, whichever
    objective that is, and the last to the best. (1, 0, 0) is the worst case, (0, 0, 1)
    the best case, equal weights the mean. Yager sorts from the best down: reverse his
    weights. At a tie the gradient is shared equally.

    Where an entry is absent there are fewer ranks. The weights are then read as a
    distribution over the ranks, spread evenly within each, and dealt out again over the
    ranks that are left: the worst case stays the worst case, the median the median.

    Args:
      rewards: Reward vector :math:`r`, in one unit; absent entries may hold NaN.
      weights: Weight :math:`w_i` of rank :math:`i`, at least 0.
      present: Entries that count; the utility is 0 where there is none.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([3.0, 1.0, 2.0]), jnp.array([0.5, 0.25, 0.25])
      >>> print(owa(r, w))
      1.75

    References:
      Yager, On Ordered Weighted Averaging Aggregation Operators in Multicriteria
      Decisionmaking, IEEE Transactions on Systems, Man and Cybernetics 18, 1988.
    """
    kind = utility_type(rewards)
    rewards, weights = widen(rewards), widen(weights)
    kept = jnp.ones_like(rewards, bool) if present is None else present
    rewards = jnp.where(kept, rewards, 0)
    column, row = rewards[:, None], rewards[None, :]
    below = jnp.sum(kept[None, :] & (row < column), -1)
    tied = jnp.maximum(jnp.sum(kept[None, :] & (row == column), -1), 1)
    count = jnp.sum(kept)
    mass = _up_to(below + tied, count, weights) - _up_to(below, count, weights)
    mean = mass / tied.astype(mass.dtype)
    return jnp.sum(jnp.where(kept, mean * rewards, 0)).astype(kind)


def generalized_gini(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Generalised Gini welfare: the larger the weight, the worse the reward it meets.

    .. math::
        u(r) = \sum_i w_{[i]} \, r_{(i)} = \min_\pi \sum_k w_{\pi(k)} \, r_k,
        \qquad w_{[1]} \ge \dots \ge w_{[K]}

    An :func:`owa` whose weights are put in falling order, so that moving reward from a
    better to a worse objective never lowers it. The weights belong to ranks: permuting
    them changes nothing. At a tie the gradient is shared equally.

    Args:
      rewards: Reward vector :math:`r`, in one unit; absent entries may hold NaN.
      weights: Weights :math:`w`, at least 0, in any order.
      present: Entries that count, as for :func:`owa`; the utility is 0 where there is
        none.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers.

    Examples:
      >>> r, w = jnp.array([3.0, 1.0, 2.0]), jnp.array([0.25, 0.25, 0.5])
      >>> print(generalized_gini(r, w))
      1.75

    References:
      Weymark, Generalized Gini Inequality Indices, Mathematical Social Sciences 1,
      1981; Siddique et al., Learning Fair Policies in Multiobjective Deep Reinforcement
      Learning (arXiv:2008.07773), 2020, Equation 3.
    """
    return owa(rewards, jnp.sort(weights, descending=True), present=present)


def _up_to(
    rank: Int[Array, " k"], count: Int[Array, ""], weights: Float[Array, " k"]
) -> Float[Array, " k"]:
    """The weight of the worst ``rank`` of ``count`` entries, when all share it."""
    edges = jnp.pad(jnp.cumsum(weights), (1, 0))
    place = rank * len(weights)
    whole, rest = jnp.divmod(place, jnp.maximum(count, 1))
    share = rest.astype(weights.dtype) / jnp.maximum(count, 1).astype(weights.dtype)
    whole = jnp.minimum(whole, len(weights))
    return edges[whole] + share * jnp.pad(weights, (0, 1))[whole]
