"""What reward heads need of a language model, whoever wrote it: tokens to states."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from morl.models.attention import visible
from morl.models.transformer import Transformer

Forward: TypeAlias = Callable[
    [PyTree, Int[Array, "b t"], Int[Array, "b t"], Bool[Array, "b t t"]],
    Float[Array, "b t d"],
]


@runtime_checkable
class Backbone(Protocol):
    """A pytree that maps packed rows of tokens to hidden states.

    What each token sees is said by segments, as in
    :meth:`morl.models.Transformer.__call__`: -1 padding, 0 the shared prompt, ``r`` the
    r-th response.
    """

    @property
    def width(self) -> int:
        """Width ``d`` of the hidden states."""
        ...

    def __call__(
        self,
        tokens: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        segments: Int[Array, "b t"],
    ) -> Float[Array, "b t d"]:
        """Hidden states of every token; those of padding are meaningless."""
        ...


class TransformerBackbone(NamedTuple):
    """The project's own transformer as a backbone."""

    model: Transformer

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        return self.model.config.width

    def __call__(
        self,
        tokens: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        segments: Int[Array, "b t"],
    ) -> Float[Array, "b t d"]:
        """Hidden states after the final norm."""
        return self.model(tokens, positions, segments).hidden


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["parameters"],
    meta_fields=["forward", "width"],
)
@dataclass(frozen=True)
class MaskedBackbone:
    """A model of another library, which is told by a mask what each token sees.

    Its parameters are the leaves of the pytree: it is differentiated and compiled as
    the project's own.

    Args:
      parameters: What the model has learnt.
      forward: ``(parameters, tokens, positions, mask)`` to hidden states; ``mask[b, i,
        j]`` is true where token ``i`` attends to token ``j``. None attends to padding,
        which may itself attend to nothing: its state must be finite all the same.
      width: Width of the hidden states.

    Examples:
      >>> def forward(table, tokens, positions, mask):  # the mean of what is seen
      ...     seen = mask[..., None] * table[tokens][:, None]
      ...     return seen.sum(2) / jnp.maximum(mask.sum(2), 1)[..., None]
      >>> backbone = MaskedBackbone(jnp.arange(5.0)[:, None], forward, width=1)
      >>> tokens, segments = jnp.array([[1, 3, 4]]), jnp.array([[0, 1, 2]])
      >>> backbone(tokens, jnp.array([[0, 1, 1]]), segments)[0, :, 0]
      Array([1. , 2. , 2.5], dtype=float32)
    """

    parameters: PyTree
    forward: Forward
    width: int

    def __call__(
        self,
        tokens: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        segments: Int[Array, "b t"],
    ) -> Float[Array, "b t d"]:
        """Hidden states under the mask that the segments mean."""
        mask = attention_mask(segments)
        return self.forward(self.parameters, tokens, positions, mask)


def attention_mask(segments: Int[Array, "b t"]) -> Bool[Array, "b t t"]:
    """Which earlier tokens each token attends to, itself among them.

    Examples:
      >>> attention_mask(jnp.array([[0, 1, 2, -1]])).astype(int)
      Array([[[1, 0, 0, 0],
              [1, 1, 0, 0],
              [1, 0, 1, 0],
              [1, 0, 0, 0]]], dtype=int32)
    """
    causal = jnp.tri(segments.shape[1], dtype=bool)[None]
    return visible(segments, segments) & causal
