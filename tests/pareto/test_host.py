import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from morl.errors import InputError
from morl.pareto.host import (
    _checked,
    hypervolume,
    hypervolume_contributions,
    non_dominated,
)

# Rewarded Soups, LLaMA-7B, news summarisation: the means its repository prints
# (alexrame/rewardedsoups, llama/README.md), merge weight on R1 = 0, .1, ..., 1.
SOUPS = np.array(
    [
        (0.983732, -0.787577),
        (1.108713, -0.784563),
        (1.197344, -0.776748),
        (1.285310, -0.861901),
        (1.394218, -1.082138),
        (1.459286, -1.080312),
        (1.512798, -1.118323),
        (1.568807, -1.212080),
        (1.653216, -1.324989),
        (1.728214, -1.315199),
        (1.781415, -1.526313),
    ]
)

# Deep-sea treasure, reference (0, -25), as published with the benchmark.
CONVEX = [(0.7, 8.2, 11.5, 14, 15.1, 16.1, 19.6, 20.3, 22.4, 23.7), 401.8]
CONCAVE = [(1, 2, 3, 5, 8, 16, 24, 50, 74, 124), 1155.0]
TIMES = (-1, -3, -5, -7, -8, -9, -13, -14, -17, -19)

few = st.integers(1, 4).flatmap(
    lambda k: st.integers(0, 6).flatmap(
        lambda n: hnp.arrays(np.float64, (n, k), elements=st.integers(-2, 4).map(float))
    )
)


def grid_volume(points, reference):
    """Counts unit cells of an integer grid that some point dominates."""
    axes = [np.arange(int(z), 5) for z in reference]
    cells = np.array(list(itertools.product(*axes)))
    return float(sum(any((cell < p).all() for p in points) for cell in cells))


def undominated(points):
    return [not any((q >= p).all() and (q > p).any() for q in points) for p in points]


@pytest.mark.parametrize(
    ("points", "reference", "volume"),
    [
        ([(5, 5), (4, 6), (2, 7), (7, 4)], (0, 0), 39),
        # Minimised with reference 10 it is 38: here with both signs turned.
        ([(-5, -5), (-4, -6), (-2, -7), (-7, -4)], (-10, -10), 38),
        ([(-1, 0, -1), (0, -1, 0)], (-2, -2, -2), 5),
        ([(8.5, 3), (8.5, 3.5), (5, 5), (9, 1), (4, 5)], (0, 0), 37.75),
        ([(8.5, 3), (8.5, 3.5), (5, 5), (9, 1), (4, 5)], (1, 0.5), 28.75),
        ([(1, 1)], (1, 1), 0),
        (list(zip(CONVEX[0], TIMES, strict=True)), (0, -25), CONVEX[1]),
        (list(zip(CONCAVE[0], TIMES, strict=True)), (0, -25), CONCAVE[1]),
    ],
)
def test_hypervolume_is_the_published_one(points, reference, volume):
    found = hypervolume(np.array(points, float), np.array(reference, float))
    assert found == pytest.approx(volume, rel=1e-12)


def test_contributions_are_the_published_ones():
    points = -np.array([(5.0, 5), (4, 6), (2, 7), (7, 4)])
    found = hypervolume_contributions(points, np.full(2, -10.0))
    np.testing.assert_allclose(found, (2, 1, 6, 3))


def test_the_linear_front_has_its_closed_form_hypervolume():
    # n points spread evenly on x + y = 1, minimised, reference 1.1: 0.72 n / (n + 1).
    for n in (1, 2, 5, 20):
        x = 1.1 - 1.2 * np.arange(1, n + 1) / (n + 1)
        points = -np.stack([x, 1 - x], axis=1)
        volume = hypervolume(points, np.full(2, -1.1))
        assert volume == pytest.approx(0.72 * n / (n + 1))


@pytest.mark.parametrize(
    ("dims", "volume"), [(2, 0.4246018366), (3, 0.8074012244), (4, 1.1556748625)]
)
def test_a_dense_sphere_approaches_the_hypervolume_of_dtlz2(dims, volume):
    directions = np.abs(np.random.default_rng(0).normal(size=(3000, dims)))
    sphere = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    found = hypervolume(-sphere, np.full(dims, -1.1))
    assert volume * 0.93 < found < volume


@settings(deadline=None, max_examples=60)
@given(few)
def test_hypervolume_counts_the_cells_of_a_grid(points):
    reference = np.zeros(points.shape[1])
    assert hypervolume(points, reference) == grid_volume(points, reference)


@settings(deadline=None)
@given(few)
def test_non_dominated_is_the_definition(points):
    assert non_dominated(points).tolist() == undominated(points)


@settings(deadline=None)
@given(few)
def test_a_contribution_is_what_is_lost_with_the_point(points):
    reference = np.zeros(points.shape[1])
    whole = hypervolume(points, reference)
    found = hypervolume_contributions(points, reference)
    for i, value in enumerate(found):
        rest = hypervolume(np.delete(points, i, axis=0), reference)
        assert value == pytest.approx(whole - rest, abs=1e-9)
        assert value >= 0


@settings(deadline=None)
@given(few, st.integers(-3, 3), st.sampled_from([0.25, 2.0, 1e6]))
def test_hypervolume_moves_with_its_reference_and_scales_with_its_units(
    points, shift, scale
):
    reference = np.zeros(points.shape[1])
    volume = hypervolume(points, reference)
    assert hypervolume(points + shift, reference + shift) == volume
    scaled = hypervolume(points * scale, reference)
    assert scaled == pytest.approx(volume * scale ** points.shape[1], rel=1e-9)


@settings(deadline=None)
@given(few, st.randoms())
def test_hypervolume_ignores_order_duplicates_and_dominated_points(points, random):
    reference = np.zeros(points.shape[1])
    order = list(range(len(points)))
    random.shuffle(order)
    volume = hypervolume(points, reference)
    assert hypervolume(points[order], reference) == pytest.approx(volume)
    assert hypervolume(np.repeat(points, 2, axis=0), reference) == volume
    kept = points[non_dominated(points)]
    assert hypervolume(kept, reference) == pytest.approx(volume)


@settings(deadline=None)
@given(few, st.data())
def test_another_point_never_lowers_hypervolume(points, data):
    k = points.shape[1]
    more = data.draw(hnp.arrays(np.float64, (1, k), elements=st.floats(-5, 5)))
    before = hypervolume(points, np.zeros(k))
    after = hypervolume(np.concatenate([points, more]), np.zeros(k))
    assert after >= before - 1e-12


def test_a_point_below_the_reference_counts_nothing_and_never_against():
    reference = np.zeros(2)
    for bad in ((-3.0, -2.0), (-1.0, 5.0), (5.0, 0.0)):
        assert hypervolume(np.array([bad]), reference) == 0
        assert hypervolume(np.array([bad, (1.0, 1.0)]), reference) == 1


def test_equal_points_are_all_kept_and_none_contributes():
    points = np.array([(1.0, 2), (1, 2), (2, 1), (0, 0)])
    assert non_dominated(points).tolist() == [True, True, True, False]
    assert hypervolume_contributions(points, np.zeros(2)).tolist() == [0, 0, 1, 0]


def test_nothing_comes_of_no_points():
    nothing = np.zeros((0, 3))
    assert hypervolume(nothing, np.zeros(3)) == 0
    assert non_dominated(nothing).shape == (0,)
    assert hypervolume_contributions(nothing, np.zeros(3)).shape == (0,)


def test_nan_and_infinity_are_refused_by_name():
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match=r"hypervolume: found NaN or infinity"):
            hypervolume(np.array([[bad, 1.0]]), np.zeros(2))
        with pytest.raises(InputError, match=r"non_dominated: found NaN"):
            non_dominated(np.array([[bad, 1.0]]))


def test_lengths_that_differ_are_refused_by_name():
    # The type checks of the test run stop the public functions before this does.
    with pytest.raises(InputError, match=r"have 2 objectives, reference has 3"):
        _checked(np.zeros((1, 2)), np.zeros(3), "hypervolume")


def test_the_rewarded_soups_front_has_its_published_shape():
    scaled = (SOUPS - SOUPS.min(0)) / np.ptp(SOUPS, axis=0)
    share = np.linspace(0, 1, 11)
    weights = np.stack([share, 1 - share], axis=1)
    assert non_dominated(SOUPS).sum() == 7
    assert hypervolume(scaled, np.zeros(2)) == pytest.approx(0.61755, abs=5e-6)
    inner = np.einsum("nk,nk->n", weights, scaled).mean()
    assert inner == pytest.approx(0.77131, abs=5e-6)
