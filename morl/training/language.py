"""The training of a small language model on documents: prompts with one response."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PyTree
from optax.contrib import MuonDimensionNumbers, muon

from morl.errors import InputError
from morl.losses import next_token_loss
from morl.models.chat import ChatTokenizer, EncodedRecord
from morl.models.config import TransformerConfig
from morl.models.tokenizer import LEAST_VOCABULARY
from morl.models.transformer import Transformer
from morl.numerics import WeightedSum
from morl.training.bounds import check_numbers
from morl.training.features import PackedBatch, Progress, pack, record_length

CHUNK = 25


class Predictions(NamedTuple):
    """Which tokens of packed rows are predicted, and from where.

    Attributes:
      sources: Place of the token whose state predicts: the one before, and for the
        first token of every response the last one of the shared prompt.
      targets: The token predicted.
      mask: Which entries are there; rows hold unequal numbers.
    """

    sources: Int[Array | np.ndarray, "*n b m"]
    targets: Int[Array | np.ndarray, "*n b m"]
    mask: Bool[Array | np.ndarray, "*n b m"]


@dataclass(frozen=True)
class LanguageSettings:
    """Size of a small language model and of its training.

    Args:
      width: Width of the residual stream, a multiple of twice ``num_heads``.
      num_layers: Number of blocks.
      num_heads: Query heads, an even number with half as many key heads, or 1.
      vocab_size: Most tokens of its byte-level BPE.
      ffn_multiple: Width of the feed-forward block, in widths of the residual stream.
      num_documents: Documents to train on, at least a batch, each seen about once.
      batch_size: Documents a step.
      learning_rate: Peak for matrices (Muon) of a cosine schedule with a short warm-up.
      adam_learning_rate: The same for the embedding and the norms (AdamW).
      seed: Seed of weights and documents.

    Raises:
      InputError: A number is out of its range, or two of them do not fit.
    """

    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    vocab_size: int = 1024
    ffn_multiple: int = 3
    num_documents: int = 16_000
    batch_size: int = 8
    learning_rate: float = 0.02
    adam_learning_rate: float = 4e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be trained."""
        sizes = ("width", "num_layers", "num_heads", "ffn_multiple", "batch_size")
        least = dict.fromkeys(sizes, 1) | {"vocab_size": LEAST_VOCABULARY}
        check_numbers("language", vars(self), least)
        if self.num_documents < self.batch_size:
            raise InputError(
                f"found {self.num_documents}, expected at least language.batch_size "
                f"({self.batch_size})",
                where="language.num_documents",
            )
        if self.num_heads % self.num_kv_heads:
            raise InputError(
                f"found {self.num_heads}, expected 1 or an even number",
                where="language.num_heads",
            )
        # A head is turned by pairs of its entries, so its width is even.
        if self.width % (2 * self.num_heads):
            raise InputError(
                f"found {self.width}, expected a multiple of twice language.num_heads "
                f"({2 * self.num_heads})",
                where="language.width",
            )
        for name in ("learning_rate", "adam_learning_rate"):
            rate = vars(self)[name]
            if not (rate > 0 and math.isfinite(rate)):
                raise InputError(
                    f"found {rate}, expected a number above 0", where=f"language.{name}"
                )

    @property
    def num_kv_heads(self) -> int:
        """Key heads: half the query heads."""
        return max(self.num_heads // 2, 1)


def train_language_model(
    chat: ChatTokenizer,
    documents: Sequence[EncodedRecord],
    settings: LanguageSettings,
    *,
    progress: Progress | None = None,
) -> tuple[Transformer, Float[np.ndarray, " steps"]]:
    """Trains a small Llama on the responses of documents, by Muon and AdamW.

    Args:
      chat: The tokenizer, which fixes the vocabulary.
      documents: Prompts with one response each, in the order they are seen.
      settings: Size and schedule.
      progress: Called with steps done and steps in all.

    Returns:
      The model, and the mean loss of each step in nats a response token.

    Raises:
      InputError: There are fewer documents than one batch.

    References:
      Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024, as
      in optax.
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
    rows = (packed, predictions(packed))
    batches = jax.tree.map(lambda x: x.reshape(num_steps, size, -1), rows)
    graph, params = nnx.split(
        Transformer(_config(chat, length, settings), rngs=nnx.Rngs(settings.seed))
    )
    solver = _solver(settings, num_steps)
    carry = (params, jax.jit(solver.init)(params))
    losses = []
    train = partial(_train_chunk, graph, solver)
    for start in range(0, num_steps, CHUNK):
        chunk = jax.tree.map(lambda x, at=start: x[at : at + CHUNK], batches)
        carry, loss = train(carry, *chunk)
        losses.append(np.asarray(loss))
        if progress is not None:
            progress(min(start + CHUNK, num_steps), num_steps)
    return nnx.merge(graph, carry[0]), np.concatenate(losses)


def predictions(batch: PackedBatch) -> Predictions:
    """Every token that the assistant wrote, and the place that predicts it.

    Examples:
      >>> from morl.models.chat import EncodedRecord
      >>> token = lambda *ids: np.array(ids, np.int32)
      >>> own = (np.ones(1, bool), np.ones(2, bool))
      >>> record = EncodedRecord(token(5, 6), (token(7), token(8, 9)), own)
      >>> found = predictions(pack([record], 8))
      >>> found.sources.tolist(), found.targets.tolist()
      ([[1, 1, 3]], [[7, 8, 9]])
    """
    tokens, _, segments, own = (np.asarray(part) for part in batch)
    most = int((own > 0).sum(axis=1).max(initial=1))
    shape = (len(tokens), most)
    found = Predictions(*(np.zeros(shape, kind) for kind in (np.int32, np.int32, bool)))
    for row in range(len(tokens)):
        places = np.flatnonzero(own[row] > 0)
        last = np.count_nonzero(segments[row] == 0) - 1
        inside = segments[row, places] == segments[row, places - 1]
        count = len(places)
        found.sources[row, :count] = np.where(inside, places - 1, last)
        found.targets[row, :count] = tokens[row, places]
        found.mask[row, :count] = True
    return found


def document_loss(
    model: Transformer, batch: PackedBatch, wanted: Predictions
) -> WeightedSum:
    """Summed loss over the responses' tokens, and their number.

    Logits are computed for the tokens that are predicted alone: over prompts and
    padding, the product with the vocabulary is most of what a small model costs.
    """
    tokens, positions, segments, _ = map(jnp.asarray, batch)
    sources, targets, mask = map(jnp.asarray, wanted)
    hidden = model(tokens, positions, segments).hidden
    states = jnp.take_along_axis(hidden, sources[..., None], axis=1)
    return next_token_loss(model.logits(states), targets, mask)


def _solver(settings: LanguageSettings, num_steps: int) -> optax.GradientTransformation:
    """Muon for the matrices of the blocks, AdamW for everything else."""
    schedule = lambda peak: optax.warmup_cosine_decay_schedule(
        0.0, peak, max(num_steps // 20, 1), num_steps
    )
    return muon(
        schedule(settings.learning_rate),
        adam_learning_rate=schedule(settings.adam_learning_rate),
        muon_weight_dimension_numbers=_matrices,
    )


def _matrices(params: PyTree[Array]) -> PyTree:
    """How Muon reads the weights ``[out, in]`` of blocks; None is left to AdamW."""
    columns = MuonDimensionNumbers(reduction_axis=1, output_axis=0)
    return jax.tree_util.tree_map_with_path(
        lambda path, x: (
            columns if x.ndim == 2 and "layers" in jax.tree_util.keystr(path) else None
        ),
        params,
    )


def positions_of(row_tokens: int) -> int:
    """Positions of a model that was trained on rows of so many tokens."""
    return max(2 * row_tokens, 256)


def _config(
    chat: ChatTokenizer, length: int, settings: LanguageSettings
) -> TransformerConfig:
    return TransformerConfig(
        vocab_size=chat.vocab_size,
        width=settings.width,
        num_layers=settings.num_layers,
        num_heads=settings.num_heads,
        num_kv_heads=settings.num_kv_heads,
        head_dim=settings.width // settings.num_heads,
        ffn_width=settings.width * settings.ffn_multiple,
        max_positions=positions_of(length),
    )


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _train_chunk(
    graph: nnx.GraphDef,
    solver: optax.GradientTransformation,
    carry: tuple,
    batches: PackedBatch,
    wanted: Predictions,
) -> tuple[tuple, Float[Array, " steps"]]:
    def loss(
        params: PyTree[Array], batch: PackedBatch, some: Predictions
    ) -> Float[Array, ""]:
        return document_loss(nnx.merge(graph, params), batch, some).mean

    def step(carry: tuple, inputs: tuple) -> tuple[tuple, Float[Array, ""]]:
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params, *inputs)
        updates, state = solver.update(grad, state, params)
        return (optax.apply_updates(params, updates), state), value

    return jax.lax.scan(step, carry, (batches, wanted))
