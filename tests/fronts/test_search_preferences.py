"""EPO search reaches its rays, Pareto multi-task learning its regions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from morl.errors import InputError
from morl.fronts.search.box import Box, free_rows, inside
from morl.fronts.search.exact_search import exact_search
from morl.fronts.search.pareto_multitask import pareto_multitask
from morl.weighting.epo import epo
from morl.worlds.vlmop import vlmop1, vlmop2
from morl.worlds.zdt import zdt2

NUM_STEPS = 600
IDEAL = jnp.zeros(2)
ANGLES = np.linspace(0.15, np.pi / 2 - 0.15, 7)
DIRECTIONS = jnp.asarray(np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1))
STEPS = optax.chain(
    optax.normalize_by_update_norm(),
    optax.sgd(optax.cosine_decay_schedule(0.03, NUM_STEPS)),
)
# The weighting's own tolerance leaves angles of 0.01.
TIGHT = partial(epo, tolerance=1e-6)
CONCAVE = {"vlmop2": vlmop2(), "vlmop2 of 20": vlmop2(20), "zdt2": zdt2(5)}
every_problem = pytest.mark.parametrize(
    "problem",
    [
        pytest.param(
            problem, id=name, marks=() if name == "vlmop2" else pytest.mark.slow
        )
        for name, problem in CONCAVE.items()
    ],
)


def box_of(problem):
    return Box(problem.lower, problem.upper)


def starts_for(problem, key, num=7):
    low, high = (0.3 * jnp.asarray(end)[None] for end in box_of(problem))
    shape = num, problem.lower.size
    return jax.random.uniform(key, shape, minval=low, maxval=high)


def exact(problem, key, prefs, weighting=TIGHT):
    return exact_search(
        problem.rewards,
        starts_for(problem, key, len(prefs)),
        prefs,
        ideal=IDEAL,
        optimizer=STEPS,
        num_steps=NUM_STEPS,
        box=box_of(problem),
        weighting=weighting,
    )


def regions(problem, starts, num_initial=NUM_STEPS, optimizer=STEPS):
    return pareto_multitask(
        problem.rewards,
        starts,
        DIRECTIONS,
        ideal=IDEAL,
        optimizer=optimizer,
        num_steps=NUM_STEPS,
        num_initial=num_initial,
        box=box_of(problem),
    )


def angles_of(found):
    losses = -np.asarray(found.rewards, float)
    return np.arctan2(losses[:, 1], losses[:, 0])


def distance_to_front(problem, found):
    front = problem.front(20_001)
    gaps = np.linalg.norm(np.asarray(found.rewards)[:, None] - front[None], axis=2)
    return gaps.min(1)


@every_problem
def test_exact_search_reaches_the_point_of_the_front_on_each_ray(problem, key):
    found = exact(problem, key, 1 / DIRECTIONS)
    np.testing.assert_allclose(angles_of(found), ANGLES, atol=3e-3)
    assert distance_to_front(problem, found).max() < 1e-3
    assert found.trace.shape == (NUM_STEPS, len(ANGLES))
    assert found.trace[-1].max() < 1e-4 < found.trace[0].max()


def test_exact_search_meets_the_closed_form_of_vlmop1(key):
    # p1 x^2 = p2 (x - 2)^2 on the front: x = 2 sqrt(p2) / (sqrt(p1) + sqrt(p2)).
    prefs = jnp.array([[1.0, 1.0], [4.0, 1.0], [1.0, 9.0]])
    found = exact(vlmop1(), key, prefs)
    np.testing.assert_allclose(found.designs[:, 0], [1, 2 / 3, 1.5], atol=2e-3)


@pytest.mark.slow
def test_exact_search_by_default_is_as_exact_as_its_weighting(key):
    found = exact(CONCAVE["vlmop2"], key, 1 / DIRECTIONS, weighting=epo)
    np.testing.assert_allclose(angles_of(found), ANGLES, atol=0.02)


@every_problem
def test_multitask_designs_end_on_the_front_each_in_its_region(problem, key):
    found = regions(problem, starts_for(problem, key))
    # The first and the last region reach to the axes.
    angles = np.clip(angles_of(found), ANGLES[0], ANGLES[-1])
    assert np.abs(angles - ANGLES).max() < np.diff(ANGLES)[0] / 2 + 1e-3
    assert found.trace[-1].max() < 2e-3
    assert distance_to_front(problem, found).max() < 1e-3


def test_multitask_first_mends_the_constraints_alone():
    # All start near the optimum of the first loss, which the last direction owns.
    problem = vlmop2()
    starts = jnp.full((len(ANGLES), 2), 0.6)
    found = regions(problem, starts)
    broken = found.trace[0] > 0
    assert broken.tolist() == [True] * 6 + [False]
    # They give up that optimum, and lose nothing by it but what the border asks for.
    assert found.trace[-1].max() < 2e-3
    assert (found.rewards[:-1, 0] < problem.rewards(starts[0])[0]).all()


@pytest.mark.slow
def test_a_design_on_the_front_outside_its_region_needs_the_constraints_first():
    problem = vlmop2()
    starts = jnp.asarray(problem.designs(3)[1:2], jnp.float32).repeat(len(ANGLES), 0)
    # Steps as long as the combination, which is zero but for rounding.
    stuck = regions(problem, starts, num_initial=0, optimizer=optax.sgd(0.01))
    off = 1 - np.cos(np.pi / 4 - ANGLES[0])
    np.testing.assert_allclose(stuck.trace[-1, 0], off, rtol=0.02)
    assert regions(problem, starts).trace[-1].max() < 2e-3


@pytest.mark.slow
def test_a_loss_held_at_its_bound_does_not_stop_the_others():
    # On x1 = 0 the first loss of ZDT2 is least and cannot move; the second must fall.
    problem = zdt2(5)
    starts = jnp.full((len(ANGLES), 5), 0.25).at[:, 0].set(0)
    found = regions(problem, starts, num_initial=0)
    np.testing.assert_allclose(found.rewards[-1], [0, -1], atol=1e-2)


def test_variables_held_by_a_bound_leave_the_gradients():
    rows = jnp.array([[1.0, 1.0, -1.0], [2.0, -1.0, -3.0]])
    unit = Box(jnp.zeros(3), jnp.ones(3))
    corner = jnp.array([0.0, 0.0, 1.0])
    np.testing.assert_array_equal(
        free_rows(rows, corner, unit), [[0, 1, 0], [0, -1, 0]]
    )
    np.testing.assert_array_equal(free_rows(rows, jnp.full(3, 0.5), unit), rows)
    np.testing.assert_array_equal(free_rows(rows, corner, None), rows)


def test_the_nearest_design_of_a_box_with_open_sides():
    box = Box(np.array([0.0, -np.inf]), np.array([np.inf, 1.0]))
    designs = jnp.array([[-1.0, -9.0], [5.0, 2.0]])
    np.testing.assert_array_equal(inside(designs, box), [[0, -9], [5, 1]])


def test_float64_stays_float64():
    with jax.enable_x64(True):
        prefs = jnp.array([[1.0, 1.0]], jnp.float64)
        found = exact_search(
            vlmop1().rewards,
            jnp.array([[0.3]], jnp.float64),
            prefs,
            ideal=jnp.zeros(2),
            optimizer=optax.sgd(0.1),
            num_steps=5,
        )
        assert {leaf.dtype for leaf in found} == {jnp.dtype("float64")}


def test_shapes_and_preferences_without_a_ray_are_refused():
    problem = vlmop2()
    run = lambda fn, others, ideal: fn(
        problem.rewards,
        jnp.zeros((4, 2)),
        others,
        ideal=ideal,
        optimizer=STEPS,
        num_steps=1,
    )
    multitask = partial(pareto_multitask, num_initial=0)
    with pytest.raises(InputError, match=r"prefs: found shape \(3, 2\)"):
        run(exact_search, jnp.ones((3, 2)), IDEAL)
    for bad in (0.0, -1.0, jnp.nan, jnp.inf):
        with pytest.raises(InputError, match="expected finite numbers above 0"):
            run(exact_search, jnp.ones((4, 2)).at[2, 1].set(bad), IDEAL)
    with pytest.raises(InputError, match=r"ideal: found shape \(3,\)"):
        run(exact_search, jnp.ones((4, 2)), jnp.zeros(3))
    with pytest.raises(InputError, match=r"directions: found shape \(4, 3\)"):
        run(multitask, jnp.ones((4, 3)), IDEAL)
