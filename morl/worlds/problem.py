"""The record of a test problem, whose best trade-offs are known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float


class Problem(NamedTuple):
    """Functions of a design to be maximised together, and their exact front.

    The literature minimises; the rewards are minus its objectives, and so are the
    front and the reference.

    Attributes:
      rewards: From a design ``[d]`` to its reward vector ``[k]``, in the design's
        dtype; for one design, the caller vmaps.
      lower: Lower end of each variable, float64.
      upper: Upper end of each variable, float64.
      designs: From a number of points to designs that lie on the front, one a row,
        float64. There are ``n`` of them for two objectives, at least ``n`` otherwise.
      front: From a number of points to the reward vectors of those designs, float64,
        from the front's own formula.
      reference: A usual reference point for the hypervolume; it lies below the front.
      starts: Starting designs that the literature uses, one a row; none for most.
    """

    rewards: Callable[[Float[Array, " d"]], Float[Array, " k"]]
    lower: Float[np.ndarray, " d"]
    upper: Float[np.ndarray, " d"]
    designs: Callable[[int], Float[np.ndarray, "n d"]]
    front: Callable[[int], Float[np.ndarray, "n k"]]
    reference: Float[np.ndarray, " k"]
    starts: Float[np.ndarray, "s d"] | None = None


class Table(NamedTuple):
    """Finitely many designs, known by their reward vectors alone.

    Attributes:
      rewards: Reward vectors, one a design, maximised, float64.
      reference: A usual reference point for the hypervolume.
    """

    rewards: Float[np.ndarray, "n k"]
    reference: Float[np.ndarray, " k"]
