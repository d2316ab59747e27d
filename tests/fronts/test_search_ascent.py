"""Hypervolume ascent reaches the best sets there are, and moves dominated points."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from morl.errors import InputError
from morl.fronts.search.box import Box
from morl.fronts.search.hypervolume_ascent import (
    hypervolume_ascent,
    layered_hypervolume,
)
from morl.pareto import host
from morl.worlds.dtlz import dtlz2
from morl.worlds.vlmop import vlmop2

UNIT = Box(np.zeros(2), np.ones(2))


def linear_front(x):
    behind = 1 + x[1] ** 2
    return -jnp.stack([x[0] * behind, (1 - x[0]) * behind])


def starts_in(box, key, num=10):
    shape = num, box.lower.size
    return jax.random.uniform(
        key, shape, minval=box.lower[None], maxval=box.upper[None]
    )


@cache
def adam(rate, num_steps):
    # One object for equal settings: a run compiles once for each optimizer.
    return optax.adam(optax.cosine_decay_schedule(rate, num_steps))


def ascend(rewards, starts, reference, box, *, rate=0.05, num_steps=1000):
    return hypervolume_ascent(
        rewards,
        starts,
        reference=jnp.asarray(reference, starts.dtype),
        optimizer=adam(rate, num_steps),
        num_steps=num_steps,
        box=box,
    )


def exact(found, reference):
    return host.hypervolume(np.asarray(found.rewards, float), np.asarray(reference))


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_points_reach_the_best_hypervolume_of_the_linear_front(seed):
    # Reference 1.1: n points at equal distances cover 0.72 n / (n + 1).
    best = 0.72 * 10 / 11
    found = ascend(
        linear_front, starts_in(UNIT, jax.random.key(seed)), [-1.1, -1.1], UNIT
    )
    assert 0.9999 * best < exact(found, [-1.1, -1.1]) < best + 1e-6


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_points_reach_the_best_hypervolume_of_vlmop2(seed):
    # The best ten points of its front have 0.2997842.
    problem = vlmop2()
    box = Box(problem.lower, problem.upper)
    starts = starts_in(box, jax.random.key(seed))
    found = ascend(problem.rewards, starts, problem.reference, box)
    assert 0.29978 < exact(found, problem.reference) < 0.2997843


def test_three_objectives_are_covered_better_than_by_an_even_lattice():
    problem = dtlz2(3, 5)
    box, reference = Box(problem.lower, problem.upper), np.full(3, -1.1)
    even = problem.front(10)
    starts = starts_in(box, jax.random.key(0), num=len(even))
    found = ascend(problem.rewards, starts, reference, box, rate=0.03, num_steps=400)
    assert exact(found, reference) > host.hypervolume(even, reference)


def test_the_trace_is_the_hypervolume_and_the_best_set_is_returned():
    # From near the best set, a step length this large can only lead away.
    even = 1.2 * jnp.arange(1, 11) / 11 - 0.1
    starts = jnp.stack([even + 1e-3, jnp.zeros(10)], 1)
    found = ascend(linear_front, starts, [-1.1, -1.1], UNIT, rate=0.5, num_steps=10)
    assert found.trace.shape == (10,)
    assert found.trace.argmax() == 0
    np.testing.assert_array_equal(found.designs, starts)
    np.testing.assert_allclose(found.trace.max(), exact(found, [-1.1, -1.1]), rtol=1e-5)
    np.testing.assert_array_equal(found.rewards, jax.vmap(linear_front)(found.designs))


def test_the_designs_after_the_last_step_count():
    starts = jnp.array([[0.2], [0.3]])
    climb = lambda num_steps: hypervolume_ascent(
        lambda x: jnp.stack([x[0], 1 - x[0]]),
        starts,
        reference=jnp.zeros(2),
        optimizer=optax.sgd(0.1),
        num_steps=num_steps,
    )
    none, one = climb(0), climb(1)
    np.testing.assert_array_equal(none.designs, starts)
    # The area a (1 - a) + (b - a) (1 - b) has the slopes b - 2a and 1 + a - 2b.
    np.testing.assert_allclose(one.designs, starts + 0.1 * jnp.array([[-0.1], [0.6]]))
    assert one.trace.shape == (1,) and none.trace.shape == (0,)


def test_designs_stay_in_the_box_and_no_box_bounds_nothing():
    starts = jnp.array([[0.4, 0.5], [0.6, 0.5]])
    slope = lambda x: jnp.stack([x[0], x[1]])
    held = ascend(slope, starts, [0.0, 0.0], UNIT, num_steps=60)
    np.testing.assert_allclose(held.designs.max(0), 1)
    free = ascend(slope, starts, [0.0, 0.0], None, num_steps=60)
    assert free.designs.max() > 1


def test_the_potential_of_a_front_is_its_hypervolume():
    points = jnp.array([[5.0, 5], [4, 6], [2, 7], [7, 4]])
    assert layered_hypervolume(points, jnp.zeros(2)) == 39


def test_each_front_climbs_its_own_hypervolume():
    points = jnp.array([[2.0, 5.0], [5.0, 2.0], [1.0, 3.0], [3.0, 1.0], [0.5, 0.5]])
    slope = jax.grad(layered_hypervolume)(points, jnp.zeros(2))
    # Sides of the rectangles that each point adds within its front.
    expected = [[3, 2], [2, 3], [2, 1], [1, 2], [0.5, 0.5]]
    np.testing.assert_allclose(slope, expected)


def test_points_below_the_reference_are_pulled_up_to_it_and_add_nothing():
    points = jnp.array([[-1.0, 4.0], [2.0, 2.0]])
    value, slope = jax.value_and_grad(layered_hypervolume)(points, jnp.zeros(2))
    assert value == 4 - 1
    np.testing.assert_allclose(slope, [[1, 0], [2, 2]])


def test_dominated_starts_reach_the_front_too():
    # The first design dominates all others, so they have no hypervolume of their own.
    starts = jnp.array([[0.5, 0.0], [0.5, 0.9], [0.45, 0.8], [0.55, 0.7]])
    found = ascend(linear_front, starts, [-1.1, -1.1], UNIT)
    np.testing.assert_allclose(exact(found, [-1.1, -1.1]), 0.72 * 4 / 5, rtol=1e-4)


@pytest.mark.slow
def test_many_runs_vmap_to_the_same_as_each_alone(key):
    starts = jnp.stack([starts_in(UNIT, k, num=3) for k in jax.random.split(key)])
    run = partial(ascend, linear_front, reference=[-1.1, -1.1], box=UNIT, num_steps=20)
    together = jax.vmap(run)(starts)
    alone = [run(each) for each in starts]
    for i, each in enumerate(alone):
        np.testing.assert_allclose(together.designs[i], each.designs, rtol=1e-5)


def test_float64_stays_float64():
    with jax.enable_x64(True):
        starts = jnp.array([[0.2, 0.1], [0.6, 0.2]], jnp.float64)
        found = ascend(linear_front, starts, [-1.1, -1.1], UNIT, num_steps=400)
        assert {leaf.dtype for leaf in found} == {jnp.dtype("float64")}
        # Two points of the linear front: at x = 1.2/3 - 0.1 and twice that step.
        np.testing.assert_allclose(jnp.sort(found.designs[:, 0]), [0.3, 0.7], atol=1e-6)


def test_shapes_that_do_not_match_are_refused():
    starts = jnp.zeros((3, 2))
    with pytest.raises(InputError, match=r"reference: found shape \(3,\)"):
        ascend(linear_front, starts, np.zeros(3), UNIT)
    with pytest.raises(InputError, match=r"box\.lower: found shape \(3,\)"):
        ascend(linear_front, starts, np.zeros(2), Box(np.zeros(3), np.ones(3)))
    with pytest.raises(InputError, match="expected a vector"):
        ascend(jnp.sum, starts, np.zeros(2), UNIT)
