"""Weights on the simplex of the objectives that are present."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def shares(
    scores: Float[Array, " k"], present: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """Softmax over what is present; 0 elsewhere, whatever the scores are there.

    Examples:
      >>> here = jnp.array([True, False, True])
      >>> shares(jnp.array([1.0, jnp.nan, 1.0]), here).tolist()
      [0.5, 0.0, 0.5]
    """
    peak = jnp.max(jnp.where(present, scores, -jnp.inf))
    peak = jnp.where(jnp.isfinite(peak), peak, 0)
    parts = jnp.where(present, jnp.exp(jnp.where(present, scores - peak, 0)), 0)
    return _over(parts, jnp.sum(parts))


def projected(
    values: Float[Array, " k"], present: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """The nearest point of the simplex over what is present; 0 elsewhere.

    References:
      Held, Wolfe and Crowder, Validation of subgradient optimization, 1974: the
      threshold is the largest of those that the sorted prefixes ask for.

    Examples:
      >>> projected(jnp.array([1.0, 0.5, -3.0]), jnp.ones(3, bool)).tolist()
      [0.75, 0.25, 0.0]
    """
    # The largest entry is moved to 0, so that no size of the others costs its digits.
    below = jnp.where(
        present, values - jnp.max(jnp.where(present, values, -jnp.inf)), 0
    )
    order = jnp.sort(jnp.where(present, below, -jnp.inf), descending=True)
    finite = jnp.isfinite(order)
    counts = jnp.arange(1, values.size + 1, dtype=values.dtype)
    asked = (jnp.cumsum(jnp.where(finite, order, 0)) - 1) / counts
    threshold = jnp.max(jnp.where(finite, asked, -1))
    return jnp.where(present, jnp.maximum(below - threshold, 0), 0)


def among(
    weights: Float[Array, " k"], present: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """Weights rescaled to add up to 1 over what is present; even where they are 0."""
    kept = jnp.where(present, weights, 0)
    total = jnp.sum(kept)
    even = present.astype(weights.dtype)
    return _over(
        jnp.where(total > 0, kept, even), jnp.where(total > 0, total, even.sum())
    )


def restored(
    fresh: Float[Array, " k"], old: Float[Array, " k"], present: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """Undoes :func:`among`: what is absent keeps its old weight and the total stays."""
    room = jnp.sum(jnp.where(present, old, 0))
    return jnp.where(present, fresh * room, old)


def _over(parts: Float[Array, " k"], total: Float[Array, ""]) -> Float[Array, " k"]:
    return parts / jnp.where(total > 0, total, 1)
