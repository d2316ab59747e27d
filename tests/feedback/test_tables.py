from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.errors import InputError
from morl.feedback import (
    Labels,
    Pair,
    labelled_pairs,
    limit_pairs,
    pair_table,
    plain_record,
    score_table,
)


def record(labels, responses=4):
    return plain_record("?", [str(n) for n in range(responses)], labels)


@settings(deadline=None)
@given(st.lists(st.none() | st.integers(-2, 2), max_size=5))
def test_pairs_of_scores_are_those_that_brute_force_finds(scores):
    labels = {
        "x": Labels(scores=tuple(None if s is None else float(s) for s in scores))
    }
    found = labelled_pairs(record(labels, len(scores)), "x")
    expected = {
        (i, j)
        for i, j in permutations(range(len(scores)), 2)
        if None not in (scores[i], scores[j]) and scores[i] > scores[j]
    }
    assert {(pair.better, pair.worse) for pair in found} == expected
    assert len(found) == len(expected)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=5))
def test_a_ranking_gives_the_pairs_of_scores_in_its_order(grades):
    groups = [
        tuple(i for i, grade in enumerate(grades) if grade == level)
        for level in sorted(set(grades), reverse=True)
    ]
    ranked = {"x": Labels(ranking=tuple(groups))}
    scored = {"x": Labels(scores=tuple(map(float, grades)))}
    by_rank = labelled_pairs(record(ranked, len(grades)), "x")
    by_score = labelled_pairs(record(scored, len(grades)), "x")
    assert Counter(by_rank) == Counter(by_score)


def test_explicit_pairs_come_before_rankings_and_rankings_before_scores():
    scores, ranking = (0.0, 1.0, None, None), ((2,), (3,))
    pairs = (Pair(3, 0, 2.5), Pair(0, 3))
    every = Labels(scores=scores, ranking=ranking, pairs=pairs)
    assert labelled_pairs(record({"x": every}), "x") == list(pairs)
    two = Labels(scores=scores, ranking=ranking)
    assert labelled_pairs(record({"x": two}), "x") == [Pair(2, 3)]
    assert labelled_pairs(record({"x": Labels(scores=scores)}), "x") == [Pair(1, 0)]


def test_an_objective_without_labels_gives_no_pairs():
    assert labelled_pairs(record({"x": Labels(pairs=(Pair(0, 1),))}), "y") == []
    assert labelled_pairs(record({"x": Labels()}), "x") == []


RECORDS = [
    record({"a": Labels(pairs=(Pair(0, 1, 2.0), Pair(2, 1)))}),
    record({}),
    record(
        {
            "b": Labels(scores=(0.0, None, 0.5, None)),
            "a": Labels(ranking=((3,), (0,))),
            "c": Labels(scores=(1.0, 2.0, 3.0, 4.0)),
        }
    ),
]


def test_the_pair_table_lists_every_pair_under_its_objective():
    table = pair_table(RECORDS, ("a", "b"))
    assert list(zip(*(column.tolist() for column in table), strict=True)) == [
        (0, 0, 1, 0, 2.0),
        (0, 2, 1, 0, 1.0),
        (2, 3, 0, 0, 1.0),
        (2, 2, 0, 1, 1.0),
    ]
    assert [c.dtype for c in table] == [np.int32] * 4 + [np.float32]


def test_the_score_table_lists_every_score_and_no_absent_one():
    table = score_table(RECORDS, ("b", "a"))
    assert list(zip(*(column.tolist() for column in table), strict=True)) == [
        (2, 0, 0, 0.0),
        (2, 2, 0, 0.5),
    ]
    assert [c.dtype for c in table] == [np.int32] * 3 + [np.float32]


@pytest.mark.parametrize("make", [pair_table, score_table])
def test_no_records_give_an_empty_table_with_its_types(make):
    table = make([], ("a",))
    assert [len(column) for column in table] == [0] * len(table)
    assert table.objective.dtype == np.int32
    assert table[-1].dtype == np.float32


@pytest.mark.parametrize("make", [pair_table, score_table])
def test_an_objective_given_twice_is_refused(make):
    with pytest.raises(InputError, match="objectives: found 'a' twice"):
        make(RECORDS, ("a", "b", "a"))


def many(sizes):
    records = [
        record({name: Labels(pairs=(Pair(0, 1),))}, 2)
        for name, size in sizes.items()
        for _ in range(size)
    ]
    return pair_table(records, tuple(sizes))


def test_the_limit_holds_for_each_objective_and_spares_the_small():
    limited = limit_pairs(many({"a": 50, "b": 7, "c": 10}), 10, seed=0)
    assert Counter(limited.objective.tolist()) == {0: 10, 1: 7, 2: 10}
    assert np.all(np.diff(limited.record_index) > 0)


def test_the_draw_is_fixed_by_its_seed_and_uniform_over_pairs():
    table = many({"a": 20})
    drawn = [limit_pairs(table, 5, seed=seed).record_index for seed in range(2000)]
    np.testing.assert_array_equal(drawn[3], limit_pairs(table, 5, seed=3).record_index)
    counts = np.bincount(np.concatenate(drawn), minlength=20)
    # 2000 draws of 5 in 20: mean 500, standard deviation sqrt(2000 / 4 * 3 / 4) = 19.
    assert np.abs(counts - 500).max() < 4 * 19.4


def test_a_limit_below_one_is_refused():
    with pytest.raises(InputError, match="max_pairs_per_objective: found 0"):
        limit_pairs(many({"a": 2}), 0, seed=0)
