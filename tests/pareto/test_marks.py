import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from morl.errors import InputError
from morl.pareto import (
    FrontPoint,
    Normalisation,
    control_gains,
    find_ties,
    hypervolume_interval,
    intervals_of,
    mark_dominated,
    monotonicity_violations,
    normalised,
    protocol_reference,
    rewards_of,
    separated,
    share_closed,
    simplex_lattice,
    vertex_gains,
    weights_of,
)


def point(*rewards, width=0.0, weights=None, method="m", role="sweep"):
    return FrontPoint(
        method,
        weights or (0.0,) * len(rewards),
        tuple(map(float, rewards)),
        interval=tuple((r - width, r + width) for r in map(float, rewards)),
        role=role,
    )


def overlap(a, b):
    return all(
        max(low, other) <= min(high, top)
        for (low, high), (other, top) in zip(a.interval, b.interval, strict=True)
    )


rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0])),
    max_size=7,
)


def test_dominance_is_marked_against_every_other_point():
    points = [point(1, 1), point(2, 2), point(2, 2, method="noise"), point(0, 3)]
    assert [p.dominated for p in mark_dominated(points)] == [True, False, False, False]
    assert mark_dominated([]) == ()


def test_marking_changes_nothing_else():
    points = [point(1, 1), point(2, 2)]
    marked = find_ties(mark_dominated(points))
    assert rewards_of(marked).tolist() == rewards_of(points).tolist()
    assert [p.method for p in marked] == ["m", "m"]


@settings(deadline=None)
@given(rows)
def test_ties_are_the_pairs_whose_boxes_meet(found):
    points = [point(x, y, width=width) for x, y, width in found]
    tied = find_ties(points)
    for i, mark in enumerate(tied):
        expected = [
            j for j, other in enumerate(points) if j != i and overlap(points[i], other)
        ]
        assert list(mark.ties) == expected


def test_a_point_without_intervals_ties_with_every_other():
    unknown = FrontPoint("m", (0.0,), (100.0,))
    ties = [p.ties for p in find_ties([unknown, point(0), point(50)])]
    assert ties == [(1, 2), (0,), (0,)]


def test_separation_is_symmetric_and_needs_one_objective_only():
    bounds = intervals_of([point(0, 0, width=1), point(0, 3, width=1)])
    assert separated(bounds).tolist() == [[False, True], [True, False]]


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_violations_are_the_definition(seed):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(3), size=6)
    rewards = rng.normal(size=(6, 3))
    width = rng.uniform(0, 1.5, size=(6, 3))
    bounds = np.stack([rewards - width, rewards + width], axis=-1)
    expected = []
    for i, j in itertools.combinations(range(6), 2):
        apart = any(
            bounds[i, k, 0] > bounds[j, k, 1] or bounds[j, k, 0] > bounds[i, k, 1]
            for k in range(3)
        )
        inner = sum(
            (weights[i, k] - weights[j, k]) * (rewards[i, k] - rewards[j, k])
            for k in range(3)
        )
        if apart and inner < 0:
            expected.append([i, j])
    assert monotonicity_violations(weights, rewards, bounds).tolist() == expected


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0.05, 5))
def test_an_exact_optimum_is_never_out_of_order(seed, beta):
    # pi(y) proportional to exp(w.r(y) / beta) maximises w.R - beta KL exactly.
    candidates = np.random.default_rng(seed).normal(size=(12, 3))
    weights = simplex_lattice(3, 4)
    utility = weights @ candidates.T / beta
    policy = np.exp(utility - utility.max(1, keepdims=True))
    rewards = policy / policy.sum(1, keepdims=True) @ candidates
    bounds = np.stack([rewards, rewards], axis=-1)
    broken = monotonicity_violations(weights, rewards, bounds)
    steps = weights[:, None] - weights[None]
    inner = np.einsum("ijk,ijk->ij", steps, rewards[:, None] - rewards[None])
    # What is left is rounding: the law holds to a few ulp.
    assert all(inner[i, j] > -1e-12 for i, j in broken)


def test_uneven_counts_are_refused():
    with pytest.raises(InputError, match="found 2 weightings, 1 reward vectors"):
        monotonicity_violations.__wrapped__(
            np.zeros((2, 2)), np.zeros((1, 2)), np.zeros((2, 2, 2))
        )


def test_the_interval_of_a_hypervolume_holds_the_middle_of_its_resamples():
    side = np.arange(1, 1001) / 1000
    resampled = np.sqrt(side)[:, None, None] * np.ones((1, 1, 2))
    low, high = hypervolume_interval(resampled, np.zeros(2))
    assert low == pytest.approx(0.025975)
    assert high == pytest.approx(0.975025)


def test_the_share_closed_runs_from_base_to_exact():
    assert share_closed(1.0, base=1.0, exact=3.0) == 0
    assert share_closed(3.0, base=1.0, exact=3.0) == 1
    assert share_closed(0.0, base=1.0, exact=3.0) == -0.5
    with pytest.raises(InputError, match="no gap to close"):
        share_closed(1.0, base=1.0, exact=1.0)


def test_a_gain_at_a_vertex_is_clear_only_past_both_intervals():
    base = point(0, 0, width=0.5, role="base")
    sweep = [
        point(2, -1, width=1, weights=(1.0, 0.0)),
        point(1, 1, width=1, weights=(0.5, 0.5)),
        point(-1, 1, width=1, weights=(0.0, 1.0)),
    ]
    gains = vertex_gains(sweep, base)
    assert [(g.objective, g.gain, g.clear) for g in gains] == [
        (0, 2.0, True),
        (1, 1.0, False),
    ]


def test_a_control_without_gain_is_silent_and_one_with_gain_is_named():
    base = point(0, 0, width=0.1, role="base")
    noise = point(0.1, -3, width=0.1, role="control")
    leak = point(0.1, 0.5, width=0.1, role="control")
    assert control_gains([noise], base) == []
    assert [(g.point, g.objective) for g in control_gains([noise, leak], base)] == [
        (leak, 1)
    ]


def test_unknown_intervals_show_no_gain():
    base = point(0, role="base")
    assert control_gains([FrontPoint("noise", (0.0,), (9.0,))], base) == []


def test_vectors_of_no_points_have_no_rows():
    assert rewards_of([]).shape == weights_of([]).shape == (0, 0)
    assert intervals_of([]).shape == (0, 0, 2)


@given(hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e3, 1e3)))
def test_the_reference_lies_a_tenth_of_the_range_below_the_worst(points):
    found = protocol_reference(points[0], points[1:])
    for k in range(2):
        low, high = min(points[:, k]), max(points[:, k])
        assert found[k] == pytest.approx(low - 0.1 * (high - low), abs=1e-9)
        assert found[k] <= low


def test_the_scale_puts_the_base_at_zero_and_the_best_expert_at_one():
    scale = Normalisation((1.0, -2.0), (3.0, 2.0))
    found = normalised(np.array([scale.base, scale.best, (2.0, 4.0)]), scale)
    assert found.tolist() == [[0, 0], [1, 1], [0.5, 1.5]]
    with pytest.raises(InputError, match="expected best > base"):
        normalised(np.zeros(1), Normalisation((1.0,), (1.0,)))
