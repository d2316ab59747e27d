"""Several right answers, or one, among wrong ones: RewardBench 2's two scores."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from morl.assess.estimates import Sampled
from morl.errors import InputError
from morl.numerics import resample_counts, resampled_means


def best_of_credit(
    rewards: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"]
) -> float:
    """The chance that the best answer by reward is right, ties broken by a draw.

    Args:
      rewards: Of all answers to a prompt.
      right: Which of them are right.

    Examples:
      >>> right = np.array([True, False, False, False])
      >>> best_of_credit(np.array([2.0, 2.0, 1.0, 0.0]), right)
      0.5
    """
    top = rewards == rewards.max()
    return float(np.sum(top & right) / np.sum(top))


class Gaps(NamedTuple):
    """How a reward lies on the answers to one prompt.

    Attributes:
      within: From the worst right answer to the best; 0 where there is one.
      between: From the best wrong answer up to the worst right one.
    """

    within: float
    between: float


def gaps(rewards: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> Gaps:
    """Gaps among right answers, and between right and wrong ones.

    Raises:
      InputError: There is no right answer, or no wrong one.
    """
    if right.all() or not right.any():
        raise InputError(
            f"found {right.sum()} of {len(right)} right, expected both kinds",
            where="right",
        )
    good, bad = rewards[right], rewards[~right]
    return Gaps(float(good.max() - good.min()), float(good.min() - bad.max()))


def ties_score(
    tied: Mapping[int, Gaps], single: Mapping[int, Gaps], *, seed: int = 0
) -> Sampled:
    r"""RewardBench 2's score of prompts with several right answers.

    A good reward holds right answers for about equal, and all above the wrong ones.
    With :math:`w` the gap within right answers and :math:`b` that between right and
    wrong, of a prompt with several right answers, and :math:`b'` of its counterpart
    with a single one:

    .. math:: 0.3\,[b > 0] + 0.3\,[b' > 0] + 0.2\,[b > w] + 0.2\,[\min(b, b') > w]
              + 0.01 \tanh(\min(b, b') / w - 1)

    each a mean over prompts, the last three over those that have both kinds. The last
    term breaks ties between models, and lets the score reach 1.01.

    Args:
      tied: Number of a prompt to its gaps, for prompts with several right answers.
      single: The same for their counterparts.
      seed: Of the bootstrap, which draws numbers.

    Returns:
      The score.

    Raises:
      InputError: No number has both.

    References:
      Malik et al., RewardBench 2 (arXiv:2506.01937), 2025, and its public scorer.
    """
    numbers = sorted(tied.keys() | single.keys())
    if not tied.keys() & single.keys():
        raise InputError("no prompt has both kinds", where="ties")
    nothing = Gaps(np.nan, np.nan)
    within, between = np.array([tied.get(number, nothing) for number in numbers]).T
    other = np.array([single.get(number, nothing).between for number in numbers])
    least = np.where(
        np.isnan(between) | np.isnan(other), np.nan, np.fmin(between, other)
    )
    both = ~np.isnan(least)
    share = lambda held, known: np.where(known, held, np.nan).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(np.tanh(least / within - 1), nan=0.0)
    terms = np.stack(
        [
            share(between > 0, ~np.isnan(between)),
            share(other > 0, ~np.isnan(other)),
            share(between > within, both),
            share(least > within, both),
            share(ratio, both),
        ],
        axis=1,
    )
    weights = np.array([0.3, 0.3, 0.2, 0.2, 0.01])
    counts = resample_counts(len(numbers), seed=seed)
    return Sampled(
        float(np.nanmean(terms, axis=0) @ weights),
        resampled_means(terms, counts) @ weights,
        len(tied) + len(single),
        len(numbers),
    )
