"""The frozen scale and the reference point that fronts are compared under."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from morl.errors import InputError

MARGIN = 0.1


@dataclass(frozen=True)
class Normalisation:
    """A scale per objective: the base policy is 0, the best expert is 1.

    Attributes:
      base: Mean rewards of the base policy.
      best: Highest mean reward of a single-objective expert, per objective.
    """

    base: tuple[float, ...]
    best: tuple[float, ...]


def normalised(
    rewards: Float[np.ndarray, "*batch k"], scale: Normalisation
) -> Float[np.ndarray, "*batch k"]:
    """Rewards in units of what the experts gain over the base policy.

    Args:
      rewards: In raw units.
      scale: From the same run, or from the file that froze it.

    Returns:
      ``(rewards - base) / (best - base)``.

    Raises:
      InputError: An objective in which no expert beats the base policy.

    Examples:
      >>> normalised(np.array([3.0, 0.5]), Normalisation((1.0, 0.0), (5.0, 1.0)))
      array([0.5, 0.5])
    """
    base, best = np.array(scale.base), np.array(scale.best)
    if not (best > base).all():
        raise InputError(
            f"base is {scale.base} and best is {scale.best}, expected best > base in "
            "every objective",
            where="normalisation",
        )
    return (rewards - base) / (best - base)


def protocol_reference(
    base: Float[np.ndarray, " k"], experts: Float[np.ndarray, "e k"]
) -> Float[np.ndarray, " k"]:
    """The reference point of hypervolumes: a tenth of the range below the worst.

    Args:
      base: Mean rewards of the base policy.
      experts: Mean rewards of the single-objective experts, one a row.

    Returns:
      Componentwise minimum over base and experts, minus 10% of their range.

    Examples:
      >>> protocol_reference(np.zeros(2), np.array([[1.0, -0.5], [-0.25, 2.0]]))
      array([-0.375, -0.75 ])
    """
    every = np.concatenate([base[None], experts])
    low, high = every.min(0), every.max(0)
    return low - MARGIN * (high - low)
