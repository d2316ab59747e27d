"""What a head must beat: the length of a response, and its words without the prompt."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.sparse import csr_array, hstack
from scipy.stats import rankdata

from morl.assess.logistic import fit_logistic
from morl.assess.tfidf import MIN_DOCUMENTS, inverse_frequencies, ngram_counts, tfidf
from morl.errors import InputError

L2_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


class Baselines(NamedTuple):
    """What heads are set beside: margins of pairs, or scores of single responses.

    Attributes:
      length: Of the rule that the longer response wins (:func:`length_margins`), or the
        length of each response.
      length_rule: Of the same rule in the direction that the other folds take
        (:func:`length_rule_margins`, :func:`length_rule_scores`): where shorter
        responses win, that longer ones do is no rule worth beating.
      response_only: Of words without the prompt (:func:`response_only_margins`, fitted
        for each objective alone; :func:`response_only_logits`). NaN throughout an
        objective for which it could not be fitted.
    """

    length: Float[np.ndarray, " p"]
    length_rule: Float[np.ndarray, " p"]
    response_only: Float[np.ndarray, " p"]


def length_margins(
    better: Num[np.ndarray, " p"], worse: Num[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    """Margins of the rule "the longer response wins".

    Args:
      better: Length of each pair's better response, in tokens or characters.
      worse: Length of the worse one.

    Returns:
      The difference, as a reward model's margin would be.

    Examples:
      >>> length_margins(np.array([12, 3]), np.array([10, 4]))
      array([ 2., -1.])
    """
    return better.astype(float) - worse.astype(float)


def length_rule_margins(
    length: Float[np.ndarray, " p"],
    objective: Int[np.ndarray, " p"],
    folds: Int[np.ndarray, " p"],
) -> Float[np.ndarray, " p"]:
    """Margins of the rule "the longer wins" or "the shorter wins", by the other folds.

    For each objective and fold, the rule that orders more of the objective's pairs in
    the other folds; the longer wins where both order as many.

    Args:
      length: From :func:`length_margins`.
      objective: Index of each pair's objective.
      folds: Fold of each pair, by its prompt; two or more folds.

    Returns:
      ``length``, with its sign turned where the shorter response wins elsewhere.

    Raises:
      InputError: The lengths differ, or there are fewer than two folds.

    Examples:
      >>> shorter = np.array([-2.0, -1.0, -3.0, 1.0])
      >>> length_rule_margins(shorter, np.zeros(4, int), np.arange(4))
      array([ 2.,  1.,  3., -1.])
    """
    _check_folds(folds, len(length), len(objective))
    margins = length.copy()
    for which in np.unique(objective):
        for fold in np.unique(folds):
            own = objective == which
            elsewhere = np.sign(length[own & (folds != fold)]).sum()
            if elsewhere < 0:
                margins[own & (folds == fold)] *= -1
    return margins


def length_rule_scores(
    length: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    folds: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """The counterpart of :func:`length_rule_margins` for single responses.

    Args:
      length: Length of each response, in tokens or characters.
      labels: Whether each is labelled "yes".
      folds: Fold of each, by its prompt; two or more folds.

    Returns:
      ``length``, negated where in the other folds a "yes" ranks below a "no" by length
      on average.

    Raises:
      InputError: The lengths differ, or there are fewer than two folds.
    """
    _check_folds(folds, len(length), len(labels))
    scores = length.copy()
    for fold in np.unique(folds):
        seen = folds != fold
        yes, ranks = labels[seen], rankdata(length[seen])
        # The mean rank of "yes" is above the middle where the area is above one half.
        if yes.any() and ranks[yes].mean() < ranks.mean():
            scores[folds == fold] *= -1
    return scores


def response_only_margins(
    better: Sequence[str], worse: Sequence[str], folds: Int[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    r"""Margins of a bag of words that never sees the prompt, each out of its fold.

    Words and pairs of words of the response, weighted by tf-idf; logistic regression on
    the difference of the two responses without an intercept, which is Bradley-Terry
    with a linear reward. Vocabulary, weights and coefficients come from the other
    folds. As for heads, the penalty is the one of lowest loss out of fold. A head that
    does not beat this has not been shown to use the prompt.

    Args:
      better: Texts of the better responses.
      worse: Texts of the worse ones.
      folds: Fold of each pair, by its prompt; two or more folds.

    Returns:
      Reward of the better response less that of the worse, in nats of log-odds.

    Raises:
      InputError: The lengths differ, or there are fewer than two folds.
    """
    _check_folds(folds, len(better), len(worse))
    counts = ngram_counts([*better, *worse])
    first, second = np.split(np.arange(2 * len(better)), 2)

    def design(seen: Bool[np.ndarray, " p"]) -> _Design:
        weights = inverse_frequencies(
            counts, np.concatenate([seen, seen]), min_documents=MIN_DOCUMENTS
        )
        vectors = tfidf(counts, weights)
        gaps = csr_array(vectors[first] - vectors[second])
        return _Design(gaps, np.ones(np.count_nonzero(weights)))

    return _out_of_fold(design, np.ones(len(better)), folds)


def response_only_logits(
    texts: Sequence[str], labels: Bool[np.ndarray, " n"], folds: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Log-odds that a response is labelled "yes" by its words alone, out of its fold.

    The counterpart of :func:`response_only_margins` for responses labelled one by one:
    the same features, with an intercept that is not penalised.

    Args:
      texts: The responses.
      labels: Whether each is labelled "yes".
      folds: Fold of each, by its prompt; two or more folds.

    Returns:
      Log-odds of "yes".

    Raises:
      InputError: The lengths differ, there are fewer than two folds, or the other folds
        of some fold hold one kind of label only.
    """
    _check_folds(folds, len(texts), len(labels))
    counts = ngram_counts(texts)

    def design(seen: Bool[np.ndarray, " n"]) -> _Design:
        if len(np.unique(labels[seen])) < 2:
            raise InputError(
                "found one kind of label outside a fold, expected both", where="labels"
            )
        weights = inverse_frequencies(counts, seen, min_documents=MIN_DOCUMENTS)
        vectors = tfidf(counts, weights)
        ones = csr_array(np.ones((len(texts), 1)))
        penalised = np.append(np.ones(np.count_nonzero(weights)), 0.0)
        return _Design(csr_array(hstack([vectors, ones])), penalised)

    return _out_of_fold(design, labels.astype(float), folds)


class _Design(NamedTuple):
    """Features of all rows as learned from some, and which coefficients shrink."""

    features: csr_array
    penalised: Float[np.ndarray, " v"]


def _out_of_fold(
    design: Callable[[Bool[np.ndarray, " n"]], _Design],
    labels: Float[np.ndarray, " n"],
    folds: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Logits of every row by a fit to the other folds, at the best penalty."""
    logits = np.zeros((len(L2_GRID), len(labels)))
    for fold in np.unique(folds):
        seen, here = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        features, penalised = design(folds != fold)
        for place, l2 in enumerate(L2_GRID):
            fitted = fit_logistic(features[seen], labels[seen], l2 * penalised)
            logits[place, here] = features[here] @ fitted
    losses = np.mean(np.logaddexp(0, logits) - labels * logits, axis=1)
    return logits[np.argmin(losses)]


def _check_folds(folds: Int[np.ndarray, " n"], *lengths: int) -> None:
    if any(length != len(folds) for length in lengths):
        raise InputError(
            f"found {len(folds)}, but there are {lengths} rows", where="folds"
        )
    found = len(np.unique(folds))
    if found < 2:
        raise InputError(f"found {found} folds, expected two or more", where="folds")
