"""Heads with a gate: how much each objective counts for a prompt."""

import itertools
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from morl.errors import InputError
from morl.models.heads.family import Head, HeadParams, Readings, States
from morl.models.heads.linear import LinearHead, head_rewards, init_linear_head


class GatedHead(NamedTuple):
    """Parameters of the heads that are mixed, and the layers of the gate."""

    heads: HeadParams
    gate: tuple[LinearHead, ...]


def gated(inner: Head, *, hidden_width: int = 256, num_hidden: int = 2) -> Head:
    """Heads of any kind, beside logits of a mixture that the prompt decides.

    The mixture itself is a transform of rewards, applied alike in training and use.

    Args:
      inner: The heads that are mixed.
      hidden_width: Units of each hidden layer of the gate.
      num_hidden: Hidden layers of the gate, with ReLU.

    References:
      Wang et al., Interpretable Preferences via Multi-Objective Reward Modeling and
      Mixture-of-Experts (arXiv:2406.12845), section 3.2.
    """

    def init(key: PRNGKeyArray, width: int, num_objectives: int) -> GatedHead:
        first, *rest = jax.random.split(key, num_hidden + 2)
        sizes = [width, *[hidden_width] * num_hidden, num_objectives]
        layers = [
            init_linear_head(one, *shape)
            for one, shape in zip(rest, itertools.pairwise(sizes), strict=True)
        ]
        return GatedHead(inner.init(first, width, num_objectives), tuple(layers))

    def read(params: GatedHead, states: States) -> Readings:
        if states.prompt is None:
            raise InputError("found none, a gate reads it", where="states.prompt")
        values = inner.read(params.heads, states).values
        return Readings(values, _gate(params.gate, states.prompt))

    return inner._replace(init=init, read=read)


def _gate(
    layers: tuple[LinearHead, ...], prompt: Float[Array, "*batch d"]
) -> Float[Array, "*batch k"]:
    for layer in layers[:-1]:
        prompt = jax.nn.relu(head_rewards(layer, prompt))
    return head_rewards(layers[-1], prompt)
