"""Heads beside their baselines: every data set is reported, none stops the others."""

import numpy as np
import pytest

from morl.feedback import PairTable, ScoreTable, plain_record
from morl.fronts import Pool
from morl.fronts.evaluation import evaluate_heads
from morl.fronts.fitting import Fitted
from morl.models.head_files import HeadSet
from morl.models.heads import LinearHead, Reading
from morl.models.truncation import Truncation
from morl.training.cross_validation import CrossValidation
from morl.training.features import Features

NAMES = ("helpful", "harmless")
NUM_RECORDS = 80
ROWS = np.arange(NUM_RECORDS, dtype=np.int32)
OBJECTIVE = ROWS % 2
LABELLED = ROWS[::4]
NOTHING = Features(
    np.zeros((0, 1, 2, 3), np.float32),
    np.zeros((0, 1, 2, 3), np.float32),
    np.zeros(0, int),
    np.zeros(1, int),
    (1,),
)


def make_pool(label_folds=ROWS // 4 % 4):
    """Polite answers are better for the first objective, rude ones for the second."""
    records = [
        plain_record(f"question {row}", [f"sorry {row}", f"stupid {row}"])
        for row in ROWS
    ]
    return Pool(
        NAMES,
        records,
        PairTable(ROWS, OBJECTIVE, 1 - OBJECTIVE, OBJECTIVE, np.ones(NUM_RECORDS)),
        ScoreTable(
            LABELLED,
            np.zeros_like(LABELLED),
            np.zeros_like(LABELLED),
            (LABELLED % 8 == 0).astype(float),
        ),
        ROWS,
        label_folds,
        ROWS % 2 == 1,
        [],
    )


def make_fitted():
    """Heads without weight, whose out-of-fold readings are noise."""
    rng = np.random.default_rng(0)
    head = LinearHead(np.zeros((3, 2), np.float32), np.zeros(2, np.float32))
    heads = HeadSet(NAMES, Reading(1, "last"), head, "f", "t", Truncation(9, 3))
    read = lambda count: rng.normal(size=(count, 2)).astype(np.float32)
    validation = CrossValidation(
        read(NUM_RECORDS), read(len(LABELLED)), np.ones(2), np.ones((1, 2)), 0.0
    )
    return Fitted(heads, validation, None)


def test_each_objective_has_a_bag_of_words_of_its_own():
    helpful, harmless, labels = evaluate_heads(
        make_pool(), make_fitted(), [], NOTHING
    ).rows
    # What one likes the other rejects: a model of both could only be at chance.
    assert helpful["response_only"] > 0.9
    assert harmless["response_only"] > 0.9
    assert labels["measure"] == "AUC"


def test_data_sets_are_counted_as_they_are_assessed():
    told = []
    evaluate_heads(
        make_pool(),
        make_fitted(),
        [],
        NOTHING,
        progress=lambda *said: told.append(said),
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_baseline_that_cannot_be_fitted_is_left_out_and_its_reason_said():
    # One kind of label a fold: outside it there is nothing to tell apart; and the pairs
    # for harmless share a fold.
    pool = make_pool(label_folds=(ROWS % 8 == 0).astype(int))
    with (
        pytest.warns(UserWarning, match="baseline for harmless: folds: found 1"),
        pytest.warns(UserWarning, match="baseline for labels of helpful: labels: fou"),
    ):
        rows = evaluate_heads(pool, make_fitted(), [], NOTHING).rows
    assert len(rows) == 3
    assert rows[0]["response_only"] is not None
    for row in rows[1:]:
        assert row["response_only"] is None
        assert row["length_rule"] is not None
        assert "could not be fitted" in row["verdict"]
