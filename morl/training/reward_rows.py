"""From examples to the batches of a run: each process makes its own rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from morl.models.chat import EncodedRecord
from morl.training.features import record_length
from morl.training.loop import Fed
from morl.training.order import PADDING, Drawn, Order
from morl.training.reward_batch import (
    Example,
    FeatureRows,
    RewardBatch,
    Widths,
    labelled,
    token_batch,
)

NOTHING = Example(EncodedRecord(np.zeros(0, np.int32), (), ()), (), (), "padding")


class FeatureTable(NamedTuple):
    """Features of every example, by its number.

    Attributes:
      responses: One row a response; zeros where an example has fewer.
      prompts: One a prompt.
    """

    responses: Float[np.ndarray, "n r d"]
    prompts: Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class RowMaker:
    """Makes the batches of a data set.

    Args:
      examples: The data set.
      room: Responses and pairs of a row, in every batch of the run.
      num_objectives: Width of the masks.
      features: Features of the examples, where the backbone is not in the step.
    """

    examples: Sequence[Example]
    room: Widths
    num_objectives: int
    features: FeatureTable | None = None

    @property
    def lengths(self) -> Int[np.ndarray, " n"]:
        """Tokens of each row; 1 each where rows are features."""
        if self.features is not None:
            return np.ones(len(self.examples), int)
        return np.array([record_length(e.record) for e in self.examples], int)

    def __call__(self, rows: Int[np.ndarray, " b"], length: int) -> RewardBatch:
        """The rows with these numbers, each padded to ``length``."""
        some = [NOTHING if row == PADDING else self.examples[row] for row in rows]
        if self.features is None:
            return token_batch(
                some,
                rows,
                length=length,
                room=self.room,
                num_objectives=self.num_objectives,
            )
        # A row that only pads has no labels, so any features stand for it.
        place = np.where(rows == PADDING, 0, rows)
        found = FeatureRows(
            self.features.responses[place], self.features.prompts[place]
        )
        return labelled(
            found, some, rows, room=self.room, num_objectives=self.num_objectives
        )

    def tokens(self, rows: Int[np.ndarray, " b"]) -> int:
        """Tokens that these rows stand for, padding left out."""
        known = rows[rows != PADDING]
        return sum(record_length(self.examples[row].record) for row in known)


Place = Callable[[RewardBatch], RewardBatch]


def make_fed(
    maker: RowMaker, drawn: Drawn, *, accumulate: int, share: slice, place: Place
) -> Fed:
    """A drawn batch as micro-batches ``[a, b, ...]``, on the devices.

    Args:
      maker: Makes rows.
      drawn: ``a * b`` rows of all processes.
      accumulate: Micro-batches ``a``.
      share: Rows of each micro-batch that this process makes.
      place: Puts them on the devices.
    """
    parts = drawn.rows.reshape(accumulate, -1)
    made = [maker(part[share], drawn.length) for part in parts]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *made)
    return Fed(place(stacked), maker.tokens(drawn.rows))


def data_order(
    maker: RowMaker, boundaries: Sequence[int], rows: int, seed: int
) -> Order:
    """The order of a data set of rows."""
    edges = (1,) if maker.features is not None else tuple(boundaries)
    return Order(maker.lengths, edges, rows, seed)
