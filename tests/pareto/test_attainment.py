import itertools

import jax
import jax.numpy as jnp
import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from morl.errors import InputError
from morl.pareto.attainment import attainment, attainment_surface
from morl.pareto.host import non_dominated

attain = jax.jit(attainment)

runs = st.sampled_from([2, 3]).flatmap(
    lambda k: st.lists(
        st.integers(0, 4).flatmap(
            lambda n: hnp.arrays(
                np.float64, (n, k), elements=st.integers(0, 4).map(float)
            )
        ),
        min_size=1,
        max_size=4,
    )
)


def share_reached(fronts, goal):
    return np.mean([bool((front >= goal[None]).all(axis=1).any()) for front in fronts])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_attainment_is_the_share_of_runs_that_reach_a_goal(k):
    rng = np.random.default_rng(k)
    fronts = rng.integers(0, 5, (7, 5, k)).astype(float)
    goals = np.array(list(itertools.product(range(5), repeat=k)), float)
    mask = rng.random((7, 5)) < 0.6
    expected = [
        share_reached([f[m] for f, m in zip(fronts, mask, strict=True)], goal)
        for goal in goals
    ]
    hidden = jnp.asarray(np.where(mask[:, :, None], fronts, np.nan), jnp.float32)
    found = attain(hidden, jnp.asarray(goals, jnp.float32), mask=jnp.asarray(mask))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_attainment_vmaps():
    fronts = jnp.asarray(np.random.default_rng(0).random((3, 4, 5, 2)), jnp.float32)
    goals = jnp.full((3, 2, 2), 0.5)
    batched = jax.jit(jax.vmap(attainment))(fronts, goals)
    looped = [attain(*case) for case in zip(fronts, goals, strict=True)]
    np.testing.assert_array_equal(batched, jnp.stack(looped))


@settings(deadline=None, max_examples=40)
@given(runs, st.sampled_from([0.01, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0]))
def test_a_surface_bounds_exactly_the_goals_that_enough_runs_reach(fronts, level):
    surface = attainment_surface(fronts, level=level)
    k = fronts[0].shape[1]
    for goal in np.array(list(itertools.product(np.arange(-1, 6), repeat=k)), float):
        under = bool((surface >= goal[None]).all(axis=1).any())
        assert under == (share_reached(fronts, goal) >= level - 1e-9)
    assert non_dominated(surface).all()
    assert len(np.unique(surface, axis=0)) == len(surface)


@pytest.mark.parametrize("k", [2, 3])
def test_surfaces_are_those_of_moocore_with_the_signs_turned(k):
    rng = np.random.default_rng(k)
    fronts = list(rng.normal(size=(10, 6, k)))
    labels = np.repeat(np.arange(10), 6)
    every = moocore.eaf(-np.concatenate(fronts), labels)
    for count in range(1, 11):
        expected = -every[np.isclose(every[:, -1], 10 * count), :-1]
        found = attainment_surface(fronts, level=count / 10)
        order = np.lexsort(expected.T[::-1])
        np.testing.assert_array_equal(found, expected[order])


def test_the_easiest_level_is_the_front_of_all_points_together():
    fronts = list(np.random.default_rng(0).normal(size=(5, 8, 2)))
    everything = np.concatenate(fronts)
    best = everything[non_dominated(everything)]
    found = attainment_surface(fronts, level=0.2)
    np.testing.assert_array_equal(found, best[np.argsort(best[:, 0])])


def test_a_run_without_points_reaches_nothing():
    empty, one = np.zeros((0, 2)), np.array([[1.0, 2.0]])
    assert attainment_surface([one, empty], level=1.0).shape == (0, 2)
    assert attainment_surface([one, empty]).tolist() == [[1.0, 2.0]]
    assert attainment_surface([empty, empty]).shape == (0, 2)


@pytest.mark.parametrize(
    ("fronts", "level", "message"),
    [
        ([np.ones((1, 2))], 0.0, "found level 0.0, expected above 0"),
        ([np.ones((1, 2))], 1.5, "found level 1.5"),
        (
            [np.ones((1, 4))],
            0.5,
            r"found 1 runs with \[4\] objectives, .* all with 2 or all",
        ),
        ([], 0.5, r"found 0 runs with \[\] objectives"),
        ([np.full((1, 2), np.nan)], 0.5, "found NaN or infinity"),
    ],
)
def test_what_has_no_surface_is_refused(fronts, level, message):
    with pytest.raises(InputError, match=f"attainment_surface: {message}"):
        attainment_surface(fronts, level=level)


def test_attainment_of_no_run_is_refused():
    with pytest.raises(InputError, match="attainment: found 0 runs"):
        attainment(jnp.zeros((0, 1, 2)), jnp.zeros((1, 2)))
