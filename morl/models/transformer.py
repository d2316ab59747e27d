"""One decoder-only transformer for Llama, Mistral, Qwen and Gemma, in Flax NNX."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PyTree

from morl.errors import InputError
from morl.models.attention import (
    Rotary,
    bias_of,
    chunk_biases,
    recent,
    rotary,
    visible,
)
from morl.models.block import INITIAL_SCALE, Block, RMSNorm, tokens_at
from morl.models.config import TransformerConfig

Remat: TypeAlias = Callable[..., Any]
Layer: TypeAlias = Callable[["Block", Float[Array, "n d"]], Float[Array, "m d"]]


class Held(NamedTuple):
    """Where activations are held, in a model that devices share.

    Each puts an array (``jax.lax.with_sharding_constraint``).

    Attributes:
      tokens: The tokens ``[n]`` that are looked up.
      embedded: Their embeddings ``[n, d]``, as the lookup leaves them.
      stream: The residual stream ``[n, d]``.
      weights: Parameters by name, arranged for ``shards``.
      shards: Devices that each product is split over.
    """

    tokens: Callable[[Array], Array]
    embedded: Callable[[Array], Array]
    stream: Callable[[Array], Array]
    weights: Callable[[PyTree], PyTree]
    shards: int


ANYWHERE = Held(lambda x: x, lambda x: x, lambda x: x, lambda x: x, 1)


class Encoding(NamedTuple):
    """What a forward pass returns: hidden states, and the taps that were asked for."""

    hidden: Float[Array, "b t d"]
    taps: tuple[Float[Array, "b t d"], ...] = ()


class Transformer(nnx.Module):
    """A decoder-only language model: tokens in, hidden states out.

    It is a pytree: pass it to ``jax.jit`` and ``jax.grad`` as any argument.

    Args:
      config: Shape and variant.
      rngs: Source of the initial weights, normal with standard deviation 0.02.

    Examples:
      >>> config = TransformerConfig(64, 16, 2, 4, 2, 4, 32)
      >>> model = Transformer(config, rngs=nnx.Rngs(0))
      >>> tokens = jnp.array([[5, 7, 9]])
      >>> encoding = model(tokens, jnp.arange(3)[None], jnp.zeros((1, 3), int))
      >>> encoding.hidden.shape, model.logits(encoding.hidden).shape
      ((1, 3, 16), (1, 3, 64))
    """

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs) -> None:
        """Draws all weights."""
        self.config = config
        shape = (config.vocab_size, config.width)
        draw = INITIAL_SCALE * jax.random.normal(rngs.params(), shape)
        self.embedding = nnx.Param(draw.astype(config.dtype))
        blocks = [Block(config, rngs=rngs) for _ in range(config.num_layers)]
        self.layers = nnx.List(blocks)
        self.stack: Block | None = nnx.data(None)
        self.norm = RMSNorm(config.width, config)
        draw = INITIAL_SCALE * jax.random.normal(rngs.params(), shape)
        self.head = None if config.tied else nnx.Param(draw.astype(config.dtype))

    def embed(self, tokens: Int[Array, " n"]) -> Float[Array, "d n"]:
        """Columns of the token embedding; a token outside the vocabulary is clipped."""
        columns = self.embedding[...].at[tokens].get(mode="clip").T
        if not self.config.scaled_embedding:
            return columns
        # The factor is rounded to the type of the parameters, as in training.
        return columns * jnp.float32(self.config.width**0.5).astype(columns.dtype)

    @property
    def groups(self) -> int:
        """Query heads that share a key head."""
        return self.config.num_heads // self.config.num_kv_heads

    def rotary(self, positions: Int[Array, " n"]) -> Rotary:
        """The rotary tables of ``positions``, shared by all layers."""
        config = self.config
        return rotary(positions, config.head_dim, config.rope_base, config.rope_stretch)

    def biases(
        self, allowed: Bool[Array, "b t t"], positions: Int[Array, "b t"]
    ) -> tuple[Float[Array, "b _s _q"], ...]:
        """What attention adds to the scores of whole rows, shared by all layers.

        Args:
          allowed: Which tokens of the row each token may see, its future aside.
          positions: Position of each token.
        """
        return chunk_biases(self.seen(allowed, positions), self.groups)

    def seen(
        self, allowed: Bool[Array, "b t t"], positions: Int[Array, "b t"]
    ) -> Bool[Array, "b t t"]:
        """Of the tokens that each may see, those behind it and within the window."""
        seen = allowed & jnp.tri(allowed.shape[1], dtype=bool)[None]
        if self.config.window is not None:
            seen = seen & recent(positions, positions, self.config.window)
        return seen

    def __call__(
        self,
        tokens: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        segments: Int[Array, "b t"],
        *,
        taps: Sequence[int] = (),
        remat: Remat | None = None,
        held: Held = ANYWHERE,
    ) -> Encoding:
        """Hidden states of packed rows; the vocabulary product is not computed.

        Token ``i`` sees token ``j`` where ``j <= i`` and ``j`` belongs to the shared
        prompt (segment 0) or to the same response (segment ``r >= 1``), so a prompt and
        all its responses are one row. Padding (segment -1) is seen by nothing and may
        hold any token. A window is counted in positions.

        Args:
          tokens: Token ids.
          positions: Position of each token; each response continues the prompt's.
          segments: -1 padding, 0 shared prompt, ``r`` the r-th response.
          taps: Layers, counted from 1, whose output is returned too.
          remat: What a layer keeps for its backward pass, a policy of
            ``jax.checkpoint_policies``; the rest is computed again. Everything is kept
            without one.
          held: Where activations are held, for a model that is split over devices.

        Returns:
          Hidden states after the final norm, and for each tap the residual stream after
          that many layers (before the final norm, the last one too).
        """
        depth = self.config.num_layers
        if wrong := [tap for tap in taps if not 1 <= tap <= depth]:
            raise InputError(f"found {wrong}, expected 1 to {depth}", where="taps")
        batch, _ = tokens.shape
        biases = self.biases(visible(segments, segments), positions)
        table = self.rotary(positions.reshape(-1))
        layer = _layer(lambda block, x: block(x, table, biases, batch), remat, held)
        x, states = self._through(layer, self._embedded(tokens, held), taps)
        rows = lambda x: rearrange(x, "(b t) d -> b t d", b=batch)
        return Encoding(rows(self.norm(x, axis=1)), tuple(map(rows, states)))

    def at(
        self,
        tokens: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        segments: Int[Array, "b t"],
        places: Int[Array, "b p"],
        *,
        remat: Remat | None = None,
        held: Held = ANYWHERE,
    ) -> Float[Array, "b p d"]:
        """Hidden states of some tokens of each row, those that heads read.

        They are those of a call, by less work: in the last layer, the other tokens give
        no more than keys and values. Where layers are stacked, and so run alike, the
        last one computes all of them.

        Args:
          tokens: As in a call; so are positions, segments, ``remat`` and ``held``.
          positions: Position of each token.
          segments: What each belongs to.
          places: Where in their rows the tokens stand.
          remat: What a layer keeps for its backward pass.
          held: Where activations are held.
        """
        batch, _ = tokens.shape
        seen = self.seen(visible(segments, segments), positions)
        biases = chunk_biases(seen, self.groups)
        table = self.rotary(positions.reshape(-1))
        layer = _layer(lambda block, x: block(x, table, biases, batch), remat, held)
        x = self._embedded(tokens, held)
        if self.stack is not None:
            x, _ = self._through(layer, x, ())
            x = tokens_at(x, places)
        else:
            *before, last = self.layers
            for block in before:
                x = layer(block, x)
            rows = jax.vmap(lambda row, at: row[at])(seen, places)
            bias = bias_of(rows, self.groups)
            end = lambda block, x: block.at(x, table, bias, places)
            x = _layer(end, remat, held)(last, x)
        return rearrange(self.norm(x, axis=1), "(b p) d -> b p d", b=batch)

    def _embedded(self, tokens: Int[Array, "b t"], held: Held) -> Float[Array, "n d"]:
        """The residual stream before the first layer."""
        found = held.embedded(self.embed(held.tokens(tokens.reshape(-1))).T)
        return held.stream(found)

    def _through(
        self, layer: Layer, x: Float[Array, "n d"], taps: Sequence[int]
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n d"]]]:
        """What all layers make of ``x``, and what it is at each tap."""
        if self.stack is not None:
            graph, stacked = nnx.split(self.stack)

            def step(x: Array, part: PyTree) -> tuple[Array, tuple[Array, ...]]:
                x = layer(nnx.merge(graph, part), x)
                return x, (x,) if taps else ()

            x, states = jax.lax.scan(step, x, stacked)
            return x, [states[0][tap - 1] for tap in taps]
        states = {}
        for count, block in enumerate(self.layers, start=1):
            x = layer(block, x)
            states[count] = x
        return x, [states[tap] for tap in taps]

    def logits(self, hidden: Float[Array, "*batch d"]) -> Float[Array, "*batch v"]:
        """Unnormalised log-probabilities of the next token, in float32.

        Args:
          hidden: Hidden states after the final norm.

        Returns:
          One logit a token of the vocabulary.
        """
        columns = hidden.reshape(-1, hidden.shape[-1]).T
        return self.logit_columns(columns).T.reshape(*hidden.shape[:-1], -1)

    def logit_columns(self, hidden: Float[Array, "d n"]) -> Float[Array, "v n"]:
        """The logits of hidden states that are columns, as in decoding."""
        matrix = self.embedding if self.head is None else self.head
        return jnp.matmul(matrix[...], hidden, preferred_element_type=jnp.float32)


def _layer(run: Layer, remat: Remat | None, held: Held) -> Layer:
    """A layer whose output is held in its place, and computed again if asked to."""
    layer = lambda block, x: held.stream(run(block, x))
    return layer if remat is None else jax.checkpoint(layer, policy=remat)
