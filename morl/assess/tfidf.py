"""Texts as sparse vectors of the words and pairs of words in them."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_array, diags_array

from morl.rewards.rules.words import words

MIN_DOCUMENTS = 2


def ngram_counts(texts: Sequence[str]) -> csr_array:
    """How often each word and each pair of neighbouring words is in each text.

    Case is folded. Columns are the n-grams in alphabetical order, whatever the order of
    the texts.

    Args:
      texts: One a row.

    Returns:
      Counts ``[n, v]``.

    Examples:
      >>> ngram_counts(["No, no!", "Yes"]).toarray()  # no, (no, no), yes
      array([[2., 1., 0.],
             [0., 0., 1.]])
    """
    rows = [Counter(_ngrams(text)) for text in texts]
    terms = sorted(set().union(*rows))
    column = {term: place for place, term in enumerate(terms)}
    starts = np.cumsum([0, *(len(row) for row in rows)])
    columns = np.array([column[term] for row in rows for term in row], np.int64)
    counts = np.array([count for row in rows for count in row.values()], float)
    matrix = csr_array((counts, columns, starts), shape=(len(texts), len(terms)))
    matrix.sort_indices()
    return matrix


def inverse_frequencies(
    counts: csr_array, seen: Bool[np.ndarray, " n"], *, min_documents: int
) -> Float[np.ndarray, " v"]:
    r"""Weight of each n-gram: the fewer of the seen texts hold it, the more.

    .. math:: \mathrm{idf}_t = 1 + \log \frac{1 + n}{1 + \mathrm{df}_t}

    and zero where fewer than ``min_documents`` hold it: such an n-gram is not in the
    vocabulary.

    Args:
      counts: Of all texts.
      seen: Texts that the weights may be learned from.
      min_documents: How many of those must hold an n-gram.

    Returns:
      The weights.

    References:
      Sparck Jones (1972); smoothed as if one more text held every n-gram.
    """
    held = counts[np.flatnonzero(seen)] > 0
    frequency = np.asarray(held.sum(axis=0))
    weights = 1 + np.log((1 + np.count_nonzero(seen)) / (1 + frequency))
    return np.where(frequency >= min_documents, weights, 0.0)


def tfidf(counts: csr_array, weights: Float[np.ndarray, " v"]) -> csr_array:
    r"""Unit vectors of :math:`(1 + \log \mathrm{count})\, \mathrm{idf}`.

    Args:
      counts: From :func:`ngram_counts`.
      weights: From :func:`inverse_frequencies`; columns of weight zero are left out.

    Returns:
      ``[n, kept columns]``, each row of norm 1; zero for a text without known n-grams.

    References:
      Salton and Buckley, Term-weighting approaches in automatic text retrieval (1988).
    """
    damped = counts.copy()
    damped.data = 1 + np.log(damped.data)
    kept = np.flatnonzero(weights)
    rows = damped[:, kept] @ diags_array(weights[kept])
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)))
    return csr_array(diags_array(1 / np.where(norms > 0, norms, 1)) @ rows)


def _ngrams(text: str) -> list[str]:
    """Words and pairs of words; a space cannot be part of a word."""
    found = words(text.casefold())
    return found + [f"{a} {b}" for a, b in pairwise(found)]
