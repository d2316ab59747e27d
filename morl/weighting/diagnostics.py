"""How much the objectives' gradients conflict, read off their Gramian."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def gradient_cosines(
    gramian: Float[Array, "k k"], present: Bool[Array, " k"] | None = None
) -> Float[Array, "k k"]:
    """Cosine of the angle between every two gradients.

    Args:
      gramian: Inner products of the gradients.
      present: Objectives that count; None for all.

    Returns:
      Symmetric, in float32 at least, within [-1, 1]; 1 on the diagonal, and 0 where a
      gradient is zero or absent.

    Examples:
      >>> gradient_cosines(jnp.array([[4.0, -2.0], [-2.0, 4.0]])).tolist()
      [[1.0, -0.5], [-0.5, 1.0]]
    """
    norms = _norms(gramian, present)
    live = norms > 0
    inverse = jnp.where(live, 1 / jnp.where(live, norms, 1), 0)
    both = live[:, None] & live[None]
    # One factor at a time: the product of two small norms may not be a float32.
    cosines = jnp.where(both, gramian, 0).astype(norms.dtype) * inverse[:, None]
    cosines = jnp.clip(cosines * inverse[None], -1, 1)
    return jnp.where(jnp.eye(norms.size, dtype=bool), live.astype(norms.dtype), cosines)


def conflict_share(
    gramian: Float[Array, "k k"], present: Bool[Array, " k"] | None = None
) -> Float[Array, ""]:
    """Share of the pairs of objectives whose gradients point away from each other.

    Args:
      gramian: Inner products of the gradients.
      present: Objectives that count; None for all.

    Returns:
      A number in [0, 1]; 0 where there is no pair.

    Examples:
      >>> conflict_share(jnp.array([[1.0, -0.5, 0], [-0.5, 1, 0], [0, 0, 1]])).item()
      0.3333333432674408
    """
    here = _here(gramian, present)
    pairs = here[:, None] & here[None] & ~jnp.eye(here.size, dtype=bool)
    against = jnp.sum(pairs & (gramian < 0), dtype=jnp.float32)
    return against / jnp.maximum(jnp.sum(pairs, dtype=jnp.float32), 1)


def norm_ratios(
    gramian: Float[Array, "k k"], present: Bool[Array, " k"] | None = None
) -> Float[Array, " k"]:
    """Norm of each gradient over the mean norm of those that are present.

    Args:
      gramian: Inner products of the gradients.
      present: Objectives that count; None for all.

    Returns:
      Their mean over what is present is 1; 0 where absent, or where all are zero.

    Examples:
      >>> norm_ratios(jnp.array([[1.0, 0.0], [0.0, 9.0]])).tolist()
      [0.5, 1.5]
    """
    norms = _norms(gramian, present)
    count = jnp.maximum(jnp.sum(_here(gramian, present), dtype=norms.dtype), 1)
    mean = jnp.sum(norms) / count
    return norms / jnp.where(mean > 0, mean, 1)


def _here(
    gramian: Float[Array, "k k"], present: Bool[Array, " k"] | None
) -> Bool[Array, " k"]:
    return jnp.ones(gramian.shape[0], bool) if present is None else present


def _norms(
    gramian: Float[Array, "k k"], present: Bool[Array, " k"] | None
) -> Float[Array, " k"]:
    kind = jnp.promote_types(gramian.dtype, jnp.float32)
    squares = jnp.where(_here(gramian, present), jnp.diagonal(gramian), 0).astype(kind)
    return jnp.sqrt(jnp.maximum(squares, 0))
