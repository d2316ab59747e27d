"""Decoding with a cache: keys and values of prompts, and of what follows them.

Where a prompt has several continuations its keys and values are kept once and never
written again; where it has one they begin its own cache. Continuations advance
together, so token ``i`` of every one of them lies in slot ``i``: a step writes one
slice of the cache.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int

from morl.models.attention import FLOOR, attend, recent
from morl.models.transformer import Transformer


class KeyValues(NamedTuple):
    """Rotated keys, and values, of one layer.

    A step reads all of them for a few queries: in this order both products run along
    memory.
    """

    keys: Float[Array, "b k c s"]
    values: Float[Array, "b k s c"]


class Prompts(NamedTuple):
    """Prefilled prompts.

    Attributes:
      layers: Keys and values of every layer; none where continuations hold them.
      lengths: Tokens of each prompt; what lies behind them is padding.
    """

    layers: tuple[KeyValues, ...]
    lengths: Int[Array, " p"]


class Continuations(NamedTuple):
    """What was decoded so far.

    Attributes:
      layers: Keys and values of every layer: one slot a token to decode, and behind
        them the prompt's where it is not shared.
      seen: Slots that hold a token.
      count: Tokens decoded.
    """

    layers: tuple[KeyValues, ...]
    seen: Bool[Array, "n s"]
    count: Int[Array, ""]


class Context(NamedTuple):
    """What a step of decoding reads.

    Attributes:
      prompts: Prefilled prompts.
      so_far: Their continuations.
      places: Position of the token that each slot of a continuation holds or will hold.
    """

    prompts: Prompts
    so_far: Continuations
    places: Int[Array, "n s"]


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
    places = jnp.tile(jnp.arange(length)[None], (batch, 1))
    real = places < lengths[:, None]
    allowed = jnp.broadcast_to(real[:, None, :], (batch, length, length))
    biases = model.biases(allowed, places)
    table = model.rotary(places.reshape(-1))
    x = model.embed(tokens.reshape(-1))
    kept = []
    for layer in model.layers:
        heads = layer.heads(x, table, batch)
        swapped = [jnp.swapaxes(part, 2, 3) for part in (heads.keys, heads.values)]
        kept.append(KeyValues(*swapped))
        x = layer.finish(x, attend(heads, biases))
    return Prompts(tuple(kept), lengths)


def begin(prompts: Prompts, copies: int, num_slots: int) -> Context:
    """Room to decode in.

    Args:
      prompts: Prefilled prompts.
      copies: Continuations of each.
      num_slots: Tokens of each continuation.
    """
    num_sequences = prompts.lengths.shape[0] * copies

    def room(layer: KeyValues) -> KeyValues:
        _, heads, width, _ = layer.keys.shape
        keys = jnp.zeros((num_sequences, heads, width, num_slots), layer.keys.dtype)
        values = jnp.swapaxes(keys, 2, 3)
        if copies > 1:
            return KeyValues(keys, values)
        return KeyValues(
            jnp.concatenate([keys, layer.keys], axis=3),
            jnp.concatenate([values, layer.values], axis=2),
        )

    seen = jnp.zeros((num_sequences, num_slots), bool)
    places = jnp.repeat(prompts.lengths, copies)[:, None] + jnp.arange(num_slots)[None]
    if copies == 1:
        seen = jnp.concatenate([seen, _in_prompt(prompts)], axis=1)
        places = jnp.concatenate([places, _prompt_places(prompts)], axis=1)
    layers = tuple(room(layer) for layer in prompts.layers)
    shared = prompts if copies > 1 else prompts._replace(layers=())
    return Context(shared, Continuations(layers, seen, jnp.int32(0)), places)


def decode(
    model: Transformer, tokens: Int[Array, " n"], context: Context
) -> tuple[Float[Array, "d n"], Continuations]:
    """Takes one more token of every sequence.

    Args:
      model: The transformer.
      tokens: The next token of each sequence; those of one prompt lie together, as many
        for every prompt.
      context: Their prompts, and their continuations with a free slot.

    Returns:
      The final hidden state of each new token, and the continuations with it.
    """
    prompts, so_far, places = context
    num_sequences, count = tokens.shape[0], so_far.count
    copies = num_sequences // prompts.lengths.shape[0]
    now, window = prompts.lengths + count, model.config.window
    table = model.rotary(jnp.repeat(now, copies))
    used = jnp.arange(so_far.seen.shape[1]) == count
    seen = so_far.seen | used[None]
    near_bias = _bias(seen, jnp.repeat(now, copies), places, window)
    far_bias = None
    if prompts.layers:
        far_bias = _bias(_in_prompt(prompts), now, _prompt_places(prompts), window)
    x = model.embed(tokens)
    written = []
    for place, (layer, own) in enumerate(zip(model.layers, so_far.layers, strict=True)):
        heads = layer.heads(x, table, num_sequences)
        new = [jnp.swapaxes(part, 2, 3) for part in (heads.keys, heads.values)]
        own = KeyValues(
            jax.lax.dynamic_update_slice(own.keys, new[0], (0, 0, 0, count)),
            jax.lax.dynamic_update_slice(own.values, new[1], (0, 0, count, 0)),
        )
        written.append(own)
        gathered = _gather(heads.queries[..., 0], own, near_bias)
        if far_bias is not None:
            far = _gather_shared(heads.queries[..., 0], prompts.layers[place], far_bias)
            gathered = far.added(gathered)
        mixed = jnp.swapaxes(gathered.divided(), 2, 3)[..., None]
        x = layer.finish(x, mixed.astype(x.dtype))
    return model.norm(x), Continuations(tuple(written), seen, count + 1)


def _prompt_places(prompts: Prompts) -> Int[Array, "p t"]:
    rows, length = prompts.lengths.shape[0], prompts.layers[0].keys.shape[3]
    return jnp.tile(jnp.arange(length)[None], (rows, 1))


def _in_prompt(prompts: Prompts) -> Bool[Array, "p t"]:
    return _prompt_places(prompts) < prompts.lengths[:, None]


def _bias(
    seen: Bool[Array, "n s"],
    now: Int[Array, " n"],
    places: Int[Array, "n s"],
    window: int | None,
) -> Float[Array, "n s"]:
    """Zero where a new token at position ``now`` sees the token at ``places``."""
    if window is not None:
        seen = seen & recent(now[:, None], places, window)[:, 0]
    return jnp.where(seen, jnp.float32(0), FLOOR)


def _gather_shared(
    queries: Float[Array, "n k c g"], prompt: KeyValues, bias: Float[Array, "p s"]
) -> "Gathered":
    """Attention over prompts that several sequences share.

    The queries of all continuations of a prompt meet its keys in one product, so the
    prompt is read once however many they are.

    References:
      Athiwaratkun et al., Bifurcated Attention (arXiv:2403.08845).
    """
    sizes = {"p": bias.shape[0], "g": queries.shape[3]}
    together = rearrange(queries, "(p m) k c g -> p k c (m g)", **sizes)
    apart = lambda x: rearrange(x, "p k (m g) c -> (p m) k g c", **sizes)
    return Gathered(*(apart(part) for part in _gather(together, prompt, bias)))


class Gathered(NamedTuple):
    """Attention over some keys, not yet divided: parts over other keys can be added.

    Attributes:
      mixed: Sum of the values, each times the exponential of its score less the peak.
      total: Sum of these exponentials.
      peak: The largest score.
    """

    mixed: Float[Array, "b k q c"]
    total: Float[Array, "b k q 1"]
    peak: Float[Array, "b k q 1"]

    def divided(self) -> Float[Array, "b k q c"]:
        """The softmax average of the values, in float32."""
        return self.mixed / self.total

    def added(self, other: "Gathered") -> "Gathered":
        """Attention over the keys of both.

        References:
          Milakov and Gimelshein, online softmax (arXiv:1805.02867), equation 4.
        """
        peak = jnp.maximum(self.peak, other.peak)
        mine, theirs = jnp.exp(self.peak - peak), jnp.exp(other.peak - peak)
        return Gathered(
            self.mixed * mine + other.mixed * theirs,
            self.total * mine + other.total * theirs,
            peak,
        )


def _gather(
    queries: Float[Array, "b k c q"], context: KeyValues, bias: Float[Array, "b s"]
) -> Gathered:
    """Attention of queries over keys, the division left open.

    Args:
      queries: All that share a key head, of any number of tokens and heads.
      context: Keys and values.
      bias: Zero where a key is seen, a finite floor where not.
    """
    product = lambda spec, left, right: jnp.einsum(
        spec, left, right, preferred_element_type=jnp.float32
    )
    scores = product("bkcs,bkcq->bkqs", context.keys, queries)
    scores = scores + bias[:, None, None]
    peak = jnp.max(scores, axis=3, keepdims=True)
    shares = jnp.exp(scores - peak)
    mixed = product("bkqs,bksc->bkqc", shares.astype(queries.dtype), context.values)
    return Gathered(mixed, jnp.sum(shares, axis=3, keepdims=True), peak)
