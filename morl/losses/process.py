"""From the values of a response's steps to its reward.

A process reward is trained by :func:`morl.losses.binary_cross_entropy` with steps as
the last axis, each labelled right or wrong; its logits are then log-odds. All functions
here take ``[*batch, s]`` values and the mask of the steps that exist, pass no gradient
to the others, and return float32 (float64 stays). A response without steps gets a
finite number that means nothing: mask it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.losses.kept import kept
from morl.numerics import masked_mean


def step_min(
    values: Float[Array, "*batch s"], mask: Bool[Array, "*batch s"]
) -> Float[Array, "*batch"]:
    """Value of the worst step: a chain is as good as its weakest link.

    Args:
      values: Value of each step, in any unit; off the mask they may be NaN.
      mask: Steps that exist.

    Returns:
      The least value; 0 without steps. Steps at a tie share the gradient.

    Examples:
      >>> step_min(jnp.array([3.0, 1.0, 2.0]), jnp.ones(3, bool)).item()
      1.0

    References:
      Lightman et al., Let's Verify Step by Step (arXiv:2305.20050), 2023; Wang et al.,
      Math-Shepherd (arXiv:2312.08935), 2023.
    """
    least = jnp.min(jnp.where(mask, kept(values, mask), jnp.inf), axis=-1)
    return jnp.where(jnp.any(mask, axis=-1), least, 0)


def step_product(
    values: Float[Array, "*batch s"], mask: Bool[Array, "*batch s"]
) -> Float[Array, "*batch"]:
    """Probability that every step is right, if they are right independently.

    Many steps make it too small for float32, and then for any gradient. In log space it
    is :func:`step_sum` of log-probabilities, ``jax.nn.log_sigmoid`` of a head's logits:
    the same order of responses, and no underflow.

    Args:
      values: Probability that each step is right, in [0, 1] and not its logarithm or
        log-odds; off the mask they may be NaN.
      mask: Steps that exist.

    Returns:
      The product; 1 without steps. The gradient is exact at 0 too.

    Examples:
      >>> step_product(jnp.array([0.5, 0.5, 1.0]), jnp.ones(3, bool)).item()
      0.25

    References:
      Lightman et al., Let's Verify Step by Step (arXiv:2305.20050), 2023.
    """
    return jnp.prod(jnp.where(mask, kept(values, mask), 1), axis=-1)


def step_sum(
    values: Float[Array, "*batch s"], mask: Bool[Array, "*batch s"]
) -> Float[Array, "*batch"]:
    """Sum of the values of the steps: the return of an episode.

    Args:
      values: Value of each step, in any unit; off the mask they may be NaN.
      mask: Steps that exist.

    Returns:
      The sum; 0 without steps. It grows with the number of steps.

    Examples:
      >>> step_sum(jnp.array([3.0, 1.0, 2.0]), jnp.ones(3, bool)).item()
      6.0
    """
    return jnp.sum(kept(values, mask), axis=-1)


def step_mean(
    values: Float[Array, "*batch s"], mask: Bool[Array, "*batch s"]
) -> Float[Array, "*batch"]:
    """Mean of the values of the steps, which does not ask how many there are.

    Args:
      values: Value of each step, in any unit; off the mask they may be NaN.
      mask: Steps that exist.

    Returns:
      The mean; 0 without steps.

    Examples:
      >>> step_mean(jnp.array([3.0, 1.0, 2.0]), jnp.ones(3, bool)).item()
      2.0
    """
    return masked_mean(kept(values, mask), mask)


def step_last(
    values: Float[Array, "*batch s"], mask: Bool[Array, "*batch s"]
) -> Float[Array, "*batch"]:
    """Value of the last step: for heads whose value says how good all so far is.

    Args:
      values: Value of each step, in any unit; off the mask they may be NaN.
      mask: Steps that exist, not necessarily without holes.

    Returns:
      The value of the last step of the mask; 0 without steps.

    Examples:
      >>> step_last(jnp.array([3.0, 1.0, 2.0]), jnp.array([True, True, False])).item()
      1.0

    References:
      Uesato et al., Solving Math Word Problems with Process- and Outcome-Based Feedback
      (arXiv:2211.14275), 2022.
    """
    last = mask.shape[-1] - 1 - jnp.argmax(mask[..., ::-1], axis=-1, keepdims=True)
    return jnp.take_along_axis(kept(values, mask), last, axis=-1)[..., 0]
