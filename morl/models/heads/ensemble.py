"""Ensembles of linear heads, read in one product."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.models.heads.family import Estimate, Head, Readings, States
from morl.models.heads.linear import LinearHead, head_rewards, init_linear_head


def ensemble(num_members: int = 8) -> Head:
    """Linear heads that learn apart: their disagreement is what they do not know.

    Members begin apart and are trained on draws of their own from the feedback (a loss
    is taken for each): on frozen features, where the loss is convex, members that saw
    the same data would end as one.

    Args:
      num_members: Members an objective, two or more.

    Raises:
      InputError: There are fewer.

    References:
      Coste et al., Reward Model Ensembles Help Mitigate Overoptimization
      (arXiv:2310.02743); Breiman, Bagging Predictors, Machine Learning 24 (1996).
    """
    if num_members < 2:
        raise InputError(f"found {num_members}, expected 2 or more", where="members")

    def read(params: LinearHead, states: States) -> Readings:
        flat = head_rewards(params, states.response)
        return Readings(flat.reshape(*flat.shape[:-1], -1, num_members))

    return Head(
        lambda key, width, count: init_linear_head(key, width, count * num_members),
        read,
        _estimate,
        lambda values, level: jnp.quantile(values, level, axis=-1),
        lambda better, worse: better - worse,
        lambda values: values,
        lambda values: jnp.min(values, axis=-1),
    )


def _estimate(values: Float[Array, "*batch m"]) -> Estimate:
    return Estimate(jnp.mean(values, axis=-1), jnp.std(values, axis=-1, ddof=1))
