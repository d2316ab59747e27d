import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from morl.errors import InputError
from morl.pareto.coverage import convex_coverage
from morl.pareto.directions import simplex_lattice
from morl.pareto.host import non_dominated

TIMES = (-1, -3, -5, -7, -8, -9, -13, -14, -17, -19)
CONVEX = (0.7, 8.2, 11.5, 14, 15.1, 16.1, 19.6, 20.3, 22.4, 23.7)
CONCAVE = (1, 2, 3, 5, 8, 16, 24, 50, 74, 124)

few = st.integers(1, 4).flatmap(
    lambda k: st.integers(0, 7).flatmap(
        lambda n: hnp.arrays(np.float64, (n, k), elements=st.integers(-2, 4).map(float))
    )
)


def treasure(values):
    return np.stack([np.array(values, float), np.array(TIMES, float)], axis=1)


def adds_nothing(point, others):
    """Whether a mix of the others is at least as good as the point everywhere."""
    if not len(others):
        return False
    num = len(others)
    solved = linprog(
        np.zeros(num),
        A_ub=-others.T,
        b_ub=-point + 1e-9,
        A_eq=np.ones((1, num)),
        b_eq=[1.0],
    )
    return solved.status == 0


def test_nine_of_the_ten_convex_treasures_can_be_chosen():
    # (20.3, -14) lies exactly on the line between its neighbours.
    kept = convex_coverage(treasure(CONVEX))
    assert kept.tolist() == [value != 20.3 for value in CONVEX]


def test_only_the_ends_of_the_concave_treasures_can_be_chosen():
    kept = convex_coverage(treasure(CONCAVE))
    assert np.flatnonzero(kept).tolist() == [0, 9]


@pytest.mark.parametrize(
    ("points", "kept"),
    [
        ([(0, 10), (10, 0), (4, 4)], [1, 1, 0]),
        ([(0, 2), (1, 1), (2, 0)], [1, 0, 1]),
        ([(0, 0), (0, 0)], [1, 1]),
        ([(3, 1)], [1]),
        ([(2, 1), (2, 2), (2, 0)], [0, 1, 0]),
        ([(1,), (2,), (2,)], [0, 1, 1]),
        ([(0, 2), (2, 0), (0, 2), (1, 1)], [1, 1, 1, 0]),
        (np.zeros((0, 3)), []),
        (np.eye(4), [1] * 4),
        (1 - np.eye(3), [1] * 3),
        ([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1 / 3, 1 / 3, 1 / 3)], [1, 1, 1, 0]),
        ([(1, 5, 7), (2, 5, 6), (3, 5, 5)], [1, 0, 1]),
    ],
)
def test_degenerate_sets_have_the_documented_answer(points, kept):
    found = convex_coverage(np.array(points, float))
    assert found.tolist() == [bool(flag) for flag in kept]


@settings(deadline=None, max_examples=60)
@given(few)
def test_a_point_is_kept_unless_a_mix_of_the_others_is_as_good(points):
    # The dual question of the same geometry, asked of SciPy.
    found = convex_coverage(points)
    for point, kept in zip(points, found, strict=True):
        others = points[(points != point[None]).any(axis=1)]
        assert kept == (not adds_nothing(point, others))


@settings(deadline=None, max_examples=30)
@given(few)
def test_some_kept_point_maximises_every_weighting(points):
    if not len(points):
        return
    kept = points[convex_coverage(points)]
    for weights in simplex_lattice(points.shape[1], 8):
        assert (kept @ weights).max() == pytest.approx((points @ weights).max())


@settings(deadline=None, max_examples=30)
@given(few)
def test_the_coverage_set_is_a_part_of_the_front(points):
    assert (convex_coverage(points) <= non_dominated(points)).all()


def test_units_and_origins_do_not_matter():
    points = np.random.default_rng(0).normal(size=(30, 3))
    scaled = points * np.array([1e-6, 1.0, 1e6]) + np.array([5.0, -3.0, 1e7])
    assert (convex_coverage(scaled) == convex_coverage(points)).all()


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_set_is_the_upper_hull_that_qhull_finds(k):
    points = np.random.default_rng(k).normal(size=(40, k))
    # The shadows lie far below: every other vertex of the hull is seen from above.
    shadows = np.concatenate(
        [
            np.where(np.isin(np.arange(k), axes)[None], -1e3, points)
            for size in range(1, k + 1)
            for axes in itertools.combinations(range(k), size)
        ]
    )
    hull = ConvexHull(np.concatenate([points, shadows]))
    expected = np.isin(np.arange(40), hull.vertices)
    assert (convex_coverage(points) == expected).all()


def test_points_a_thousandth_apart_on_a_circle_are_all_kept():
    angle = np.linspace(0, np.pi / 2, 60)[:, None]
    close = np.pi / 4 + 1e-3 * np.arange(20)[:, None]
    angle = np.concatenate([angle, close])
    assert convex_coverage(np.concatenate([np.cos(angle), np.sin(angle)], 1)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="convex_coverage: found NaN or infinity"):
        convex_coverage(np.array([[0.0, value]]))
