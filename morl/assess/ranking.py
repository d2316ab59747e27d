"""How well scores of single responses tell those labelled "yes" from the others."""

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.assess.accuracy import Accuracy, Comparison, comparison, pair_accuracy
from morl.assess.resampling import check_rows, resample_prompts
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
    none = np.zeros((len(scores), 0))
    return compare_areas(scores, none, labels, groups, seed=seed).accuracy


def compare_areas(
    scores: Float[np.ndarray, " n"],
    baselines: Float[np.ndarray, "n m"],
    labels: Bool[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Comparison:
    """Area of the scores, of each baseline, and the differences over the same draws.

    Args:
      scores: The scores in question.
      baselines: Scores of each baseline, a column each.
      labels: Whether each response is labelled "yes"; both kinds occur.
      groups: The prompt of each response, any integers.
      seed: Of the bootstrap.

    Returns:
      The areas and the gains.

    Raises:
      InputError: As :func:`area_under_roc`.
    """
    if labels.all() or not labels.any():
        raise InputError(
            f"found {labels.sum()} of {len(labels)} labelled yes, expected both kinds",
            where="labels",
        )
    check_rows(scores, groups, name="scores")
    for column in baselines.T:
        check_rows(column, groups, name="baselines")
    resampled = resample_prompts(groups, seed=seed)
    draws = resampled.counts[:, resampled.prompt]
    # The first row is the data as they are, the others their resamples.
    weights = np.concatenate([np.ones_like(draws[:1]), draws])
    columns = np.column_stack([scores, baselines]).T
    areas = np.stack([_areas(column, labels, weights) for column in columns], axis=1)
    return comparison(areas[0], areas[1:], len(labels), resampled)


def _areas(
    scores: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    weights: Int[np.ndarray, "r n"],
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
