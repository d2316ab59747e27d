"""Heads with one hidden layer, shared by all objectives."""

from functools import partial
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from morl.models.heads.family import Head, States, single
from morl.models.heads.linear import LinearHead, head_rewards, init_linear_head


class MLPHead(NamedTuple):
    """A hidden layer, and linear heads on it."""

    hidden: LinearHead
    out: LinearHead


def mlp(hidden_width: int = 256) -> Head:
    r"""Heads :math:`W_2\,\mathrm{silu}(W_1 h + b_1) + b_2` on the features ``h``.

    Args:
      hidden_width: Units of the hidden layer, which all objectives share.
    """
    return single(partial(_init, hidden_width=hidden_width), _rewards)


def _init(
    key: PRNGKeyArray, width: int, num_objectives: int, *, hidden_width: int
) -> MLPHead:
    first, second = jax.random.split(key)
    return MLPHead(
        init_linear_head(first, width, hidden_width),
        init_linear_head(second, hidden_width, num_objectives),
    )


def _rewards(params: MLPHead, states: States) -> Float[Array, "*batch k"]:
    inner = jax.nn.silu(head_rewards(params.hidden, states.response))
    return head_rewards(params.out, inner)
