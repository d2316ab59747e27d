"""Heads of a pool: what selects has seen nothing of what judges, and the reverse."""

from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
import pytest
from flax import nnx

from morl.feedback import PairTable, ScoreTable, plain_record
from morl.fronts import HeadSettings, Pool
from morl.fronts.fitting import fit_pool, fit_whole
from morl.models import Transformer
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.language_model import LanguageModel
from morl.training.cross_validation import L2_GRID
from morl.training.features import Features

NUM_RECORDS, WIDTH = 160, 12
SETTINGS = HeadSettings(folds=2, pooling="last")


class Feedback(NamedTuple):
    """A pool, the features of its records, and the order that was labelled."""

    pool: Pool
    features: Features


@pytest.fixture(scope="module")
def model():
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(chat.vocab_size, WIDTH, 1, 2, 1, 8, 24)
    return LanguageModel("tiny", Transformer(config, rngs=nnx.Rngs(0)), chat, "f" * 64)


@pytest.fixture(scope="module")
def feedback():
    """Pairs for two objectives in turn, and labels for the second."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2 * NUM_RECORDS, 1, 2, WIDTH)).astype(np.float32)
    features = Features(
        values,
        np.zeros((NUM_RECORDS, 1, 2, WIDTH), np.float32),
        np.full(2 * NUM_RECORDS, 3),
        2 * np.arange(NUM_RECORDS + 1),
        (1,),
    )
    rows = np.arange(NUM_RECORDS, dtype=np.int32)
    objective = (rows // 2 % 2).astype(np.int32)
    truth = rng.normal(size=(WIDTH, 2))
    read = (values[:, 0, 0] @ truth).reshape(NUM_RECORDS, 2, 2)
    better = read.argmax(axis=1)[rows, objective].astype(np.int32)
    labelled = rows[objective == 1][::2]
    records = [plain_record(f"question {row}", ["one", "two"]) for row in rows]
    pool = Pool(
        ("helpful", "harmless"),
        records,
        PairTable(rows, better, 1 - better, objective, np.ones(NUM_RECORDS)),
        ScoreTable(
            labelled,
            np.zeros_like(labelled),
            np.ones_like(labelled),
            (read[labelled, 0, 1] > 0).astype(float),
        ),
        rows,
        rows // 4 % 2,
        rows % 2 == 1,
        [],
    )
    return Feedback(pool, features)


@pytest.fixture(scope="module")
def fitted(model, feedback):
    return fit_pool(model, feedback.pool, feedback.features, SETTINGS)


def with_other_labels(pool, part):
    """The pool with every preference and label of a part turned around."""
    turned = part[pool.pairs.record_index]
    swap = lambda one, other: np.where(turned, other, one)
    pairs = pool.pairs._replace(
        better=swap(pool.pairs.better, pool.pairs.worse),
        worse=swap(pool.pairs.worse, pool.pairs.better),
    )
    score = pool.scores.score
    score = np.where(part[pool.scores.record_index], 1 - score, score)
    return pool._replace(pairs=pairs, scores=pool.scores._replace(score=score))


def with_other_features(features, part):
    """The features with those of a part's responses shifted and stretched."""
    own = np.repeat(part, 2)[:, None, None, None]
    values = np.where(own, 3 * features.values + 5, features.values)
    return replace(features, values=values)


@pytest.mark.slow
@pytest.mark.parametrize("flipped", ["judge", "selector"])
def test_neither_part_changes_with_the_labels_or_responses_of_the_other(
    model, feedback, fitted, flipped
):
    part = feedback.pool.judges if flipped == "judge" else ~feedback.pool.judges
    other = fit_pool(
        model,
        with_other_labels(feedback.pool, part),
        with_other_features(feedback.features, part),
        SETTINGS,
    )
    same, changed = "selector", "judge"
    if flipped == "selector":
        same, changed = changed, same
    head = lambda fitted, name: fitted.parts._asdict()[name].head
    jax.tree.map(np.testing.assert_array_equal, head(fitted, same), head(other, same))
    one, two = (np.ravel(head(each, changed).weight) for each in (fitted, other))
    assert np.corrcoef(one, two)[0, 1] < -0.9


def test_across_is_each_part_read_by_the_heads_of_the_other(feedback, fitted):
    pool, features = feedback
    read = features.values[:, 0, 0]
    pairs = pool.pairs
    gap = read[2 * pairs.record_index + pairs.better]
    gap = gap - read[2 * pairs.record_index + pairs.worse]
    for judged, heads in (
        (pool.judges, fitted.parts.selector),
        (~pool.judges, fitted.parts.judge),
    ):
        expected = gap[judged] @ np.asarray(heads.head.weight)
        np.testing.assert_allclose(fitted.parts.across[judged], expected, atol=1e-4)
    own = fitted.parts.across[np.arange(NUM_RECORDS), pairs.objective]
    assert (own > 0).mean() > 0.75


def test_heads_of_the_whole_pool_do_not_depend_on_the_fit_of_parts(
    model, feedback, fitted
):
    told = []
    whole = fit_whole(
        model,
        feedback.pool,
        feedback.features,
        SETTINGS,
        progress=lambda done, total: told.append((done, total)),
    )
    assert whole.parts is None
    total = 2 * len(L2_GRID)
    assert told == sorted(set(told)) and told[-1] == (total, total)
    jax.tree.map(np.testing.assert_array_equal, whole.heads.head, fitted.heads.head)
    np.testing.assert_array_equal(whole.validation.margins, fitted.validation.margins)


def test_progress_counts_the_fits_of_all_three(model, feedback):
    told = []
    fit_pool(
        model,
        feedback.pool,
        feedback.features,
        SETTINGS,
        progress=lambda done, total: told.append((done, total)),
    )
    total = 3 * 2 * len(L2_GRID)
    assert told == sorted(set(told)) and told[-1] == (total, total)
    assert {done * 3 // total for done, _ in told} == {0, 1, 2, 3}
