"""How each head orders the pairs of every objective."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.assess.accuracy import ordered
from morl.assess.resampling import (
    bounds,
    check_rows,
    mean_resamples,
    resample_prompts,
)
from morl.errors import InputError
from morl.types import Names


class CrossMatrix(NamedTuple):
    """Shares of pairs ordered as labelled: rows are heads, columns sets of pairs.

    Attributes:
      heads: Names of the rows.
      columns: Names of the columns: objectives, or subsets of an outside test.
      value: Shares in [0, 1]; NaN in a column without pairs.
      low: Lower 95 % bounds; NaN where there are fewer than two prompts.
      high: Upper 95 % bounds; NaN likewise.
      pairs: Number of pairs in each column.
      prompts: Number of distinct prompts in each column.
    """

    heads: Names
    columns: Names
    value: Float[np.ndarray, "h c"]
    low: Float[np.ndarray, "h c"]
    high: Float[np.ndarray, "h c"]
    pairs: Int[np.ndarray, " c"]
    prompts: Int[np.ndarray, " c"]


def cross_accuracy(
    margins: Float[np.ndarray, "p h"],
    column: Int[np.ndarray, " p"],
    groups: Int[np.ndarray, " p"],
    *,
    heads: Names,
    columns: Names,
    seed: int = 0,
) -> CrossMatrix:
    """Accuracy of every head on the pairs of every objective.

    Off the diagonal, 0.5 says that two objectives have nothing to do with each other,
    less that they conflict: what one prefers, the other rejects.

    Args:
      margins: Reward of the better response less that of the worse, by every head.
      column: Index into ``columns`` of each pair, such as its objective.
      groups: The prompt of each pair, any integers.
      heads: Names of the heads.
      columns: Names of the sets of pairs.
      seed: Of the bootstrap.

    Returns:
      The matrix, with intervals that draw prompts.

    Raises:
      InputError: The names do not fit the margins, there is no pair, or a NaN.
    """
    if len(heads) != margins.shape[1]:
        raise InputError(
            f"found {margins.shape[1]} columns, but heads are {heads}", where="margins"
        )
    if len(column) and not 0 <= column.min() <= column.max() < len(columns):
        raise InputError(
            f"found indices from {column.min()} to {column.max()}, but columns are "
            f"{columns}",
            where="column",
        )
    for place, name in enumerate(heads):
        check_rows(margins[:, place], groups, name=f"margins[{name}]")
    cells = [
        _column(margins[column == place], groups[column == place], seed)
        for place in range(len(columns))
    ]
    value, low, high = np.stack([cell for cell, _ in cells], axis=-1)
    pairs = np.bincount(column, minlength=len(columns))
    prompts = np.array([count for _, count in cells])
    return CrossMatrix(heads, columns, value, low, high, pairs, prompts)


def _column(
    margins: Float[np.ndarray, "p h"], groups: Int[np.ndarray, " p"], seed: int
) -> tuple[Float[np.ndarray, "3 h"], int]:
    """Shares with their bounds, and the number of prompts."""
    if not len(groups):
        return np.full((3, margins.shape[1]), np.nan), 0
    right = ordered(margins)
    resampled = resample_prompts(groups, seed=seed)
    num_prompts = resampled.counts.shape[1]
    low, high = bounds(mean_resamples(right, resampled), num_prompts)
    return np.stack([right.mean(axis=0), low, high]), num_prompts
