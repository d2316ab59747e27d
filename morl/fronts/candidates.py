"""Responses that the reference policy sampled, and what selector and judge say."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.errors import InputError
from morl.types import Names


@dataclass(frozen=True)
class Candidates:
    """N responses to each prompt, scored once by a selector and once by a judge.

    Args:
      names: Names of the selector's rewards, in the order of their last axis.
      rewards: ``[b, n, k]`` the selector's rewards.
      present: ``[b, n, k]`` which of them are present.
      objectives: Names of the judge's rewards, in order.
      judged: ``[b, n, m]`` the judge's rewards, which no selection may look at.
      lengths: ``[b, n]`` tokens of each response.
      seed: Seed of the sampling.
      prompts: Text of each prompt, for people.
      responses: Text of each response, for people.

    Raises:
      InputError: Shapes that do not fit together, or a judge's reward that is not
        finite.
    """

    names: Names
    rewards: Float[np.ndarray, "b n k"]
    present: Bool[np.ndarray, "b n k"]
    objectives: Names
    judged: Float[np.ndarray, "b n m"]
    lengths: Int[np.ndarray, "b n"]
    seed: int = 0
    prompts: tuple[str, ...] = ()
    responses: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuses what does not fit together."""
        shape = self.judged.shape[:2]
        expected = {
            "rewards": (*shape, len(self.names)),
            "present": (*shape, len(self.names)),
            "judged": (*shape, len(self.objectives)),
            "lengths": shape,
        }
        for name, wanted in expected.items():
            if (found := vars(self)[name].shape) != wanted:
                raise InputError(f"has shape {found}, expected {wanted}", where=name)
        if not np.isfinite(self.judged).all():
            raise InputError(
                "found NaN or infinity in a judge's reward", where="judged"
            )
        for name in ("prompts", "responses"):
            texts = vars(self)[name]
            if texts and len(texts) != shape[0]:
                raise InputError(
                    f"has {len(texts)} entries, rewards have {shape[0]} prompts",
                    where=name,
                )
