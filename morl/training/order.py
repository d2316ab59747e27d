"""The order in which a data set is seen: a function of the seed and of the step alone.

So a position in the data is a number of steps, and a run that goes on at a step forms
the batches that it would have formed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int

from morl.errors import InputError
from morl.feedback import bucket

T = TypeVar("T")
PADDING = -1  # the number of a row that only fills its batch


class Drawn(NamedTuple):
    """Which rows make a batch.

    Attributes:
      rows: ``[rows]`` numbers of examples; :data:`PADDING` where a batch has too few.
      length: Tokens that each is padded to.
    """

    rows: Int[np.ndarray, " rows"]
    length: int


@dataclass(frozen=True)
class Order:
    """Every epoch anew, each example once: batches of rows of similar length, shuffled.

    Args:
      lengths: Tokens of each example.
      boundaries: Lengths that rows are padded to, increasing.
      rows: Rows of a batch.
      seed: Of the shuffles.

    Raises:
      InputError: There is no example, or one is longer than the last boundary.
    """

    lengths: Int[np.ndarray, " n"]
    boundaries: tuple[int, ...]
    rows: int
    seed: int

    def __post_init__(self) -> None:
        """Refuses what makes no batch."""
        if not len(self.lengths):
            raise InputError("found none, expected one or more", where="examples")
        if self.rows < 1:
            raise InputError(f"found {self.rows}, expected at least 1", where="rows")
        bucket(self.lengths, self.boundaries)

    @property
    def batches_an_epoch(self) -> int:
        """How many batches hold every example once."""
        counts = np.bincount(bucket(self.lengths, self.boundaries))
        return int(sum(-(-count // self.rows) for count in counts))

    def epoch(self, number: int) -> list[Drawn]:
        """The batches of one epoch, in order."""
        random = np.random.default_rng((self.seed, number))
        shuffled = random.permutation(len(self.lengths))
        buckets = bucket(self.lengths[shuffled], self.boundaries)
        batches = []
        for place in np.unique(buckets):
            members = shuffled[buckets == place]
            for start in range(0, len(members), self.rows):
                rows = np.full(self.rows, PADDING)
                part = members[start : start + self.rows]
                rows[: len(part)] = part
                batches.append(Drawn(rows, int(self.boundaries[place])))
        return [batches[i] for i in random.permutation(len(batches))]

    def after(self, step: int) -> Iterator[Drawn]:
        """The batches from a step on, without end."""
        epoch, skip = divmod(step, self.batches_an_epoch)
        while True:
            yield from self.epoch(epoch)[skip:]
            epoch, skip = epoch + 1, 0


class Prefetched(Generic[T]):
    """Makes the next batches in the background, while the last ones are computed on.

    Args:
      source: What is made from, in order.
      make: Makes one.
      depth: How many may wait.
    """

    def __init__(
        self, source: Iterator[Drawn], make: Callable[[Drawn], T], depth: int = 2
    ) -> None:
        """Begins at once."""
        self._queue: Queue[T | BaseException] = Queue(depth)
        self._stop = Event()
        self._thread = Thread(target=self._fill, args=(source, make), daemon=True)
        self._thread.start()

    def _fill(self, source: Iterator[Drawn], make: Callable[[Drawn], T]) -> None:
        try:
            for drawn in source:
                if not self._put(make(drawn)):
                    return
        except BaseException as error:
            # It is raised where the batch is asked for.
            self._put(error)

    def _put(self, item: T | BaseException) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[T]:
        """Itself."""
        return self

    def __next__(self) -> T:
        """The next batch.

        Raises:
          BaseException: Whatever making it raised.
        """
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Stops making batches; what waits is dropped."""
        self._stop.set()
        self._thread.join()
