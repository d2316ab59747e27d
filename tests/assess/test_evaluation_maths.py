"""The arithmetic behind the suites, against SciPy, brute force and formulas retyped."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from morl.assess.best_of import Gaps, best_of_credit, gaps, ties_score
from morl.assess.best_of_n import best_of_n, best_of_n_kl, expected_gold, first_chances
from morl.assess.estimates import combined, estimate_of, mean_estimate, sampled_mean
from morl.assess.length import centred, matched, rank_correlation
from morl.assess.rejection import COVERAGE, oracle_curve, rejection_curve
from morl.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# Estimates --------------------------------------------------------------------------


def test_pairs_of_one_prompt_do_not_make_an_estimate_surer(rng):
    values = rng.normal(size=50)
    once = mean_estimate(values, np.arange(50))
    often = mean_estimate(np.repeat(values, 7), np.repeat(np.arange(50), 7))
    assert often[:3] == pytest.approx(once[:3])
    assert (often.count, often.prompts) == (350, 50)


def test_an_interval_is_about_that_of_a_normal_mean(rng):
    values = rng.normal(size=400)
    found = mean_estimate(values, np.arange(400))
    half = 1.96 * np.std(values) / math.sqrt(400)
    assert found.high - found.value == pytest.approx(half, rel=0.15)


def test_parts_that_are_drawn_apart_add_their_variances(rng):
    parts = [
        sampled_mean(rng.normal(size=100), np.arange(100), seed=seed) for seed in (0, 1)
    ]
    both = combined(parts, [3.0, 1.0])
    assert both.value == pytest.approx(0.75 * parts[0].value + 0.25 * parts[1].value)
    expected = math.hypot(
        0.75 * np.std(parts[0].resamples), 0.25 * np.std(parts[1].resamples)
    )
    assert np.std(both.resamples) == pytest.approx(expected, rel=0.1)


def test_one_prompt_has_no_interval_alone_nor_in_a_combination():
    one = sampled_mean(np.ones(3), np.zeros(3, int))
    many = sampled_mean(np.ones(3), np.arange(3))
    assert np.isnan(estimate_of(one).low)
    assert np.isnan(estimate_of(combined([one, many], [1.0, 1.0])).high)


# Length -----------------------------------------------------------------------------


def test_rank_correlation_is_scipys_with_ties(rng):
    x, y = rng.integers(0, 9, 80).astype(float), rng.normal(size=80)
    found = rank_correlation(x, x + 3 * y, np.arange(80))
    assert found.value == pytest.approx(spearmanr(x, x + 3 * y).statistic)
    assert found.low < found.value < found.high


def test_rank_correlation_with_a_constant_is_unknown():
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0), np.arange(5)).value)


def test_what_differs_between_prompts_alone_is_no_correlation_within_them(rng):
    groups = np.repeat(np.arange(40), 2)
    level = np.repeat(rng.normal(size=40), 2) * 100
    x, y = (level + rng.normal(size=80) for _ in range(2))
    assert rank_correlation(x, y, groups).value > 0.95
    within = rank_correlation(centred(x, groups), centred(y, groups), groups)
    assert abs(within.value) < 0.35


def test_matching_lengths_takes_no_side():
    better, worse = np.array([4, 5, 9, 0]), np.array([5, 4, 1, 0])
    assert matched(better, worse, ratio=1.25).tolist() == [True, True, False, True]


# Rejection --------------------------------------------------------------------------


def accuracies(right, doubt):
    """Accuracy of each prefix of the surest pairs, by brute force."""
    order = np.argsort(doubt, kind="stable")
    return [np.mean(right[order][:k]) for k in range(1, len(right) + 1)]


def test_the_rejection_curve_is_the_mean_of_each_surest_part(rng):
    margins, doubt = rng.normal(size=200), rng.random(200)
    found = rejection_curve(margins, doubt, np.arange(200))
    expected = accuracies(margins > 0, doubt)
    for share, value in zip(COVERAGE, found.accuracy, strict=True):
        assert value == pytest.approx(expected[math.ceil(share * 200 - 1e-9) - 1])
    assert found.area.value == pytest.approx(np.mean(expected) - np.mean(margins > 0))


def test_an_oracle_has_ratio_one_and_its_reverse_a_negative_one(rng):
    margins = rng.normal(size=4000) + 0.3
    oracle = rejection_curve(margins, -margins, np.arange(4000))
    assert oracle.ratio.value == pytest.approx(1, abs=0.002)
    assert rejection_curve(margins, margins, np.arange(4000)).ratio.value < -0.5
    overall = float(np.mean(margins > 0))
    assert oracle.accuracy == pytest.approx(oracle_curve(overall), abs=1e-3)


def test_doubt_that_is_everywhere_the_same_is_rejection_at_random(rng):
    margins = rng.normal(size=60)
    found = rejection_curve(margins, np.ones(60), rng.integers(0, 20, 60))
    assert found.accuracy == pytest.approx(np.full(20, np.mean(margins > 0)))
    assert found.area[:3] == pytest.approx((0, 0, 0), abs=1e-12)


def test_the_order_of_rows_does_not_matter_to_rejection(rng):
    margins, doubt = rng.normal(size=50), rng.integers(0, 5, 50).astype(float)
    groups, order = rng.integers(0, 20, 50), rng.permutation(50)
    found = rejection_curve(margins, doubt, groups)
    other = rejection_curve(margins[order], doubt[order], groups[order])
    assert found.low == pytest.approx(other.low)
    assert found.ratio == pytest.approx(other.ratio)


# Best of n --------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), min_size=2, max_size=7), st.data())
@settings(max_examples=40, deadline=None)
def test_the_best_of_n_is_the_mean_over_all_subsets(rewards, data):
    size = len(rewards)
    gold = data.draw(st.lists(st.integers(-4, 4), min_size=size, max_size=size))
    n = data.draw(st.integers(1, size))
    means = []
    for chosen in combinations(range(size), n):
        top = max(rewards[i] for i in chosen)
        means.append(np.mean([gold[i] for i in chosen if rewards[i] == top]))
    sides = (np.array(side, float) for side in (rewards, gold))
    found = expected_gold(*sides, np.array([n]))
    assert found[0] == pytest.approx(np.mean(means), abs=1e-9)


@pytest.mark.parametrize(("size", "n"), [(1, 1), (5, 3), (40, 40), (3000, 7)])
def test_the_chances_to_be_best_sum_to_one_and_fall_with_rank(size, n):
    chances = first_chances(size, n)
    assert chances.sum() == pytest.approx(1)
    assert np.all(np.diff(chances) <= 1e-15)
    assert chances[0] == pytest.approx(n / size)


def test_gold_that_selects_itself_never_drops(rng):
    gold = list(rng.normal(size=(30, 8)))
    found = best_of_n(gold, gold)
    assert found.peak == 8
    assert np.all(np.diff(found.gain) > 0)
    assert found.gain == pytest.approx(found.proxy)
    # The largest of 8 normal numbers, 1.42 (Harter, 1961), in samples of 8.
    assert found.gain[-1] == pytest.approx(1.42, abs=0.15)


def test_a_reward_that_turns_against_gold_at_its_top_is_over_optimised(rng):
    rewards = rng.normal(size=(200, 16))
    gold = np.where(rewards < 1.5, rewards, -1.0)
    found = best_of_n(list(rewards), list(gold))
    assert 1 < found.peak < 16
    assert found.drop.low > 0
    assert found.proxy[-1] > found.proxy[0] == 0
    assert found.gain[0] == found.kl[0] == 0


def test_the_divergence_of_the_best_of_n_is_its_formula():
    n = np.array([1, 2, 64])
    assert best_of_n_kl(n) == pytest.approx(
        [0, math.log(2) - 0.5, math.log(64) - 63 / 64]
    )


def test_the_units_of_rewards_do_not_matter_to_the_best_of_n(rng):
    rewards, gold = rng.normal(size=(2, 20, 5))
    found = best_of_n(list(rewards), list(gold))
    other = best_of_n(list(7 * rewards + 1), list(0.01 * gold - 5))
    assert other.gain == pytest.approx(found.gain)


@pytest.mark.parametrize(
    ("sizes", "gold", "message"),
    [
        ([3, 1], 1.0, "found 1 candidates for a prompt"),
        ([], 1.0, "found 0 candidates"),
        ([3, 3], 0.0, "tells no two candidates of a prompt apart"),
    ],
)
def test_what_cannot_be_selected_from_is_refused(sizes, gold, message):
    rewards = [np.arange(float(size)) for size in sizes]
    with pytest.raises(InputError, match=message):
        best_of_n(rewards, [gold * own for own in rewards])


# Best of four, and ties ---------------------------------------------------------------


def test_a_best_answer_that_ties_counts_its_chance():
    right = np.array([True, False, False, False])
    assert best_of_credit(np.array([1.0, 1.0, 1.0, 0.0]), right) == pytest.approx(1 / 3)
    assert best_of_credit(np.array([0.0, 1.0, 0.0, 0.0]), right) == 0


def test_gaps_are_within_right_answers_and_down_to_the_best_wrong_one():
    right = np.array([True, False, True, False])
    assert gaps(np.array([5.0, 1.0, 3.0, 2.0]), right) == Gaps(2.0, 1.0)
    with pytest.raises(InputError, match="expected both kinds"):
        gaps(np.ones(2), np.ones(2, bool))


def test_the_score_of_ties_is_its_formula_retyped():
    tied = {0: Gaps(1.0, 2.0), 1: Gaps(3.0, 2.0), 2: Gaps(1.0, -1.0)}
    single = {0: Gaps(0.0, 0.5), 1: Gaps(0.0, 4.0), 2: Gaps(0.0, 1.0)}
    margin = (
        math.tanh(0.5 / 1 - 1) + math.tanh(2.0 / 3 - 1) + math.tanh(-1.0 / 1 - 1)
    ) / 3
    expected = 0.3 * 2 / 3 + 0.3 * 1 + 0.2 * 1 / 3 + 0.2 * 0 + 0.01 * margin
    assert ties_score(tied, single).value == pytest.approx(expected)


def test_right_answers_that_are_equal_and_on_top_score_full():
    numbers = range(20)
    tied = {number: Gaps(0.0, 1.0) for number in numbers}
    found = estimate_of(ties_score(tied, tied))
    assert found[:3] == pytest.approx((1.01, 1.01, 1.01))
    with pytest.raises(InputError, match="no prompt has both kinds"):
        ties_score({0: Gaps(0.0, 1.0)}, {1: Gaps(0.0, 1.0)})
