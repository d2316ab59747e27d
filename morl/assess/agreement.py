"""How far two sides rank the responses to a prompt alike."""

import numpy as np
from jaxtyping import Bool, Float

from morl.assess.accuracy import Accuracy, pair_accuracy


def order_agreement(
    rewards: Float[np.ndarray, "b n"],
    judged: Float[np.ndarray, "b n"],
    present: Bool[np.ndarray, "b n"],
    *,
    seed: int = 0,
) -> Accuracy:
    """Share of pairs of a prompt's responses that one side orders as the other does.

    Selection can gain what the judge rewards only as far as the two agree.

    Args:
      rewards: By the side that selects; a tie counts half.
      judged: By the side that judges; pairs that it holds equal are left out.
      present: Responses that both have a reward for; the others may hold NaN.
      seed: Of the bootstrap.

    Returns:
      The share, with an interval that draws prompts; NaN, of no pair, where the judge
      tells no two responses of a prompt apart.

    Raises:
      InputError: A reward that is said to be present is NaN.

    Examples:
      >>> rewards, judged = np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 2.0, 1.0]])
      >>> round(order_agreement(rewards, judged, np.ones((1, 3), bool)).value, 3)
      0.667
    """
    first, second = np.triu_indices(rewards.shape[1], k=1)
    gap = rewards[:, first] - rewards[:, second]
    wanted = np.sign(judged[:, first] - judged[:, second])
    keep = present[:, first] & present[:, second] & (wanted != 0)
    if not keep.any():
        return Accuracy(np.nan, np.nan, np.nan, 0, 0)
    prompts = np.broadcast_to(np.arange(len(rewards))[:, None], keep.shape)
    return pair_accuracy((gap * wanted)[keep], prompts[keep], seed=seed)
