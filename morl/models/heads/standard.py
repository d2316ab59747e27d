"""Features on one scale while heads learn, folded into the heads afterwards."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from morl.models.heads.family import HeadParams
from morl.models.heads.gated import GatedHead
from morl.models.heads.linear import LinearHead
from morl.models.heads.mlp import MLPHead

LEAST = 1e-6  # of a deviation beside the largest: below it a feature is constant


class Standard(NamedTuple):
    """Where features lie, over a reference set.

    Attributes:
      mean: Of each feature.
      deviation: Of each; 1 where a feature is constant.
    """

    mean: Float[Array | np.ndarray, " d"]
    deviation: Float[Array | np.ndarray, " d"]


def fit_standard(features: Float[np.ndarray, "n d"]) -> Standard:
    """Mean and deviation of every feature.

    Args:
      features: The reference set, one row a text.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    varies = deviation > LEAST * max(float(deviation.max(initial=0)), LEAST)
    return Standard(
        mean.astype(np.float32), np.where(varies, deviation, 1).astype(np.float32)
    )


def standardised(
    features: Float[np.ndarray, "*n d"], standard: Standard
) -> Float[np.ndarray, "*n d"]:
    """Features less their mean, in deviations."""
    scaled = (features - standard.mean) / standard.deviation
    return np.asarray(scaled, np.float32)


def folded(params: HeadParams, standard: Standard) -> HeadParams:
    """Heads that say of features as they are what these say of standardised ones.

    Args:
      params: Of heads of any kind that learned from :func:`standardised` features; of
        gated heads, whose gate learned from standardised prompts.
      standard: What the features were standardised by.

    Raises:
      TypeError: The parameters are of no kind that is known here.
    """
    if isinstance(params, LinearHead):
        deviation, mean = map(jnp.asarray, (standard.deviation, standard.mean))
        weight = params.weight / deviation[:, None]
        return LinearHead(weight, params.bias - mean @ weight)
    if isinstance(params, MLPHead):
        return params._replace(hidden=folded(params.hidden, standard))
    if isinstance(params, GatedHead):
        first, *rest = params.gate
        return params._replace(gate=(folded(first, standard), *rest))
    raise TypeError(f"found {type(params).__name__}, expected parameters of heads")
