"""What a scorer says of responses: the one thing that assessment asks of a model."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from morl.feedback import Record


class Scored(NamedTuple):
    """Rewards of responses, one record's after the other.

    Attributes:
      rewards: One row a response, one column a head.
      uncertainty: Deviation of each reward, by heads that know their own; None where
        they do not.
    """

    rewards: Float[np.ndarray, "n k"]
    uncertainty: Float[np.ndarray, "n k"] | None = None


Scorer = Callable[[Sequence[Record]], Scored]
