"""The training of a small language model on documents: prompts with one response."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, PyTree

from morl.errors import InputError
from morl.losses import next_token_loss
from morl.models.chat import ChatTokenizer, EncodedRecord
from morl.models.config import TransformerConfig
from morl.models.transformer import Transformer
from morl.numerics import WeightedSum
from morl.training.features import PackedBatch, Progress, pack, record_length

CHUNK = 25


@dataclass(frozen=True)
class LanguageSettings:
    """Size of a small language model and of its training.

    Args:
      width: Width of the residual stream, a multiple of ``num_heads``.
      num_layers: Number of blocks.
      num_heads: Query heads, with half as many key heads.
      vocab_size: Most tokens of its byte-level BPE.
      num_documents: Documents to train on, each seen about once.
      batch_size: Documents a step.
      learning_rate: Peak of a cosine schedule with a short warm-up.
      seed: Seed of weights and documents.
    """

    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    vocab_size: int = 1024
    num_documents: int = 16_000
    batch_size: int = 32
    learning_rate: float = 3e-3
    seed: int = 0


def train_language_model(
    chat: ChatTokenizer,
    documents: Sequence[EncodedRecord],
    settings: LanguageSettings,
    *,
    progress: Progress | None = None,
) -> tuple[Transformer, Float[np.ndarray, " steps"]]:
    """Trains a small Llama on the responses of documents, by AdamW.

    Args:
      chat: The tokenizer, which fixes the vocabulary.
      documents: Prompts with one response each, in the order they are seen.
      settings: Size and schedule.
      progress: Called with steps done and steps in all.

    Returns:
      The model, and the mean loss of each step in nats a response token.

    Raises:
      InputError: There are fewer documents than one batch.
    """
    size = settings.batch_size
    num_steps = len(documents) // size
    if num_steps < 1:
        raise InputError(
            f"found {len(documents)} documents, expected at least {size}",
            where="documents",
        )
    length = max(record_length(document) for document in documents)
    packed = pack(documents[: num_steps * size], length)
    batches = PackedBatch(*(x.reshape(num_steps, size, length) for x in packed))
    graph, params = nnx.split(
        Transformer(_config(chat, length, settings), rngs=nnx.Rngs(settings.seed))
    )
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, settings.learning_rate, max(num_steps // 20, 1), num_steps
    )
    solver = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))
    carry = (params, jax.jit(solver.init)(params))
    losses = []
    train = partial(_train_chunk, graph, solver)
    for start in range(0, num_steps, CHUNK):
        chunk = PackedBatch(*(x[start : start + CHUNK] for x in batches))
        carry, loss = train(carry, chunk)
        losses.append(np.asarray(loss))
        if progress is not None:
            progress(min(start + CHUNK, num_steps), num_steps)
    return nnx.merge(graph, carry[0]), np.concatenate(losses)


def document_loss(model: Transformer, batch: PackedBatch) -> WeightedSum:
    """Summed loss over the responses' tokens, and their number."""
    tokens, positions, segments, own = map(jnp.asarray, batch)
    encoding = model(tokens, positions, segments)
    logits = model.logits(encoding.hidden[:, :-1])
    return next_token_loss(logits, tokens[:, 1:], own[:, 1:] > 0)


def _config(
    chat: ChatTokenizer, length: int, settings: LanguageSettings
) -> TransformerConfig:
    return TransformerConfig(
        vocab_size=chat.vocab_size,
        width=settings.width,
        num_layers=settings.num_layers,
        num_heads=settings.num_heads,
        num_kv_heads=max(settings.num_heads // 2, 1),
        head_dim=settings.width // settings.num_heads,
        ffn_width=settings.width * 3,
        max_positions=max(2 * length, 256),
    )


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _train_chunk(
    graph: nnx.GraphDef,
    solver: optax.GradientTransformation,
    carry: tuple,
    batches: PackedBatch,
) -> tuple[tuple, Float[Array, " steps"]]:
    def loss(params: PyTree[Array], batch: PackedBatch) -> Float[Array, ""]:
        return document_loss(nnx.merge(graph, params), batch).mean

    def step(carry: tuple, batch: PackedBatch) -> tuple[tuple, Float[Array, ""]]:
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params, batch)
        updates, state = solver.update(grad, state, params)
        return (optax.apply_updates(params, updates), state), value

    return jax.lax.scan(step, carry, batches)
