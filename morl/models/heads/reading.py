"""Which hidden state of a response stands for it."""

from dataclasses import dataclass

from morl.errors import InputError

POOLINGS = ("last", "mean", "sum")


@dataclass(frozen=True, order=True)
class Reading:
    """Which hidden state of a response stands for it.

    Args:
      layer: Layers passed, from 1; the model's last layer is read after its final norm.
      pooling: ``"last"``, the response's last token; ``"mean"`` over the tokens
        that the assistant wrote; or their ``"sum"``, which grows with length.

    Raises:
      InputError: The pooling is unknown or the layer is not positive.
    """

    layer: int
    pooling: str

    def __post_init__(self) -> None:
        """Refuses what cannot be read."""
        if self.pooling not in POOLINGS:
            raise InputError(
                f"found {self.pooling!r}, expected one of {POOLINGS}",
                where="reading.pooling",
            )
        if self.layer < 1:
            raise InputError(
                f"found {self.layer}, expected 1 or more", where="reading.layer"
            )
