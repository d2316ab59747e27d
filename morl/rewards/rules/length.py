"""Length of a response in tokens, words or characters."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from morl.errors import InputError
from morl.rewards.batch import Scored, TextBatch, scored
from morl.rewards.objective import RULE, Reward
from morl.rewards.rules.words import words

Unit: TypeAlias = Literal["token", "word", "character"]
UNITS = ("token", "word", "character")


@dataclass(frozen=True)
class Length:
    """Settings of :func:`length`."""

    name: str = "length"
    unit: str = "token"

    def __post_init__(self) -> None:
        """Refuses an unknown unit."""
        if self.unit not in UNITS:
            raise InputError(
                f"found {self.unit!r}, expected one of {', '.join(UNITS)}",
                where=f"{self.name}.unit",
            )

    def score(self, batch: TextBatch) -> Scored:
        """The length of each response."""
        counts = self._counts(batch)
        reasons = [f"{c} {self.unit}{'' if c == 1 else 's'}" for c in counts]
        return scored([float(c) for c in counts], reasons)

    def _counts(self, batch: TextBatch) -> list[int]:
        if self.unit == "character":
            return [len(text) for text in batch.texts]
        if self.unit == "word":
            return [len(words(text)) for text in batch.texts]
        if batch.mask is None:
            raise InputError(
                "a length in tokens needs the batch's mask of response tokens; "
                "unit='word' and unit='character' need the text alone",
                where=self.name,
            )
        return np.sum(np.asarray(batch.mask), axis=1, dtype=int).tolist()


def length(unit: Unit = "token", *, name: str = "length") -> Reward:
    """How long a response is; subtract it to reward brevity.

    Args:
      unit: ``"token"`` counts what the batch masks as response, its end-of-turn token
        included; ``"word"`` counts words; ``"character"`` counts Unicode code points,
        so an emoji of several code points counts several times.
      name: Name of the reward.

    Returns:
      A reward in ``[0, inf)``, in units of ``unit``.

    Raises:
      InputError: at scoring, if ``unit`` is ``"token"`` and the batch has no mask.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> length("word").source.score(text_batch(["q"], ["It's 42."])).explanations
      ('2 words',)
    """
    source = Length(name, unit)
    return Reward(
        name, source=source, unit=unit, range=(0.0, float("inf")), declares=RULE
    )
