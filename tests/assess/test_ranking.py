import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.assess import area_under_roc, compare_areas, label_accuracy
from morl.errors import InputError

SCORED = st.lists(
    st.tuples(st.integers(-2, 2).map(float), st.booleans()), min_size=2, max_size=25
).filter(lambda rows: {label for _, label in rows} == {True, False})


def brute_force(scores, labels):
    won = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, yes in zip(scores, labels, strict=True)
        for b, other in zip(scores, labels, strict=True)
        if yes and not other
    ]
    return math.fsum(won) / len(won)


def columns(rows):
    scores, labels = zip(*rows, strict=True)
    return np.array(scores), np.array(labels)


@settings(deadline=None, max_examples=50)
@given(SCORED)
def test_the_area_is_the_share_that_brute_force_over_pairs_finds(rows):
    scores, labels = columns(rows)
    found = area_under_roc(scores, labels, np.arange(len(rows)))
    assert math.isclose(found.value, brute_force(scores, labels))
    assert found.count == len(rows)


@settings(deadline=None, max_examples=30)
@given(SCORED, st.randoms())
def test_the_area_ignores_units_and_order(rows, random):
    scores, labels = columns(rows)
    groups = np.arange(len(rows)) // 2
    order = np.array(random.sample(range(len(rows)), len(rows)))
    a = area_under_roc(scores, labels, groups)
    b = area_under_roc(np.exp(3 * scores[order]), labels[order], groups[order])
    np.testing.assert_allclose(a, b, rtol=1e-12, equal_nan=True)


def test_resampled_areas_are_those_of_the_responses_written_out():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 4, 12).astype(float)
    labels = np.arange(12) % 3 == 0
    groups = np.arange(12) // 2
    from morl.assess.resampling import resample_prompts

    counts = resample_prompts(groups, seed=5).counts
    areas = []
    for row in counts:
        drawn = [i for i in range(12) for _ in range(row[groups[i]])]
        chosen = labels[drawn]
        if chosen.any() and not chosen.all():
            areas.append(brute_force(scores[drawn], chosen))
    low, high = np.quantile(areas, [0.025, 0.975])
    found = area_under_roc(scores, labels, groups, seed=5)
    np.testing.assert_allclose([found.low, found.high], [low, high])


def test_the_interval_has_the_width_that_hanley_and_mcneil_give():
    generator = np.random.default_rng(1)
    labels = np.arange(600) < 150
    scores = generator.normal(size=600) + labels
    found = area_under_roc(scores, labels, np.arange(600))
    # Hanley and McNeil (1982), equation 1, with their approximations of Q1 and Q2.
    area = found.value
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + 149 * (first - area**2) + 449 * (second - area**2)
    ) / (150 * 450)
    assert abs((found.high - found.low) / (2 * 1.96 * math.sqrt(variance)) - 1) < 0.15
    # Two unit normals one deviation apart: Phi(1 / sqrt 2).
    assert abs(area - 0.7602) < 0.05


def test_areas_compare_over_the_same_draws():
    generator = np.random.default_rng(2)
    labels = np.arange(300) % 3 == 0
    scores = generator.normal(size=300) + labels
    groups = np.arange(300) // 2
    found = compare_areas(
        scores, np.column_stack([scores, -scores]), labels, groups, seed=4
    )
    assert found.accuracy == area_under_roc(scores, labels, groups, seed=4)
    assert found.gains[0] == (0.0, 0.0, 0.0)
    area = found.accuracy
    np.testing.assert_allclose(
        found.gains[1], [2 * area.value - 1, 2 * area.low - 1, 2 * area.high - 1]
    )


def test_label_accuracy_counts_the_right_side_of_zero():
    logits = np.array([2.0, -1.0, 0.0, -3.0, 1.0])
    labels = np.array([True, True, False, False, False])
    found = label_accuracy(logits, labels, np.arange(5))
    assert math.isclose(found.value, (1 + 0 + 0.5 + 1 + 0) / 5)


@pytest.mark.parametrize("kind", [True, False])
def test_labels_of_one_kind_have_no_area(kind):
    with pytest.raises(InputError, match=r"labels: found \d of 3 labelled yes"):
        area_under_roc(np.zeros(3), np.full(3, kind), np.arange(3))


def test_a_score_that_is_not_a_number_is_named():
    labels = np.array([True, False])
    with pytest.raises(InputError, match=r"scores\[0\]: found nan"):
        area_under_roc(np.array([np.nan, 1.0]), labels, np.arange(2))
