"""Linear heads: from the features of a response to one reward an objective."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from morl.models.heads.family import Head, single


class LinearHead(NamedTuple):
    """Parameters of K linear heads that share their features."""

    weight: Float[Array, "d k"]
    bias: Float[Array, " k"]


def init_linear_head(key: PRNGKeyArray, width: int, num_objectives: int) -> LinearHead:
    """Draws a head whose rewards have unit variance on features of unit variance.

    Args:
      key: Used once.
      width: Number of features ``d``.
      num_objectives: Number of heads ``k``.

    Returns:
      Normal weights of variance ``1 / d`` and zero biases.
    """
    weight = jax.random.normal(key, (width, num_objectives)) / jnp.sqrt(width)
    return LinearHead(weight, jnp.zeros(num_objectives))


def head_rewards(
    head: LinearHead, features: Float[Array, "*batch d"]
) -> Float[Array, "*batch k"]:
    """Rewards of all objectives in one product, accumulated in float32.

    Args:
      head: Parameters of the heads.
      features: One row a response.

    Returns:
      One reward an objective, in nats of log-odds where the head was fitted by
      Bradley-Terry or by labels.

    Examples:
      >>> head = LinearHead(jnp.eye(2), jnp.array([0.0, 1.0]))
      >>> print(head_rewards(head, jnp.array([3.0, 4.0])))
      [3. 5.]
    """
    product = jnp.matmul(features, head.weight, preferred_element_type=jnp.float32)
    bias = jnp.expand_dims(head.bias, range(product.ndim - 1))
    return product + bias


def linear() -> Head:
    """One product with the features an objective: :class:`LinearHead`."""
    return single(
        init_linear_head, lambda params, states: head_rewards(params, states.response)
    )
