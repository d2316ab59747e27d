"""Decoding with a cache: keys and values of prompts, and of what follows them.

A prompt's keys and values are kept once, however many continuations it has, and are
never written again. Continuations advance together, so token ``i`` of every one of them
lies in slot ``i``: a step writes one slice of the cache, in place.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int

from morl.models.attention import Heads, attend
from morl.models.transformer import Transformer


class KeyValues(NamedTuple):
    """Keys and values of one layer."""

    keys: Float[Array, "b k s c"]
    values: Float[Array, "b k s c"]


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
    allowed = real[:, None, :] & jnp.tri(length, dtype=bool)[None]
    table = model.rotary(jnp.tile(places, batch))
    x = model.embed(tokens.reshape(-1))
    kept = []
    for layer in model.layers:
        heads = layer.heads(x, table, batch)
        kept.append(KeyValues(heads.keys, heads.values))
        x = layer.finish(x, attend(heads, allowed))
    return Prompts(tuple(kept), lengths)


def empty_continuations(
    model: Transformer, num_sequences: int, num_slots: int
) -> Continuations:
    """A cache with room for ``num_slots`` tokens of each sequence."""
    config = model.config
    shape = (num_sequences, config.num_kv_heads, num_slots, config.head_dim)
    zeros = jnp.zeros(shape, config.dtype)
    return Continuations((KeyValues(zeros, zeros),) * config.num_layers, jnp.int32(0))


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
    length, slots = prompts.layers[0].keys.shape[2], so_far.layers[0].keys.shape[2]
    in_prompt = jnp.arange(length)[None] < prompts.lengths[:, None]
    in_use = jnp.arange(slots) <= so_far.count
    x = model.embed(tokens)
    written = []
    for layer, prompt, own in zip(
        model.layers, prompts.layers, so_far.layers, strict=True
    ):
        heads = layer.heads(x, table, num_sequences)
        at = (0, 0, so_far.count, 0)
        own = KeyValues(
            jax.lax.dynamic_update_slice(own.keys, heads.keys, at),
            jax.lax.dynamic_update_slice(own.values, heads.values, at),
        )
        written.append(own)
        x = layer.finish(x, _attend_both(heads, prompt, in_prompt, own, in_use))
    return model.norm(x), Continuations(tuple(written), so_far.count + 1)


def _attend_both(
    heads: Heads,
    prompt: KeyValues,
    in_prompt: Bool[Array, "p s"],
    own: KeyValues,
    in_use: Bool[Array, " j"],
) -> Float[Array, "n k g 1 c"]:
    """One softmax over a prompt's tokens and a sequence's own.

    The queries of all continuations of a prompt meet its keys in one product, so the
    prompt is read once however many they are.

    References:
      Athiwaratkun et al., Bifurcated Attention (arXiv:2403.08845).
    """
    wide = jnp.float32
    num_prompts = in_prompt.shape[0]
    queries = heads.queries[:, :, :, 0]  # [n k g c]
    shared = rearrange(queries, "(p m) k g c -> p k (m g) c", p=num_prompts)
    far = jnp.einsum(
        "pkqc,pksc->pkqs", shared, prompt.keys, preferred_element_type=wide
    )
    near = jnp.einsum("nkgc,nkjc->nkgj", queries, own.keys, preferred_element_type=wide)
    floor = jnp.finfo(wide).min
    far = jnp.where(in_prompt[:, None, None], far, floor)
    near = jnp.where(in_use[None, None, None], near, floor)
    split = "p k (m g) s -> (p m) k g s"
    groups = queries.shape[2]
    spread = lambda x: rearrange(x, split, g=groups)
    gather = lambda x: rearrange(x, "(p m) k g s -> p k (m g) s", p=num_prompts)
    peak = jnp.maximum(
        spread(jnp.max(far, axis=-1, keepdims=True)),
        jnp.max(near, axis=-1, keepdims=True),
    )
    far, near = jnp.exp(far - gather(peak)), jnp.exp(near - peak)
    total = spread(jnp.sum(far, axis=-1, keepdims=True))
    total = total + jnp.sum(near, axis=-1, keepdims=True)
    kind = own.values.dtype
    mixed = spread(jnp.einsum("pkqs,pksc->pkqc", far.astype(kind), prompt.values))
    mixed = mixed + jnp.einsum("nkgj,nkjc->nkgc", near.astype(kind), own.values)
    return (mixed / total).astype(kind)[:, :, :, None]
