"""Count, mean and standard deviation that merge, and stay finite at any scale."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# A group whose spread is within rounding of its largest value is constant: dividing
# by that spread would turn the last bit of a float32 into a full unit of reward.
CONSTANT_ULPS = 4


class Moments(NamedTuple):
    """Count, mean and population standard deviation of what was seen.

    The deviation is kept instead of a sum of squares, which would leave float32 for
    rewards beyond 1e19.
    """

    count: Float[Array, "*shape"]
    mean: Float[Array, "*shape"]
    std: Float[Array, "*shape"]


def nothing_seen() -> Moments:
    """The moments of no values."""
    return Moments(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))


def moments(
    values: Float[Array, "*batch n"], present: Bool[Array, "*batch n"]
) -> Moments:
    """Moments along the last axis of the values that are present.

    Two passes, scaled by the largest deviation, in float32 at least.
    """
    kind = jnp.promote_types(values.dtype, jnp.float32)
    kept = jnp.where(present, values, 0).astype(kind)
    count = jnp.sum(present, axis=-1, dtype=kind)
    share = present / jnp.maximum(count, 1)[..., None]
    mean = jnp.sum(kept * share, axis=-1)
    away = jnp.where(present, kept - mean[..., None], 0)
    return Moments(count, mean, _root_mean_square(away, share))


def pool(parts: Moments) -> Moments:
    """Merges moments along their last axis, as if all values had been seen at once.

    References:
      Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing
      Sample Variances, 1979, Equation 2.1, for any number of parts.
    """
    total = jnp.sum(parts.count, axis=-1)
    share = parts.count / jnp.maximum(total, 1)[..., None]
    # Measured from one of the means, not from zero: equal means then stay exact.
    largest = jnp.argmax(parts.count, axis=-1, keepdims=True)
    origin = jnp.take_along_axis(parts.mean, largest, axis=-1)
    mean = origin[..., 0] + jnp.sum(share * (parts.mean - origin), axis=-1)
    away = parts.mean - mean[..., None]
    both = jnp.concatenate([parts.std, away], axis=-1)
    return Moments(
        total, mean, _root_mean_square(both, jnp.concatenate([share] * 2, -1))
    )


def merge(first: Moments, second: Moments) -> Moments:
    """The moments of two sets of values together."""
    pair = jax.tree.map(lambda a, b: jnp.stack([a, b], axis=-1), first, second)
    return pool(pair)


def standardized(
    values: Float[Array, "*batch n"], seen: Moments, eps: Float[Array, ""] | float
) -> Float[Array, "*batch n"]:
    """``(values - mean) / (std + eps)``, exactly 0 where what was seen is constant."""
    mean, std = seen.mean[..., None], seen.std[..., None]
    magnitude = jnp.abs(mean) + std
    varies = std > CONSTANT_ULPS * jnp.finfo(jnp.float32).eps * magnitude
    return jnp.where(varies, (values - mean) / jnp.where(varies, std + eps, 1), 0)


def _root_mean_square(
    values: Float[Array, "*batch n"], share: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    peak = jnp.max(jnp.abs(values), axis=-1, initial=0)
    some = peak > 0
    scaled = values / jnp.where(some, peak, 1)[..., None]
    square = jnp.sum(share * jnp.square(scaled), axis=-1)
    return jnp.where(some, peak * jnp.sqrt(jnp.where(some, square, 1)), 0)
