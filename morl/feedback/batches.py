"""Batches bucketed by length, so that a run compiles a handful of shapes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from morl.errors import InputError


class Batch(NamedTuple):
    """Which sequences go together, and the shape they are padded to.

    Attributes:
      indices: Places of the sequences, ``[n]`` with ``1 <= n <= size``; fewer than
        ``size`` only in the last batch of a bucket.
      length: Tokens that each is padded to.
      size: Rows that the batch is padded to: every batch of a bucket has the shape
        ``[size, length]``.
    """

    indices: Int[np.ndarray, " n"]
    length: int
    size: int


def bucket(
    lengths: Sequence[int] | Int[np.ndarray, " n"], boundaries: Sequence[int]
) -> Int[np.ndarray, " n"]:
    """The bucket of each length: the first whose boundary is no shorter.

    Args:
      lengths: Tokens of each sequence, ``[n]``, from 0.
      boundaries: Lengths that sequences are padded to, increasing, from 1.

    Returns:
      Indices into ``boundaries``, ``[n]``.

    Raises:
      InputError: The boundaries do not increase, or a sequence is longer than the last.

    Examples:
      >>> bucket([3, 4, 5], boundaries=[4, 8])
      array([0, 0, 1])
    """
    edges = np.asarray(boundaries, np.int64)
    if edges.ndim != 1 or not edges.size or edges[0] < 1 or np.any(np.diff(edges) <= 0):
        raise InputError(
            f"found {list(boundaries)}, expected one or more increasing lengths from 1",
            where="boundaries",
        )
    sizes = np.asarray(lengths, np.int64)
    wrong = np.flatnonzero((sizes > edges[-1]) | (sizes < 0))
    if wrong.size:
        place = int(wrong[0])
        raise InputError(
            f"found {sizes[place]} tokens ({wrong.size} such sequences), expected 0 "
            f"to {edges[-1]}, the last of boundaries",
            where=f"lengths[{place}]",
        )
    return np.searchsorted(edges, sizes, side="left")


def bucketed_batches(
    lengths: Sequence[int] | Int[np.ndarray, " n"],
    *,
    boundaries: Sequence[int],
    batch_tokens: int,
) -> list[Batch]:
    """Batches of sequences of similar length, all of a bucket with one shape.

    Args:
      lengths: Tokens of each sequence, ``[n]``, from 0.
      boundaries: Lengths that sequences are padded to, increasing.
      batch_tokens: Tokens of a batch at most, padding included; a sequence that is
        padded to more is a batch alone.

    Returns:
      Batches in which every index occurs exactly once: by bucket, and in a bucket in
      the order of the sequences. There are at most as many shapes as boundaries.

    Raises:
      InputError: The boundaries do not increase, or a sequence is longer than the last.

    Examples:
      >>> for batch in bucketed_batches([2, 9, 3, 1], boundaries=[4, 16],
      ...                               batch_tokens=16):
      ...     print(batch.indices, batch.size, batch.length)
      [0 2 3] 4 4
      [1] 1 16
    """
    buckets = bucket(lengths, boundaries)
    batches: list[Batch] = []
    for place, length in enumerate(boundaries):
        indices = np.flatnonzero(buckets == place)
        size = max(batch_tokens // length, 1)
        batches += [
            Batch(indices[start : start + size], int(length), size)
            for start in range(0, indices.size, size)
        ]
    return batches
