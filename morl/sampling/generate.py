"""Generation: prompts in, sampled continuations with their log-probabilities out."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Bool, Float, Int, Key

from morl.errors import InputError
from morl.models.cache import Continuations, Prompts, begin, decode, prefill
from morl.models.compiler import wide_products
from morl.models.transformer import Transformer
from morl.sampling.draw import Drawn, Sampler, draw

# Sequences from which a step's products are wide.
WIDE = 32


class Generation(NamedTuple):
    """Sampled continuations, one row a sequence.

    Attributes:
      tokens: Token ids, the stop token included; zero behind it.
      mask: Tokens that were sampled.
      log_probs: Log-probability of each token under the model itself (temperature 1,
        no filter), in nats; zero off the mask.
      sampled_log_probs: The same under the tempered and filtered distribution that it
        was drawn from.
    """

    tokens: Int[Array, "n t"]
    mask: Bool[Array, "n t"]
    log_probs: Float[Array, "n t"]
    sampled_log_probs: Float[Array, "n t"]


class _Progress(NamedTuple):
    """State of the decoding loop; outputs are one row a step."""

    step: Int[Array, ""]
    last: Int[Array, " n"]
    done: Bool[Array, " n"]
    so_far: Continuations
    outputs: Drawn
    mask: Bool[Array, "t n"]


def generate(
    model: Transformer,
    prompts: Sequence[Int[np.ndarray, " _"]],
    keys: Key[Array, " n"],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    stop_ids: Sequence[int] = (),
    num_samples: int = 1,
) -> Generation:
    """Samples continuations of every prompt.

    Prompts and their number are padded to a handful of shapes, so that few programs are
    compiled. A sequence depends on its prompt and its key alone, up to the rounding of
    float32 sums: neither on the others of its batch nor on padding.

    Args:
      model: The transformer.
      prompts: Token ids of each prompt, at least one each.
      keys: One PRNG key a sequence, ``len(prompts) * num_samples`` of them.
      max_new_tokens: Most tokens a continuation has; it ends sooner after a stop token,
        and the loop ends when all have.
      temperature: Divides the logits; 0 takes the most probable token.
      top_k: Sample from this many most probable tokens.
      top_p: Then from the fewest whose probability is at least this, in (0, 1].
      min_p: Then from those at least this share of the most probable, in [0, 1].
      stop_ids: Tokens that end a continuation.
      num_samples: Continuations a prompt; its prompt is computed and cached once.

    Returns:
      ``len(prompts) * num_samples`` rows, those of one prompt together.

    Raises:
      InputError: An argument is out of range, a prompt is empty or holds a token
        outside the vocabulary, or prompt and continuation exceed the model's positions.

    Examples:
      >>> from flax import nnx
      >>> from morl.models import TransformerConfig
      >>> config = TransformerConfig(64, 16, 1, 2, 1, 8, 32)
      >>> model = Transformer(config, rngs=nnx.Rngs(0))
      >>> keys = jax.random.split(jax.random.key(0), 2)
      >>> prompts = [np.array([1, 2, 3]), np.array([4])]
      >>> generate(model, prompts, keys, max_new_tokens=5).tokens.shape
      (2, 5)
    """
    sampler = _sampler(temperature, top_k, top_p, min_p)
    _check(model, prompts, keys, max_new_tokens, num_samples)
    stops = _stops(stop_ids, model.config.vocab_size)
    rows = _padded(len(prompts))
    lengths = np.ones(rows, np.int32)
    lengths[: len(prompts)] = [len(prompt) for prompt in prompts]
    tokens = np.zeros((rows, _padded(int(lengths.max()), 16)), np.int32)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = prompt
    count = len(prompts) * num_samples
    # The rows that only fill the shape reuse a key; nothing is read from them.
    padded_keys = keys[jnp.minimum(jnp.arange(rows * num_samples), count - 1)]
    # A prompt's last token is left to the first turn of the loop, so that every turn is
    # alike: it takes a token in and draws the next.
    prefilled = _prefill_program()(model, jnp.asarray(tokens), jnp.asarray(lengths - 1))
    generation = _decode_program(rows * num_samples >= WIDE)(
        model,
        prefilled,
        jnp.asarray(tokens[np.arange(rows), lengths - 1]),
        padded_keys,
        sampler,
        stops,
        jnp.int32(count),
        max_new_tokens=max_new_tokens,
    )
    return Generation(*(array[:count] for array in generation))


@cache
def _prefill_program() -> Callable[..., Prompts]:
    """Prompts through the model; compiled when first used, where JAX has a backend."""
    return jax.jit(prefill, compiler_options=wide_products())


@cache
def _decode_program(wide: bool) -> Callable[..., Generation]:
    """The loop over tokens, for many sequences or for few."""
    return jax.jit(
        _decode_all,
        static_argnames="max_new_tokens",
        compiler_options=wide_products() if wide else {},
    )


def _decode_all(
    model: Transformer,
    prompts: Prompts,
    last: Int[Array, " p"],
    keys: Key[Array, " n"],
    sampler: Sampler,
    stop_ids: Int[Array, " e"],
    count: Int[Array, ""],
    *,
    max_new_tokens: int,
) -> Generation:
    """One token of every sequence a turn until all have stopped."""
    num_sequences = keys.shape[0]

    def sample(hidden: Float[Array, "d n"], step: Int[Array, ""]) -> Drawn:
        fresh = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, step)
        uniform = jax.vmap(jax.random.uniform)(fresh)
        logits = _as_rows(model.logit_columns(hidden))
        return jax.vmap(draw, in_axes=(0, 0, None))(logits, uniform, sampler)

    def record(state: _Progress, drawn: Drawn) -> _Progress:
        """Writes a step's tokens where their sequence had not stopped before."""
        active = ~state.done
        put = lambda rows, row: rows.at[state.step].set(jnp.where(active, row, 0))
        stopped = jnp.any(drawn.token[:, None] == stop_ids[None], axis=1)
        return state._replace(
            step=state.step + 1,
            last=drawn.token,
            done=state.done | stopped,
            outputs=jax.tree.map(put, state.outputs, drawn),
            mask=state.mask.at[state.step].set(active),
        )

    def advance(state: _Progress) -> _Progress:
        hidden, so_far = decode(
            model, state.last, context._replace(so_far=state.so_far)
        )
        return record(state._replace(so_far=so_far), sample(hidden, state.step))

    def unfinished(state: _Progress) -> Bool[Array, ""]:
        return (state.step < max_new_tokens) & ~jnp.all(state.done)

    copies = num_sequences // last.shape[0]
    context = begin(prompts, copies, max_new_tokens)
    shape = (max_new_tokens, num_sequences)
    empty = Drawn(jnp.zeros(shape, jnp.int32), jnp.zeros(shape), jnp.zeros(shape))
    start = _Progress(
        step=jnp.int32(0),
        last=jnp.repeat(last, copies),
        done=jnp.arange(num_sequences) >= count,
        so_far=context.so_far,
        outputs=empty,
        mask=jnp.zeros(shape, bool),
    )
    end = jax.lax.while_loop(unfinished, advance, start)
    outputs = end.outputs
    return Generation(
        outputs.token.T, end.mask.T, outputs.log_prob.T, outputs.sampled_log_prob.T
    )


def _as_rows(columns: Float[Array, "v n"]) -> Float[Array, "n v"]:
    """Columns as rows, moved in memory once.

    Left to itself, XLA turns the product that made them around, which takes twice as
    long, or moves them for every step of the draw.
    """
    rows = jax.lax.optimization_barrier(columns).T
    return with_layout_constraint(rows, Layout(major_to_minor=(0, 1)))


def _padded(size: int, least: int = 1) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, ... times ``least``: at most half is padding.

    Examples:
      >>> [_padded(size) for size in (1, 5, 8, 9, 33)]
      [1, 6, 8, 12, 48]
    """
    power = least
    while power < size:
        if size <= power * 3 // 2 and power >= 2 * least:
            return power * 3 // 2
        power *= 2
    return power


def _stops(stop_ids: Sequence[int], vocab_size: int) -> Int[Array, " e"]:
    """Stop tokens, filled up with an id that none has, so that shapes are few."""
    if outside := [stop for stop in stop_ids if not 0 <= stop < vocab_size]:
        raise InputError(
            f"found {outside[0]}, expected 0 to {vocab_size - 1}", where="stop_ids"
        )
    filled = np.full(_padded(len(stop_ids), 8), -1, np.int32)
    filled[: len(stop_ids)] = stop_ids
    return jnp.asarray(filled)


def _sampler(
    temperature: float, top_k: int | None, top_p: float | None, min_p: float | None
) -> Sampler:
    """Checked settings as traced scalars."""
    ranges = (
        ("temperature", temperature, temperature >= 0, ">= 0"),
        ("top_k", top_k, top_k is None or top_k >= 1, ">= 1"),
        ("top_p", top_p, top_p is None or 0 < top_p <= 1, "in (0, 1]"),
        ("min_p", min_p, min_p is None or 0 <= min_p <= 1, "in [0, 1]"),
    )
    for name, value, fine, expected in ranges:
        if not fine:
            raise InputError(f"found {value}, expected {expected}", where=name)
    if temperature == 0:
        return Sampler(None)
    return Sampler(
        jnp.float32(temperature),
        None if top_k is None else jnp.int32(top_k),
        None if top_p is None or top_p == 1 else jnp.float32(top_p),
        None if min_p is None else jnp.float32(min_p),
    )


def _check(
    model: Transformer,
    prompts: Sequence[Int[np.ndarray, " _"]],
    keys: Key[Array, " n"],
    max_new_tokens: int,
    num_samples: int,
) -> None:
    """Refuses what could not be generated, or would be generated wrongly."""
    for name, value in (
        ("prompts", len(prompts)),
        ("max_new_tokens", max_new_tokens),
        ("num_samples", num_samples),
    ):
        if value < 1:
            raise InputError(f"found {value}, expected at least 1", where=name)
    if keys.shape[0] != len(prompts) * num_samples:
        raise InputError(
            f"found {keys.shape[0]}, expected one a sequence: {len(prompts)} prompts x "
            f"{num_samples} samples",
            where="keys",
        )
    config = model.config
    for row, prompt in enumerate(prompts):
        where = f"prompts[{row}]"
        if not len(prompt):
            raise InputError("found no token, expected at least one", where=where)
        if prompt.min() < 0 or prompt.max() >= config.vocab_size:
            raise InputError(
                f"found tokens from {prompt.min()} to {prompt.max()}, expected 0 to "
                f"{config.vocab_size - 1}",
                where=where,
            )
        if len(prompt) + max_new_tokens > config.max_positions:
            raise InputError(
                f"found {len(prompt)} tokens and {max_new_tokens} to come, expected at "
                f"most {config.max_positions} in all",
                where=where,
            )
