"""What a gradient-based search returns."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Found(NamedTuple):
    """Designs, what they earn, and how the run went.

    Attributes:
      designs: One a row.
      rewards: Reward vector of each design, maximised.
      trace: The search's own measure of progress before each step, one row a step;
        which one it is stands with the search.
    """

    designs: Float[Array, "n d"]
    rewards: Float[Array, "n k"]
    trace: Float[Array, "t ..."]
