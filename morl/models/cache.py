"""Decoding with a cache: keys and values of prompts, and of what follows them.

A prompt's keys and values are kept once, however many continuations it has, and are
never written again. Continuations advance together, so token ``i`` of every one of them
lies in slot ``i``: a step writes one slice of the cache, in place.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, Int

from morl.models.attention import (
    Gathered,
    KeyValues,
    attend,
    bias_of,
    chunk_biases,
    gather,
)
from morl.models.transformer import Transformer


class Prompts(NamedTuple):
    """Prefilled prompts.

    Attributes:
      layers: Keys and values of every layer.
      lengths: Tokens of each prompt; what lies behind them is padding.
    """

    layers: tuple[KeyValues, ...]
    lengths: Int[Array, " p"]


class Continuations(NamedTuple):
    """What was decoded so far.

    Attributes:
      layers: Keys and values of every layer, one slot a decoded token.
      count: Slots in use.
    """

    layers: tuple[KeyValues, ...]
    count: Int[Array, ""]


def prefill(
    model: Transformer, tokens: Int[Array, "p t"], lengths: Int[Array, " p"]
) -> Prompts:
    """Runs prompts through the model and keeps their keys and values.

    Args:
      model: The transformer.
      tokens: Prompts, padded on the right; padding may hold anything.
      lengths: Tokens of each prompt; may be 0.
    """
    batch, length = tokens.shape
    places = jnp.arange(length)
    real = places[None] < lengths[:, None]
    causal = jnp.tri(length, dtype=bool)[None]
    biases = chunk_biases(real[:, None, :] & causal, model.groups)
    table = model.rotary(jnp.tile(places, batch))
    x = model.embed(tokens.reshape(-1))
    kept = []
    for layer in model.layers:
        heads = layer.heads(x, table, batch)
        kept.append(KeyValues(heads.keys, heads.values))
        x = layer.finish(x, attend(heads, biases))
    return Prompts(tuple(kept), lengths)


def empty_continuations(
    model: Transformer, num_sequences: int, num_slots: int
) -> Continuations:
    """A cache with room for ``num_slots`` tokens of each sequence."""
    config = model.config
    heads, width = config.num_kv_heads, config.head_dim
    empty = KeyValues(
        jnp.zeros((num_sequences, heads, num_slots, width), config.dtype),
        jnp.zeros((num_sequences, heads, width, num_slots), config.dtype),
    )
    return Continuations((empty,) * config.num_layers, jnp.int32(0))


def decode(
    model: Transformer,
    tokens: Int[Array, " n"],
    prompts: Prompts,
    so_far: Continuations,
) -> tuple[Float[Array, "d n"], Continuations]:
    """Takes one more token of every sequence.

    Args:
      model: The transformer.
      tokens: The next token of each sequence; those of one prompt lie together, as many
        for every prompt.
      prompts: Their prompts.
      so_far: Their continuations, with a free slot.

    Returns:
      The final hidden state of each new token, and the continuations with it.
    """
    num_sequences = tokens.shape[0]
    copies = num_sequences // prompts.lengths.shape[0]
    table = model.rotary(jnp.repeat(prompts.lengths, copies) + so_far.count)
    length, slots = (part.layers[0].keys.shape[2] for part in (prompts, so_far))
    in_prompt = jnp.arange(length)[None] < prompts.lengths[:, None]
    in_use = jnp.arange(slots)[None] <= so_far.count
    together = model.groups * copies
    bias = bias_of(in_prompt[:, None], together), bias_of(in_use[:, None], model.groups)
    x = model.embed(tokens)
    written = []
    for layer, prompt, own in zip(
        model.layers, prompts.layers, so_far.layers, strict=True
    ):
        heads = layer.heads(x, table, num_sequences)
        count = so_far.count
        own = KeyValues(
            jax.lax.dynamic_update_slice(own.keys, heads.keys, (0, 0, count, 0)),
            jax.lax.dynamic_update_slice(own.values, heads.values, (0, 0, 0, count)),
        )
        written.append(own)
        x = layer.finish(x, _attend_both(heads.queries, prompt, own, bias))
    return model.norm(x), Continuations(tuple(written), so_far.count + 1)


def _attend_both(
    queries: Float[Array, "n k c g 1"],
    prompt: KeyValues,
    own: KeyValues,
    bias: tuple[Float[Array, "p s gm"], Float[Array, "1 j g"]],
) -> Float[Array, "n k c g 1"]:
    """One softmax over a prompt's tokens and a sequence's own.

    The queries of all continuations of a prompt meet its keys in one product, so the
    prompt is read once however many they are.

    References:
      Athiwaratkun et al., Bifurcated Attention (arXiv:2403.08845).
    """
    sizes = {"p": bias[0].shape[0], "g": queries.shape[3]}
    shared = rearrange(queries, "(p m) k c g 1 -> p k c (m g)", **sizes)
    together = gather(shared, prompt, bias[0])
    apart = lambda x: rearrange(x, "p k c (m g) -> (p m) k c g", **sizes)
    far = Gathered(*(apart(part) for part in together))
    near = gather(queries[..., 0], own, bias[1])
    return far.added(near).divided().astype(queries.dtype)[..., None]
