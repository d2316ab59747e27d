import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.assess import (
    Difference,
    accuracy_difference,
    beats,
    compare_accuracy,
    pair_accuracy,
)
from morl.assess.resampling import mean_resamples, resample_prompts
from morl.errors import InputError

ROWS = st.lists(
    st.tuples(st.sampled_from([-2.0, -0.5, 0.0, 0.1, 3.0]), st.integers(-3, 3)),
    min_size=1,
    max_size=30,
)


def columns(rows):
    margins, groups = zip(*rows, strict=True)
    return np.array(margins), np.array(groups)


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_the_value_is_wins_and_half_the_ties_over_pairs(rows):
    margins, groups = columns(rows)
    wins = sum(1.0 if m > 0 else 0.5 if m == 0 else 0.0 for m, _ in rows)
    found = pair_accuracy(margins, groups)
    assert math.isclose(found.value, wins / len(rows))
    assert found.count == len(rows)
    assert found.prompts == len({g for _, g in rows})


@settings(deadline=None, max_examples=50)
@given(ROWS, st.randoms())
def test_permuting_pairs_changes_nothing(rows, random):
    shuffled = random.sample(rows, len(rows))
    a, b = pair_accuracy(*columns(rows)), pair_accuracy(*columns(shuffled))
    np.testing.assert_allclose(a, b, rtol=1e-12)


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_swapping_every_pair_mirrors_the_interval_about_one_half(rows):
    margins, groups = columns(rows)
    a, b = pair_accuracy(margins, groups), pair_accuracy(-margins, groups)
    np.testing.assert_allclose(
        [a.value, a.low, a.high], [1 - b.value, 1 - b.high, 1 - b.low], atol=1e-12
    )


def test_resampled_means_are_those_of_the_pairs_written_out():
    values = np.array([[1.0], [0.0], [0.5], [1.0], [0.0]])
    groups = np.array([7, 7, 2, 9, 9])
    resampled = resample_prompts(groups, seed=3)
    for counts, mean in zip(
        resampled.counts[:50], mean_resamples(values, resampled)[:50, 0], strict=True
    ):
        drawn = [
            value
            for place, times in enumerate(counts)
            for _ in range(times)
            for value in values[groups == [2, 7, 9][place], 0]
        ]
        assert math.isclose(mean, math.fsum(drawn) / len(drawn))


def test_the_interval_is_that_of_every_possible_resample_of_few_prompts():
    # Four prompts give 4 ** 4 equally likely resamples: their exact quantiles.
    hits = [1.0, 1.0, 0.0, 1.0]
    means = sorted(sum(drawn) / 4 for drawn in product(hits, repeat=4))
    exact = [means[int(0.025 * 256)], means[int(0.975 * 256) - 1]]
    found = pair_accuracy(np.array(hits) - 0.5, np.arange(4))
    assert [found.low, found.high] == exact


def test_the_interval_has_the_width_of_the_normal_approximation():
    margins = np.where(np.arange(2000) % 10 < 7, 1.0, -1.0)
    found = pair_accuracy(margins, np.arange(2000))
    half = 1.959964 * math.sqrt(0.7 * 0.3 / 2000)
    assert abs((found.high - found.low) / 2 / half - 1) < 0.1


def test_the_interval_covers_the_truth_in_about_95_percent_of_data_sets():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        # Prompts differ in how easy they are: pairs of one prompt depend on each other.
        easy = np.repeat(generator.beta(3, 2, size=80), 3)
        margins = np.where(generator.random(240) < easy, 1.0, -1.0)
        found = pair_accuracy(margins, np.repeat(np.arange(80), 3))
        covered += found.low <= 0.6 <= found.high
    # 200 draws at 0.95: mean 190, standard deviation 3.1.
    assert 178 <= covered <= 200


def test_drawing_prompts_widens_the_interval_where_their_pairs_agree():
    right = np.random.default_rng(1).random(100) < 0.6
    margins = np.repeat(np.where(right, 1.0, -1.0), 5)
    whole = pair_accuracy(margins, np.repeat(np.arange(100), 5))
    apart = pair_accuracy(margins, np.arange(500))
    ratio = (whole.high - whole.low) / (apart.high - apart.low)
    # Five copies carry the information of one: the width grows by the root of five.
    assert abs(ratio / math.sqrt(5) - 1) < 0.15


def test_one_prompt_has_no_interval():
    found = pair_accuracy(np.array([1.0, -1.0, 1.0]), np.zeros(3, int))
    assert found.value == 2 / 3
    assert math.isnan(found.low) and math.isnan(found.high)
    assert not beats(
        accuracy_difference(np.ones(3), -np.ones(3), np.zeros(3, int)),
    )


def test_margins_may_be_of_single_precision_and_infinite():
    found = pair_accuracy(np.array([np.inf, -np.inf], np.float32), np.arange(2))
    assert found.value == 0.5


@pytest.mark.parametrize(
    ("margins", "message"),
    [
        (np.zeros(0), "margins: found no pairs, expected one or more"),
        (np.array([1.0, np.nan]), r"margins\[1\]: found nan, expected a number"),
    ],
)
def test_no_pairs_and_nan_are_refused(margins, message):
    with pytest.raises(InputError, match=message):
        pair_accuracy(margins, np.arange(len(margins)))


def test_the_difference_of_a_reward_from_itself_is_exactly_zero():
    margins = np.random.default_rng(2).normal(size=50)
    found = accuracy_difference(margins, margins * 3, np.arange(50) // 2)
    assert found == Difference(0.0, 0.0, 0.0)
    assert not beats(found)


def test_a_paired_difference_is_narrower_than_two_intervals_suggest():
    generator = np.random.default_rng(3)
    shared = generator.normal(size=400) + 0.3
    a, b = (shared + 0.3 * generator.normal(size=400) for _ in range(2))
    groups = np.arange(400)
    paired = accuracy_difference(a, b, groups)
    alone = [pair_accuracy(m, groups) for m in (a, b)]
    apart = math.hypot(*(found.high - found.low for found in alone))
    assert paired.high - paired.low < 0.7 * apart


def test_a_difference_changes_its_sign_with_the_order():
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(2, 60))
    groups = generator.integers(0, 30, 60)
    one, two = accuracy_difference(a, b, groups), accuracy_difference(b, a, groups)
    np.testing.assert_allclose(
        [one.value, one.low, one.high], [-two.value, -two.high, -two.low], atol=1e-12
    )


def test_a_small_gain_on_nearly_equal_rewards_is_seen_only_by_the_paired_interval():
    hard = np.arange(400) % 5 < 2
    base = np.where(hard, -1.0, 1.0)
    head = base.copy()
    head[np.flatnonzero(hard)[:15]] = 1.0
    groups = np.arange(400)
    assert pair_accuracy(head, groups).low < pair_accuracy(base, groups).value
    assert beats(accuracy_difference(head, base, groups))


def test_a_comparison_equals_its_parts():
    generator = np.random.default_rng(5)
    margins, groups = generator.normal(size=(40, 3)), generator.integers(0, 20, 40)
    found = compare_accuracy(margins[:, 0], margins[:, 1:], groups, seed=1)
    assert found.accuracy == pair_accuracy(margins[:, 0], groups, seed=1)
    for place in (1, 2):
        other = margins[:, place]
        assert found.baselines[place - 1] == pair_accuracy(other, groups, seed=1)
        gain = accuracy_difference(margins[:, 0], other, groups, seed=1)
        assert found.gains[place - 1] == gain
