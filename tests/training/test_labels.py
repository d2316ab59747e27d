"""Which labels an objective learns from."""

import pytest

from morl.feedback import Labels, Pair, plain_record
from morl.training.labels import (
    TIE,
    Found,
    only_pairs,
    only_scores,
    or_scores,
    pairs_or_scores,
    pairs_with_ties,
    rankings,
)

READERS = (pairs_or_scores, only_pairs, pairs_with_ties, only_scores, rankings)
SCORED = Labels(scores=(1.0, None, 3.0, 1.0))
RANKED = Labels(ranking=((2,), (0, 1)))
PAIRED = Labels(pairs=(Pair(0, 1, 2.0), Pair(2, 1)))


def read(reader, labels):
    return reader(plain_record("?", list("abcd"), {"good": labels}), "good")


@pytest.mark.parametrize("reader", READERS)
def test_an_objective_without_labels_has_none(reader):
    assert reader(plain_record("?", ["a"], {}), "good") == Found()


def test_unequal_scores_are_preferences_unless_scores_alone_are_asked_for():
    assert read(only_scores, SCORED).scores == ((0, 1.0), (2, 3.0), (3, 1.0))
    assert read(pairs_or_scores, SCORED).pairs == ((2, 0, 1.0), (2, 3, 1.0))
    single = Labels(scores=(None, 0.5, None, None))
    assert read(pairs_or_scores, single) == Found(scores=((1, 0.5),))
    assert read(only_pairs, single) == Found()
    for reader in (pairs_with_ties, rankings):
        assert read(reader, single) == Found()
        assert read(or_scores(reader), single) == Found(scores=((1, 0.5),))


def test_ties_of_rankings_and_of_scores_are_pairs_of_no_strength():
    assert read(pairs_with_ties, RANKED).pairs == ((2, 0, 1), (2, 1, 1), (0, 1, TIE))
    assert read(pairs_with_ties, SCORED).pairs[-1] == (0, 3, TIE)
    assert read(pairs_with_ties, PAIRED) == read(only_pairs, PAIRED)


def test_lists_come_from_rankings_from_scores_and_from_one_preference():
    assert read(rankings, RANKED).ranks == ((2, 0), (0, 1), (1, 1))
    assert read(rankings, SCORED).ranks == ((0, 1), (2, 0), (3, 1))
    assert read(rankings, Labels(pairs=(Pair(3, 1),))).ranks == ((3, 0), (1, 1))
    assert read(rankings, PAIRED) == Found(pairs=((0, 1, 2.0), (2, 1, 1.0)))
    assert read(rankings, Labels(scores=(1.0, 1.0, None, None))) == Found()
