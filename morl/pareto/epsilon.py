"""The smallest shift that lets a set of points cover a front."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.pareto.kept import fill_masked, same_objectives


def epsilon_additive(
    points: Real[Array, "n k"],
    front: Real[Array, "m k"],
    *,
    mask: Bool[Array, " n"] | None = None,
) -> Float[Array, ""]:
    r"""Smallest amount to add to every reward so that the points cover the front.

    .. math:: \epsilon^+(A, Z) = \max_{z \in Z} \min_{a \in A} \max_k (z_k - a_k)

    Smaller is better; at most 0 exactly when every point of the front is weakly
    dominated. One objective decides, so the objectives should share a unit.

    Args:
      points: Reward vectors found, maximised; masked rows may hold NaN.
      front: Reward vectors to be covered.
      mask: Points that count; None for all.

    Returns:
      The shift, in float32 at least; infinite where no point counts.

    Raises:
      InputError: No rows, or different numbers of objectives.

    Examples:
      >>> found = jnp.array([[1.0, 3.0], [2.0, 2.0]])
      >>> print(epsilon_additive(found, jnp.array([[2.0, 4.0], [3.0, 2.0]])))
      1.0

    References:
      Zitzler et al., Performance Assessment of Multiobjective Optimizers: An Analysis
      and Review, IEEE Trans. Evol. Comput. 7(2), 2003.
    """
    kind = same_objectives(points, front, where="epsilon_additive")
    kept, some = fill_masked(points, mask, kind)
    shifts = jnp.max(front.astype(kind)[:, None] - kept[None], axis=-1)
    return jnp.where(some, jnp.max(jnp.min(shifts, axis=1)), jnp.inf)
