import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array

from morl.assess import (
    area_under_roc,
    length_margins,
    length_rule_margins,
    length_rule_scores,
    pair_accuracy,
    response_only_logits,
    response_only_margins,
)
from morl.assess.baselines import L2_GRID
from morl.assess.logistic import fit_logistic
from morl.assess.tfidf import inverse_frequencies, ngram_counts, tfidf
from morl.errors import InputError

CORPUS = ["The cat sat.", "the CAT ran, the cat hid", "A dog"]


def test_counts_are_of_words_and_neighbours_in_alphabetical_order():
    # Columns: a, a dog, cat, cat hid, cat ran, cat sat, dog, hid, ran, ran the, sat,
    # the, the cat.
    assert ngram_counts(CORPUS).toarray().tolist() == [
        [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1],
        [0, 0, 2, 1, 1, 0, 0, 1, 1, 1, 0, 2, 2],
        [1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ]


def test_vectors_are_the_formula_retyped():
    counts = ngram_counts(CORPUS)
    weights = inverse_frequencies(counts, np.ones(3, bool), min_documents=1)
    rare, common = 1 + math.log(4 / 2), 1 + math.log(4 / 3)
    expected = [0.0 if n in (2, 11, 12) else rare for n in range(13)]
    expected = [w or common for w in expected]
    np.testing.assert_allclose(weights, expected)
    # Second text: cat, the, the cat twice; cat hid, cat ran, hid, ran, ran the once.
    twice = (1 + math.log(2)) * common
    norm = math.sqrt(3 * twice**2 + 5 * rare**2)
    row = [0, 0, twice, rare, rare, 0, 0, rare, rare, rare, 0, twice, twice]
    found = tfidf(counts, weights).toarray()
    np.testing.assert_allclose(found[1], np.array(row) / norm)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_the_vocabulary_is_what_enough_of_the_seen_texts_hold():
    counts = ngram_counts(CORPUS)
    weights = inverse_frequencies(counts, np.ones(3, bool), min_documents=2)
    assert np.flatnonzero(weights).tolist() == [2, 11, 12]
    assert tfidf(counts, weights).toarray()[2].tolist() == [0, 0, 0]
    seen = np.array([True, False, True])
    weights = inverse_frequencies(counts, seen, min_documents=1)
    assert np.flatnonzero(weights).tolist() == [0, 1, 2, 5, 6, 10, 11, 12]


def test_texts_without_words_are_zero():
    counts = ngram_counts(["", "!?", "yes yes"])
    weights = inverse_frequencies(counts, np.ones(3, bool), min_documents=1)
    assert tfidf(counts, weights).toarray()[:2].tolist() == [[0, 0], [0, 0]]


def dense_optimum(features, labels, penalty):
    def loss(w):
        z = features @ w
        return np.mean(np.logaddexp(0, z) - labels * z) + 0.5 * np.sum(penalty * w * w)

    return minimize(loss, np.zeros(features.shape[1]), method="BFGS", tol=1e-9).x


@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_the_fit_is_the_optimum_that_scipy_finds_on_dense_features(l2):
    generator = np.random.default_rng(0)
    features = np.where(
        generator.random((60, 8)) < 0.5, generator.normal(size=(60, 8)), 0
    )
    features[:, -1] = 1
    labels = generator.random(60)
    penalty = np.append(np.full(7, l2), 0.0)
    found = fit_logistic(csr_array(features), labels, penalty)
    expected = dense_optimum(features, labels, penalty)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_an_intercept_alone_is_the_log_odds_of_the_share():
    ones, labels = csr_array(np.ones((10, 1))), np.arange(10.0) < 3
    found = fit_logistic(ones, labels.astype(float), np.zeros(1))
    assert math.isclose(found[0], math.log(0.3 / 0.7), abs_tol=1e-5)


def test_duplicated_rows_change_nothing_and_gradients_vanish():
    generator = np.random.default_rng(1)
    features, labels = generator.normal(size=(30, 50)), np.ones(30)
    once = fit_logistic(csr_array(features), labels, np.full(50, 1e-3))
    twice = fit_logistic(
        csr_array(np.tile(features, (2, 1))), np.ones(60), np.full(50, 1e-3)
    )
    np.testing.assert_allclose(once, twice, atol=2e-3)
    pull = features.T @ (1 / (1 + np.exp(-features @ once)) - labels) / 30
    assert np.abs(pull + 1e-3 * once).max() <= 1e-6


def test_classes_that_separate_without_a_penalty_are_told_apart_by_finite_numbers():
    features = np.array([[1.0, 0.0], [-1.0, 0.5], [2.0, 0.1]])
    labels = np.array([1.0, 0.0, 1.0])
    found = fit_logistic(csr_array(features), labels, np.zeros(2))
    assert np.all((features @ found > 10) == (labels == 1))
    assert np.all(np.isfinite(found))


def test_an_optimum_that_is_not_reached_is_an_error(monkeypatch):
    monkeypatch.setattr("morl.assess.logistic.MAX_STEPS", 2)
    features = csr_array(np.random.default_rng(8).normal(size=(20, 4)))
    with pytest.raises(ArithmeticError, match="no optimum within 2 Newton steps"):
        fit_logistic(features, np.ones(20), np.full(4, 1e-4))


def test_the_longer_response_wins():
    lengths = np.array([5, 2, 3]), np.array([2, 5, 3])
    assert length_margins(*lengths).tolist() == [3.0, -3.0, 0.0]
    assert pair_accuracy(length_margins(*lengths), np.arange(3)).value == 0.5


FILLER = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def sentences(generator, count, *words):
    return [
        " ".join([*generator.choice(FILLER, 5), generator.choice(words)])
        for _ in range(count)
    ]


def test_a_word_that_better_responses_hold_is_found():
    generator = np.random.default_rng(2)
    better = sentences(generator, 80, "sorry", "thanks")
    worse = sentences(generator, 80, "stupid", "whatever")
    margins = response_only_margins(better, worse, np.arange(80) % 4)
    assert pair_accuracy(margins, np.arange(80)).value == 1.0


def test_words_without_a_preference_give_chance():
    generator = np.random.default_rng(3)
    texts = sentences(generator, 600, "yes", "no")
    margins = response_only_margins(texts[:300], texts[300:], np.arange(300) % 5)
    # 300 fair pairs: standard deviation 0.029.
    assert abs(pair_accuracy(margins, np.arange(300)).value - 0.5) < 3 * 0.029


def test_a_fold_is_read_by_a_fit_that_never_saw_its_preferences(monkeypatch):
    monkeypatch.setattr("morl.assess.baselines.L2_GRID", (1e-2,))
    generator = np.random.default_rng(4)
    better = sentences(generator, 60, "a", "b")
    worse = sentences(generator, 60, "b", "c")
    folds = np.arange(60) % 3
    turned = [
        (w, b) if fold == 1 else (b, w)
        for b, w, fold in zip(better, worse, folds, strict=True)
    ]
    before = response_only_margins(better, worse, folds)
    after = response_only_margins(*map(list, zip(*turned, strict=True)), folds)
    here = folds == 1
    np.testing.assert_allclose(after[here], -before[here], atol=1e-12)
    assert np.abs(after[~here] - before[~here]).min() > 1e-3


def test_no_word_of_a_fold_reaches_the_vocabulary_or_the_weights_it_is_read_with(
    monkeypatch,
):
    monkeypatch.setattr("morl.assess.baselines.L2_GRID", (1e-2,))
    generator = np.random.default_rng(9)
    better = sentences(generator, 60, "a", "b")
    worse = sentences(generator, 60, "b", "c")
    folds = np.arange(60) % 3
    before = response_only_margins(better, worse, folds)
    after = response_only_margins(["x a a", *better[1:]], ["x y", *worse[1:]], folds)
    same = (folds == 0) & (np.arange(60) > 0)
    np.testing.assert_allclose(after[same], before[same], atol=1e-12)
    assert np.all(after[folds != 0] != before[folds != 0])


def test_the_penalty_is_the_one_of_lowest_loss_out_of_fold(monkeypatch):
    generator = np.random.default_rng(10)
    better = sentences(generator, 90, "a", "b", "b", "c")
    worse = sentences(generator, 90, "a", "b", "c", "c")
    folds = np.arange(90) % 3
    found = response_only_margins(better, worse, folds)
    losses = []
    for l2 in L2_GRID:
        monkeypatch.setattr("morl.assess.baselines.L2_GRID", (l2,))
        margins = response_only_margins(better, worse, folds)
        losses.append((np.mean([math.log1p(math.exp(-m)) for m in margins]), margins))
    loss, margins = min(losses, key=lambda pair: pair[0])
    np.testing.assert_array_equal(found, margins)
    assert loss < max(losses, key=lambda pair: pair[0])[0] - 1e-3


def test_swapping_all_pairs_turns_every_preference():
    generator = np.random.default_rng(5)
    better = sentences(generator, 40, "a", "b")
    worse = sentences(generator, 40, "b", "c")
    folds = np.arange(40) % 4
    # Both are told that their first response is better, so both like their own.
    margins = response_only_margins(better, worse, folds)
    swapped = response_only_margins(worse, better, folds)
    np.testing.assert_allclose(margins, swapped, atol=1e-3)


def test_labels_have_the_same_baseline_with_an_intercept():
    generator = np.random.default_rng(7)
    labels = np.arange(120) % 4 > 0
    texts = [
        sentences(generator, 1, *(("fine", "good") if yes else ("made", "up")))[0]
        for yes in labels
    ]
    folds = np.arange(120) // 4 % 5
    logits = response_only_logits(texts, labels, folds)
    assert area_under_roc(logits, labels, np.arange(120)).value == 1.0
    # Texts that say nothing leave the intercept: the log-odds of three in four.
    silent = response_only_logits([""] * 120, labels, folds)
    np.testing.assert_allclose(silent, math.log(3), atol=1e-4)


def test_texts_without_a_common_word_give_ties():
    better, worse = ["aa bb", "cc", "dd"], ["ee", "ff gg", "hh"]
    margins = response_only_margins(better, worse, np.arange(3))
    assert margins.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (np.zeros(2, int), "folds: found 1 folds, expected two or more"),
        (np.arange(3), r"folds: found 3, but there are \(2, 2\) rows"),
    ],
)
def test_folds_that_do_not_fit_are_refused(folds, message):
    with pytest.raises(InputError, match=message):
        response_only_margins(["a", "b"], ["c", "d"], folds)


def test_a_fold_that_holds_all_labels_of_a_kind_is_refused():
    labels = np.array([True, False, False])
    with pytest.raises(InputError, match="labels: found one kind of label outside"):
        response_only_logits(["a", "b", "c"], labels, np.arange(3))


def test_the_length_rule_takes_the_direction_of_the_other_folds():
    rng = np.random.default_rng(0)
    # Of the first objective longer responses win, of the second shorter ones.
    objective, folds = np.arange(400) % 2, rng.integers(0, 5, 400)
    longer = rng.random(400) < np.where(objective == 0, 0.7, 0.3)
    length = np.where(longer, 1.0, -1.0) * rng.integers(1, 50, 400)
    rule = length_rule_margins(length, objective, folds)
    np.testing.assert_array_equal(rule[objective == 0], length[objective == 0])
    np.testing.assert_array_equal(rule[objective == 1], -length[objective == 1])


def test_the_length_rule_never_looks_at_its_own_fold():
    rng = np.random.default_rng(1)
    length, folds = rng.normal(size=60), np.arange(60) % 3
    objective = np.zeros(60, int)
    labels = rng.random(60) < 0.5
    here = folds == 1
    rule = length_rule_margins(length, objective, folds)
    turned = length_rule_margins(np.where(here, -length, length), objective, folds)
    np.testing.assert_array_equal(turned[here], -rule[here])
    scores = length_rule_scores(length, labels, folds)
    flipped = length_rule_scores(length, labels ^ here, folds)
    np.testing.assert_array_equal(flipped[here], scores[here])


def test_the_length_rule_of_labels_ranks_as_the_area_does():
    rng = np.random.default_rng(2)
    labels, folds = rng.random(300) < 0.4, np.arange(300) % 5
    length = rng.normal(size=300) - labels
    found = length_rule_scores(length, labels, folds)
    np.testing.assert_array_equal(found, -length)
    for fold in range(5):
        seen = folds != fold
        area = area_under_roc(length[seen], labels[seen], np.flatnonzero(seen))
        assert area.value < 0.5


def test_the_length_rule_needs_two_folds():
    with pytest.raises(InputError, match="found 1 folds, expected two or more"):
        length_rule_margins(np.ones(3), np.zeros(3, int), np.zeros(3, int))
