"""The scalarization whose mean over directions is the hypervolume."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from morl.numerics import unit
from morl.scalarize.present import keep_gaps, keep_present, utility_type

# The square of a smaller direction would underflow in the gradient of a quotient.
SMALLEST = 1e-18


def hypervolume_scalarization(
    rewards: Real[Array, " k"],
    weights: Float[Array, " k"],
    *,
    reference: Float[Array, " k"],
    present: Bool[Array, " k"] | None = None,
) -> Float[Array, ""]:
    r"""Volume of the largest box along the weights that a point dominates, scaled.

    .. math::
        u(r) = \min_k \Big( \frac{\max(r_k - z_k, 0)}{\lambda_k} \Big)^K,
        \qquad \lambda = \frac{w}{\lVert w \rVert}

    For directions :math:`\lambda` uniform on the positive part of the sphere, the mean
    of the best utility that a set of points reaches is its hypervolume over the
    reference, divided by

    .. math:: c_K = \frac{\pi^{K/2}}{2^K \, \Gamma(K/2 + 1)}.

    Every point of the front above the reference maximises it for some weights, on
    concave parts too. More weight on an objective asks for more of it.

    The paper takes :math:`\lambda` on the sphere as given; here any weights are brought
    to length 1, so that those of a composition serve.

    Args:
      rewards: Reward vector :math:`r`; absent entries may hold NaN.
      weights: Direction :math:`w`, at least 0; its length does not matter, and an entry
        with weight 0 limits nothing.
      reference: Point :math:`z` below the front. Below it the utility is 0 and flat.
      present: Entries that count: their number is :math:`K`. The utility is 0 where
        none has weight.

    Returns:
      The utility, in the dtype of ``rewards``, float32 for integers; at most half of
      the largest float32 or float64, where the power would overflow.

    Examples:
      >>> r, w = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
      >>> print(f"{hypervolume_scalarization(r, w, reference=jnp.zeros(2)):.4f}")
      2.7778

    References:
      Zhang and Golovin, Random Hypervolume Scalarizations for Provable Multi-Objective
      Black Box Optimization (arXiv:2006.04655), 2020, Lemma 5.
    """
    kind = utility_type(rewards)
    rewards, weights, kept = keep_present(rewards, weights, present)
    ray = unit(weights)
    counted = ~(ray <= SMALLEST)
    gain = jnp.maximum(keep_gaps(rewards, reference, kept), 0)
    box = jnp.where(counted, gain / jnp.where(counted, ray, 1), jnp.inf)
    side = jnp.where(jnp.any(counted), jnp.min(box), 0)
    number = jnp.maximum(jnp.sum(kept), 1).astype(rewards.dtype)
    largest = 0.5 * float(jnp.finfo(rewards.dtype).max)
    return (jnp.minimum(side, largest ** (1 / number)) ** number).astype(kind)
