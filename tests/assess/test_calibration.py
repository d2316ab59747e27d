import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.assess import (
    expected_calibration_error,
    label_calibration,
    pair_calibration,
    reliability,
)
from morl.errors import InputError

LOGIT = math.log(4)  # a probability of 0.8


def test_the_error_of_a_case_worked_by_hand():
    # Four pairs at 0.8 of which one is wrong, four at 0.5 of which all count half:
    # |3/4 - 0.8| / 2 + 0 / 2.
    margins = np.array([LOGIT, LOGIT, LOGIT, -LOGIT, 0.0, 0.0, 0.0, 0.0])
    found = pair_calibration(margins, num_bins=2)
    assert math.isclose(found.error, 0.05 / 2)
    np.testing.assert_allclose(found.curve.confidence, [0.5, 0.8])
    np.testing.assert_allclose(found.curve.accuracy, [0.5, 0.75])
    assert found.curve.count.tolist() == [4, 4]
    # Brier: three at 0.2 ** 2, one at 0.8 ** 2, four at 0.5 ** 2.
    assert math.isclose(found.brier, (3 * 0.04 + 0.64 + 4 * 0.25) / 8)


def test_labels_of_a_case_worked_by_hand():
    labels = np.array([True, True, False, True, False])
    found = label_calibration(np.array([LOGIT] * 4 + [-LOGIT]), labels, num_bins=2)
    assert math.isclose(found.error, abs(0.75 - 0.8) * 4 / 5 + 0.2 / 5)
    assert math.isclose(found.brier, (4 * 0.04 + 0.64) / 5)


def test_being_always_right_and_always_sure_is_calibrated_and_always_wrong_is_not():
    assert pair_calibration(np.full(20, 50.0)).error < 1e-12
    assert math.isclose(pair_calibration(np.full(20, -50.0)).error, 1.0)
    assert math.isclose(pair_calibration(np.full(20, -50.0)).brier, 1.0)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=1, max_size=40),
    st.integers(1, 8),
    st.randoms(),
)
def test_the_order_of_pairs_does_not_matter(margins, num_bins, random):
    shuffled = random.sample(margins, len(margins))
    a = pair_calibration(np.array(margins), num_bins=num_bins)
    b = pair_calibration(np.array(shuffled), num_bins=num_bins)
    assert math.isclose(a.error, b.error, abs_tol=1e-12)
    assert math.isclose(a.brier, b.brier)
    np.testing.assert_allclose(a.curve.accuracy, b.curve.accuracy)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=40))
def test_the_brier_score_is_that_of_the_better_one_winning(margins):
    # Read from either side of the pair, the squared distance is the same.
    found = pair_calibration(np.array(margins)).brier
    expected = [(1 - 1 / (1 + math.exp(-m))) ** 2 for m in margins]
    assert math.isclose(found, math.fsum(expected) / len(margins), abs_tol=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=50), st.integers(1, 12))
def test_bins_hold_every_pair_once_and_rise_in_confidence(margins, num_bins):
    curve = pair_calibration(np.array(margins), num_bins=num_bins).curve
    assert curve.count.sum() == len(margins)
    assert 1 <= len(curve.count) <= num_bins
    assert np.all(curve.count > 0)
    assert np.all(np.diff(curve.confidence) >= 0)
    mean = np.average(curve.accuracy, weights=curve.count)
    right = [1.0 if m > 0 else 0.5 if m == 0 else 0.0 for m in margins]
    assert math.isclose(mean, math.fsum(right) / len(margins))


def test_bins_of_distinct_confidences_are_equally_full():
    curve = reliability(np.linspace(0.5, 1, 100), np.ones(100), num_bins=10)
    assert curve.count.tolist() == [10] * 10


def test_one_bin_gives_the_gap_between_mean_confidence_and_accuracy():
    margins = np.random.default_rng(0).normal(size=200)
    found = pair_calibration(margins, num_bins=1)
    sure = [1 / (1 + math.exp(-abs(m))) for m in margins]
    gap = abs(np.mean(margins > 0) - math.fsum(sure) / 200)
    assert math.isclose(found.error, gap)
    assert math.isclose(expected_calibration_error(found.curve), gap)


def true_preferences(generator, size, scale=1.0):
    """Margins of a reward that is the true log-odds, times a scale."""
    gaps = generator.normal(size=size)
    first = generator.random(size) < 1 / (1 + np.exp(-gaps))
    return scale * np.where(first, gaps, -gaps)


def test_true_log_odds_stay_below_chance_in_about_95_percent_of_data_sets():
    generator = np.random.default_rng(1)
    found = [pair_calibration(true_preferences(generator, 300)) for _ in range(100)]
    inside = sum(one.error <= one.chance for one in found)
    # 100 draws at 0.95: mean 95, standard deviation 2.2.
    assert inside >= 88
    # The error of a calibrated reward is not near zero: hence the chance level.
    assert np.mean([one.error for one in found]) > 0.02


def test_log_odds_three_times_too_large_are_found_out():
    margins = true_preferences(np.random.default_rng(2), 1000, scale=3.0)
    found = pair_calibration(margins)
    assert found.error > 2 * found.chance
    assert np.all(found.curve.confidence[5:] > found.curve.accuracy[5:])


@pytest.mark.parametrize(
    ("margins", "num_bins", "message"),
    [
        (np.zeros(0), 5, "margins: found none"),
        (np.array([0.0, np.nan]), 5, r"margins\[1\]: found nan"),
        (np.zeros(3), 0, "num_bins: found 0, expected 1 or more"),
    ],
)
def test_what_has_no_calibration_is_refused(margins, num_bins, message):
    with pytest.raises(InputError, match=message):
        pair_calibration(margins, num_bins=num_bins)
