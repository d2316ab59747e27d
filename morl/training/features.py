"""Frozen features: what hidden states say of each response, and of its prompt.

A prompt and its responses are one packed row, so the prompt is computed once; where
they are more than a row holds, several rows repeat it. Results are kept on disk in
shards, one a batch, named by what they were computed from: an interrupted run goes on
with the next batch and ends with the same numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from morl.errors import InputError
from morl.feedback import bucketed_batches
from morl.models.chat import EncodedRecord
from morl.models.compiler import wide_products
from morl.models.heads import Reading, States
from morl.models.language_model import LanguageModel
from morl.models.transformer import Transformer
from morl.storage import content_hash, read_arrays, write_arrays

BOUNDARIES = (32, 48, 64, 96, 128, 192, 256, 320, 384, 512, 640, 768, 1024, 1536, 2048)
BATCH_TOKENS = 2048

STORED = ("last", "mean")  # poolings on disk; a sum is the mean times the length
LAYOUT = "prompt first"  # of a record's rows on disk

Progress = Callable[[int, int], None]


class PackedBatch(NamedTuple):
    """Rows of one shape, each a prompt and all its responses.

    Attributes:
      tokens: Token ids; padding is 0.
      positions: Positions; each response continues its prompt's.
      segments: -1 padding, 0 prompt, r >= 1 the r-th response.
      own: 1 where the assistant wrote the token: what a mean is taken over.
    """

    tokens: Int[Array | np.ndarray, "b t"]
    positions: Int[Array | np.ndarray, "b t"]
    segments: Int[Array | np.ndarray, "b t"]
    own: Int[Array | np.ndarray, "b t"]


@dataclass(frozen=True)
class Features:
    """Features of every response of a list of records, and of every prompt.

    Args:
      values: ``[responses, layers, poolings, d]`` float32, responses of all records one
        after the other; poolings in the order of :data:`STORED`.
      prompts: ``[records, layers, poolings, d]`` float32, likewise of each prompt.
      lengths: ``[responses]``, tokens that the assistant wrote.
      starts: ``[records + 1]``, where each record's responses begin.
      layers: Layers read, in order.
    """

    values: Float[np.ndarray, "responses l p d"]
    prompts: Float[np.ndarray, "records l p d"]
    lengths: Int[np.ndarray, " responses"]
    starts: Int[np.ndarray, " records_1"]
    layers: tuple[int, ...]

    def read(self, reading: Reading) -> Float[np.ndarray, "responses d"]:
        """One feature vector a response.

        Raises:
          InputError: The reading's layer is not among those that were extracted.
        """
        layer = self.values[:, self._place(reading)]
        if reading.pooling == "sum":
            return layer[:, STORED.index("mean")] * self.lengths[:, None]
        return layer[:, STORED.index(reading.pooling)]

    def read_prompts(self, reading: Reading) -> Float[np.ndarray, "records d"]:
        """One feature vector a prompt; its mean where responses are summed.

        Raises:
          InputError: The reading's layer is not among those that were extracted.
        """
        layer = self.prompts[:, self._place(reading)]
        pooling = "mean" if reading.pooling == "sum" else reading.pooling
        return layer[:, STORED.index(pooling)]

    def states(self, reading: Reading) -> States:
        """What heads read: every response, beside its prompt.

        Raises:
          InputError: The reading's layer is not among those that were extracted.
        """
        prompts = np.repeat(self.read_prompts(reading), np.diff(self.starts), axis=0)
        return States(jnp.asarray(self.read(reading)), jnp.asarray(prompts))

    def _place(self, reading: Reading) -> int:
        if reading.layer not in self.layers:
            raise InputError(
                f"found {reading.layer}, extracted were {self.layers}",
                where="reading.layer",
            )
        return self.layers.index(reading.layer)

    def of_records(self, start: int, stop: int) -> "Features":
        """The features of some of the records, from ``start`` up to ``stop``."""
        first, end = self.starts[start], self.starts[stop]
        return Features(
            self.values[first:end],
            self.prompts[start:stop],
            self.lengths[first:end],
            self.starts[start : stop + 1] - first,
            self.layers,
        )

    def rows(
        self, records: Int[np.ndarray, " n"], responses: Int[np.ndarray, " n"]
    ) -> Int[np.ndarray, " n"]:
        """Row of the given response of each given record."""
        return self.starts[records] + responses


def pack(records: Sequence[EncodedRecord], length: int) -> PackedBatch:
    """Lays records out as rows of ``length`` tokens, a prompt before its responses.

    Raises:
      InputError: A record has more tokens than a row.
    """
    shape = (len(records), length)
    tokens, positions, own = (np.zeros(shape, np.int32) for _ in range(3))
    segments = np.full(shape, -1, np.int32)
    for row, record in enumerate(records):
        size = record_length(record)
        if size > length:
            raise InputError(
                f"found {size} tokens, expected at most {length}", where=f"record {row}"
            )
        prompt = len(record.prompt)
        tokens[row, :prompt] = record.prompt
        positions[row, :prompt] = np.arange(prompt)
        segments[row, :prompt] = 0
        start = prompt
        for number, (response, mask) in enumerate(
            zip(record.responses, record.own, strict=True), start=1
        ):
            here = slice(start, start + len(response))
            tokens[row, here] = response
            positions[row, here] = np.arange(prompt, prompt + len(response))
            segments[row, here] = number
            own[row, here] = mask
            start = here.stop
    return PackedBatch(tokens, positions, segments, own)


def split_record(record: EncodedRecord, length: int) -> list[EncodedRecord]:
    """The record as rows of at most ``length`` tokens, each with the whole prompt.

    Responses keep their order, and a row takes as many of them as it holds.

    Raises:
      InputError: The prompt with a single response has more tokens than a row.
    """
    longest = max((len(response) for response in record.responses), default=0)
    if (found := len(record.prompt) + longest) > length:
        raise InputError(
            f"found {found} tokens in a prompt with one response, expected at most "
            f"{length}",
            where="records",
        )
    pieces: list[EncodedRecord] = []
    start, size = 0, len(record.prompt)
    for place, response in enumerate(record.responses):
        if size + len(response) > length:
            pieces.append(_part_of(record, start, place))
            start, size = place, len(record.prompt)
        size += len(response)
    return [*pieces, _part_of(record, start, len(record.responses))]


def _part_of(record: EncodedRecord, start: int, end: int) -> EncodedRecord:
    return record._replace(
        responses=record.responses[start:end], own=record.own[start:end]
    )


def record_length(record: EncodedRecord) -> int:
    """Tokens of a prompt and all its responses."""
    return len(record.prompt) + sum(len(response) for response in record.responses)


def pooled_states(
    model: Transformer,
    batch: PackedBatch,
    *,
    num_responses: int,
    layers: tuple[int, ...],
) -> Float[Array, "b r l p d"]:
    """Hidden states of prompt and responses: of their last tokens, and their means.

    Args:
      model: The backbone.
      batch: Packed rows.
      num_responses: Responses a row, the most of any; others come out as zeros.
      layers: Layers to read, from 1; the last is read after the final norm.

    Returns:
      Features in float32, the prompt's first and then those of the responses, poolings
      in the order of ``STORED``. The mean of a response is over the assistant's tokens,
      that of a prompt over all.
    """
    return _pooling_program()(model, batch, num_responses=num_responses, layers=layers)


@cache
def _pooling_program() -> Callable[..., Float[Array, "b r l p d"]]:
    """Compiled when first used, where JAX has a backend."""
    return jax.jit(
        _pooled_states,
        static_argnames=("num_responses", "layers"),
        compiler_options=wide_products(),
    )


def _pooled_states(
    model: Transformer,
    batch: PackedBatch,
    *,
    num_responses: int,
    layers: tuple[int, ...],
) -> Float[Array, "b r l p d"]:
    """What :func:`pooled_states` compiles."""
    depth = model.config.num_layers
    inner = tuple(layer for layer in layers if layer < depth)
    tokens, positions, segments, own = map(jnp.asarray, batch)
    encoding = model(tokens, positions, segments, taps=inner)
    states = dict(zip(inner, encoding.taps, strict=True)) | {depth: encoding.hidden}
    numbers = jnp.arange(num_responses + 1)
    member = segments[:, None, :] == numbers[None, :, None]  # [b r t]
    places = jnp.arange(tokens.shape[1])[None, None, :]
    last = jnp.max(jnp.where(member, places, -1), axis=-1)
    take_last = places == last[..., None]
    written = member & ((own[:, None, :] > 0) | (numbers == 0)[None, :, None])
    count = jnp.sum(written, axis=-1, keepdims=True)
    take_mean = written / jnp.maximum(count, 1)
    shares = jnp.stack([take_last.astype(jnp.float32), take_mean], axis=2)
    read = lambda layer: jnp.einsum(
        "brpt,btd->brpd", shares, states[layer].astype(jnp.float32)
    )
    return jnp.stack([read(layer) for layer in layers], axis=2)


def extract_features(
    language_model: LanguageModel,
    records: Sequence[EncodedRecord],
    *,
    layers: tuple[int, ...],
    cache: Path | None = None,
    batch_tokens: int = BATCH_TOKENS,
    boundaries: Sequence[int] = BOUNDARIES,
    progress: Progress | None = None,
) -> Features:
    """Features of every response and prompt, computed once and kept.

    Args:
      language_model: The frozen backbone.
      records: Encoded prompts with their responses; equal ones are computed once.
      layers: Layers to read, from 1.
      cache: Folder of shards; nothing is kept without one.
      batch_tokens: Tokens a batch, padding included.
      boundaries: Row lengths that are compiled. A record with more tokens than the
        last is split over several rows.
      progress: Called with tokens done and tokens in all.

    Returns:
      Features in the order of ``records``.

    Raises:
      InputError: A layer does not exist, a prompt with one of its responses is longer
        than the last boundary, or a shard is damaged; the message names it.
    """
    depth = language_model.model.config.num_layers
    if wrong := [layer for layer in layers if not 1 <= layer <= depth]:
        raise InputError(f"found {wrong}, expected 1 to {depth}", where="layers")
    split = [split_record(record, max(boundaries)) for record in records]
    pieces = [piece for each in split for piece in each]
    keys = [_record_key(piece) for piece in pieces]
    unique = dict(zip(keys, pieces, strict=True))
    known: dict[str, Float[np.ndarray, "r l p d"]] = {}
    folder = None
    if cache is not None:
        shape = repr(language_model.model.config)
        source = content_hash(
            language_model.fingerprint, shape, layers, "float32", LAYOUT
        )
        folder = cache / source[:16]
        known = {k: v for k, v in _read_shards(folder) if k in unique}
    total = sum(record_length(record) for record in unique.values())
    done = sum(record_length(unique[key]) for key in known)
    missing = {key: record for key, record in unique.items() if key not in known}
    if progress is not None:
        progress(done, total)
    for group, batch in _batches(missing, boundaries, batch_tokens):
        most = _width(max(len(missing[key].responses) for key in group))
        pooled = np.asarray(
            pooled_states(
                language_model.model, batch, num_responses=most, layers=layers
            )
        )
        fresh = {
            key: pooled[row, : 1 + len(missing[key].responses)]
            for row, key in enumerate(group)
        }
        known |= fresh
        if folder is not None:
            write_arrays(folder / f"{content_hash(group)[:32]}.safetensors", fresh)
        done += sum(record_length(missing[key]) for key in group)
        if progress is not None:
            progress(done, total)
    width = language_model.model.config.width
    empty = np.zeros((0, len(layers), len(STORED), width), np.float32)
    counts = [len(record.responses) for record in records]
    values = np.concatenate([empty, *(known[key][1:] for key in keys)])
    # Every piece of a split record has the whole prompt, so that any will do.
    first = np.cumsum([0, *(len(each) for each in split)])[:-1]
    prompts = np.concatenate([empty, *(known[keys[place]][:1] for place in first)])
    lengths = [int(own.sum()) for record in records for own in record.own]
    return Features(
        values, prompts, np.array(lengths, int), np.cumsum([0, *counts]), layers
    )


def _record_key(record: EncodedRecord) -> str:
    """A name for the tokens of a record and where its responses lie."""
    total = sha256()
    for array in (record.prompt, *record.responses, *record.own):
        total.update(f"{len(array)};".encode())
        total.update(np.ascontiguousarray(array, np.int32).tobytes())
    return total.hexdigest()[:32]


def _read_shards(folder: Path) -> Iterator[tuple[str, Float[np.ndarray, "r l p d"]]]:
    for path in sorted(folder.glob("*.safetensors")):
        yield from read_arrays(path)[0].items()


def _width(num_responses: int) -> int:
    """The next power of two: a handful of shapes serves any number of responses."""
    return 1 << max(num_responses - 1, 1).bit_length()


def _batches(
    records: dict[str, EncodedRecord], boundaries: Sequence[int], batch_tokens: int
) -> Iterator[tuple[list[str], PackedBatch]]:
    """Batches of rows, bucket by bucket, each bucket in the order of the keys.

    A run that goes on after an interruption has lost whole batches from the front of
    this order, so it forms the ones that are left exactly as before.
    """
    by_width: dict[int, list[str]] = {}
    for key in sorted(records):
        by_width.setdefault(_width(len(records[key].responses)), []).append(key)
    empty = EncodedRecord(np.zeros(0, np.int32), (), ())
    for _, keys in sorted(by_width.items()):
        lengths = [record_length(records[key]) for key in keys]
        for batch in bucketed_batches(
            lengths, boundaries=boundaries, batch_tokens=batch_tokens
        ):
            group = [keys[index] for index in batch.indices]
            rows = [records[key] for key in group]
            rows += [empty] * (batch.size - len(group))
            yield group, pack(rows, batch.length)
