"""How well scores of single responses tell those labelled "yes" from the others."""

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.assess.accuracy import Accuracy, Difference, pair_accuracy
from morl.assess.resampling import Resampled, bounds, check_rows, resample_prompts
from morl.errors import InputError


def label_accuracy(
    logits: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Accuracy:
    """Share of responses whose log-odds are on the side of their label.

    Where one label is much the more common, saying it always scores high: compare with
    the share of the more common label, or see :func:`area_under_roc`.

    Args:
      logits: Log-odds of "yes"; zero counts half.
      labels: Whether each response is labelled "yes".
      groups: The prompt of each response, any integers.
      seed: Of the bootstrap.

    Returns:
      The share, with an interval that draws prompts.

    Raises:
      InputError: There is no response, or a logit is NaN.
    """
    check_rows(logits, groups, name="logits")
    return pair_accuracy(np.where(labels, logits, -logits), groups, seed=seed)


def area_under_roc(
    scores: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Accuracy:
    r"""Share of (yes, no) pairs of responses that the scores order rightly.

    .. math:: \mathrm{AUC} = P(s^+ > s^-) + \tfrac12 P(s^+ = s^-)

    the area under the receiver operating characteristic. It is 0.5 for scores that know
    nothing, however unbalanced the labels are, and does not depend on a threshold.

    Args:
      scores: Any monotone evidence for "yes".
      labels: Whether each response is labelled "yes"; both kinds occur.
      groups: The prompt of each response, any integers.
      seed: Of the bootstrap.

    Returns:
      The area, with an interval that draws prompts; ``count`` is that of responses.

    Raises:
      InputError: There is no response, a score is NaN, or only one kind of label.

    References:
      Hanley and McNeil, The meaning and use of the area under a ROC curve (1982).
    """
    _check(scores, labels, groups, "scores")
    resampled = resample_prompts(groups, seed=seed)
    low, high = _bounds(_areas(scores, labels, resampled), resampled)
    return Accuracy(
        float(_area(scores, labels)), low, high, len(labels), resampled.counts.shape[1]
    )


def area_difference(
    scores: Float[np.ndarray, " n"],
    others: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Difference:
    """Area of the first scores less that of the second, over the same draws.

    Args:
      scores: The first.
      others: The second, such as those of a baseline.
      labels: Whether each response is labelled "yes"; both kinds occur.
      groups: The prompt of each response, any integers.
      seed: Of the bootstrap.

    Returns:
      The difference and its interval.

    Raises:
      InputError: As :func:`area_under_roc`.
    """
    _check(scores, labels, groups, "scores")
    _check(others, labels, groups, "others")
    resampled = resample_prompts(groups, seed=seed)
    gains = _areas(scores, labels, resampled) - _areas(others, labels, resampled)
    value = _area(scores, labels) - _area(others, labels)
    return Difference(float(value), *_bounds(gains, resampled))


def _area(
    scores: Float[np.ndarray, " n"], labels: Bool[np.ndarray, " n"]
) -> np.floating:
    return _weighted_areas(scores, labels, np.ones((1, len(labels))))[0]


def _areas(
    scores: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    resampled: Resampled,
) -> Float[np.ndarray, " r"]:
    return _weighted_areas(scores, labels, resampled.counts[:, resampled.prompt])


def _weighted_areas(
    scores: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    weights: np.ndarray,
) -> Float[np.ndarray, " r"]:
    """Areas in which each response counts so often; NaN where a kind is not drawn."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    yes = np.where(labels, weights, 0)[:, order]
    no = np.where(labels, 0, weights)[:, order]
    below = np.concatenate([np.zeros((len(no), 1)), np.cumsum(no, axis=1)], axis=1)
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right")
    # Half of the "no" that tie with a "yes" count as below it.
    won = np.sum(yes * (below[:, first] + below[:, last]) / 2, axis=1)
    pairs = yes.sum(axis=1) * no.sum(axis=1)
    return np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)


def _bounds(
    areas: Float[np.ndarray, " r"], resampled: Resampled
) -> tuple[float, float]:
    low, high = bounds(areas[:, None], resampled.counts.shape[1])[:, 0]
    return float(low), float(high)


def _check(
    scores: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    name: str,
) -> None:
    check_rows(scores, groups, name=name)
    if labels.all() or not labels.any():
        raise InputError(
            f"found {labels.sum()} of {len(labels)} labelled yes, expected both kinds",
            where="labels",
        )
