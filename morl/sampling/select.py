"""Decoding-time alignment over candidates: best-of-n and the exact tilt.

Both map the utilities of N responses that the reference policy sampled to a new
distribution over those N. The empirical reference is uniform over the candidates that
are present.
"""

from math import log

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def best_of_n(
    utility: Float[Array, "*batch n"], present: Bool[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """All probability on the candidate of highest utility, shared among equals.

    It is the limit of :func:`tilt` as ``beta`` falls to zero. Where no candidate is
    present the result is uniform over all: the reference policy, unchanged.

    Args:
      utility: Utility of each candidate; entries that are absent may hold NaN.
      present: Candidates that have a utility.

    Returns:
      Probabilities over the candidates.

    Examples:
      >>> u = jnp.array([1.0, 3.0, 3.0, jnp.nan])
      >>> print(best_of_n(u, jnp.isfinite(u)))
      [0.  0.5 0.5 0. ]
    """
    eligible = _eligible(present)
    floored = jnp.where(present, utility, -jnp.inf)
    peak = jnp.max(floored, axis=-1, keepdims=True)
    best = jnp.where(present, floored >= peak, eligible)
    return best / jnp.sum(best, axis=-1, keepdims=True, dtype=jnp.float32)


def tilt(
    utility: Float[Array, "*batch n"],
    present: Bool[Array, "*batch n"],
    *,
    beta: float | Float[Array, ""],
) -> Float[Array, "*batch n"]:
    r"""The optimum of expected utility less ``beta`` times KL, over the candidates.

    .. math:: \pi(y_i) \propto \pi_{ref}(y_i) \exp(u(y_i) / \beta)

    Args:
      utility: Utility of each candidate; entries that are absent may hold NaN.
      present: Candidates that have a utility; the others get probability zero. Where
        none is present the result is uniform over all.
      beta: Weight of the KL to the reference, > 0, in units of utility; may be traced.

    Returns:
      Probabilities over the candidates.

    Examples:
      >>> p = tilt(jnp.array([0.0, jnp.log(3.0)]), jnp.ones(2, bool), beta=1.0)
      >>> print(f"{p[0]:.3f} {p[1]:.3f}")
      0.250 0.750

    References:
      arXiv:2505.02666, the optimum of the RLHF objective; Rafailov et al.
      (arXiv:2305.18290), equation 4.
    """
    eligible = _eligible(present)
    floor = jnp.finfo(jnp.float32).min
    known = jnp.where(present, utility, 0).astype(jnp.float32)
    # The peak goes first: utility / beta may overflow where the difference does not.
    peak = jnp.max(jnp.where(present, known, floor), axis=-1, keepdims=True)
    tilted = jnp.where(present, (known - peak) / beta, 0)
    return jax.nn.softmax(tilted, axis=-1, where=eligible)


def kl_to_candidates(
    probabilities: Float[Array, "*batch n"], present: Bool[Array, "*#batch n"]
) -> Float[Array, "*batch"]:
    r"""KL in nats from the empirical reference, uniform over the present candidates.

    .. math:: \sum_i p_i \log(n\, p_i)
    """
    count = jnp.sum(_eligible(present), axis=-1, keepdims=True)
    positive = probabilities > 0
    ratio = jnp.where(positive, probabilities * count, 1)
    return jnp.sum(jnp.where(positive, probabilities * jnp.log(ratio), 0), axis=-1)


def best_of_n_kl(num_candidates: int) -> float:
    r"""KL in nats of best-of-n from the policy that it draws from.

    :math:`\log n - (n - 1)/n`, exact where no two responses tie and an upper bound
    where they do.

    Args:
      num_candidates: Number of candidates n, at least 1.

    Examples:
      >>> print(f"{best_of_n_kl(8):.4f}")
      1.2044

    References:
      Beirami et al., Theoretical guarantees on the best-of-n alignment policy
      (arXiv:2401.01879), Theorem 3.
    """
    return log(num_candidates) - (num_candidates - 1) / num_candidates


def _eligible(present: Bool[Array, "*batch n"]) -> Bool[Array, "*batch n"]:
    """The present candidates, or all where a prompt has none."""
    return present | ~jnp.any(present, axis=-1, keepdims=True)
