"""Schedules: values at their knots, and a walk along them that compiles once."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import morl
from morl import schedules

helpful, harmless = morl.objectives("helpful", "harmless")
SCHEDULES = {
    "linear": schedules.linear(0.2, 1.0, steps=10, begin=5),
    "cosine": schedules.cosine(1.0, 0.1, steps=10, begin=5),
    "geometric": schedules.geometric(1.0, 0.01, steps=10, begin=5),
    "piecewise": schedules.piecewise((3, 8), (0.0, 0.5, 1.0)),
    "mixed": (
        schedules.linear(0, 1, steps=10) * helpful * 2 + helpful
    ).root.coefficients[0],
}
every_schedule = pytest.mark.parametrize(
    "schedule", SCHEDULES.values(), ids=SCHEDULES.keys()
)


def expected(name, step):
    share = min(max((step - 5) / 10, 0), 1)
    return {
        "linear": 0.2 + 0.8 * share,
        "cosine": 0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2,
        "geometric": 0.01**share,
        "piecewise": 0.0 if step < 3 else 0.5 if step < 8 else 1.0,
        "mixed": 2 * min(step / 10, 1) + 1,
    }[name]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("step", [0, 3, 5, 7, 8, 10, 15, 40])
def test_values_are_those_of_the_formula(name, step):
    actual = SCHEDULES[name].at(step)
    np.testing.assert_allclose(actual, expected(name, step), rtol=1e-6, atol=1e-7)


@every_schedule
def test_step_and_settings_are_traced(schedule):
    traces = []

    @jax.jit
    def at(schedule, step):
        traces.append(1)
        return schedule.at(step)

    for step in range(5):
        value = at(schedule, jnp.asarray(step))
        np.testing.assert_allclose(value, schedule.at(step), rtol=1e-6)
    at(jax.tree.map(lambda x: x * 1.5, schedule), jnp.asarray(1))
    assert len(traces) == 1


def test_a_composition_walks_along_its_schedules_without_recompiling():
    composition = (
        schedules.linear(0.0, 1.0, steps=4) * helpful
        + harmless
        - schedules.cosine(1.0, 0.0, steps=4) * 2
    ).subject_to(helpful >= 5.0, multiplier=schedules.linear(0.0, 2.0, steps=4))
    traces = []

    @jax.jit
    def utility(composition, step):
        traces.append(1)
        here = jnp.ones(2, bool)
        return composition.at(step).utility(jnp.array([3.0, 1.0]), here)[0]

    for step in range(5):
        share = step / 4
        cosine = (1 + math.cos(math.pi * share)) / 2
        value = share * 3 + 1 - 2 * cosine - 2 * share * (5 - 3)
        np.testing.assert_allclose(
            utility(composition, jnp.asarray(step)), value, rtol=1e-5, atol=1e-6
        )
    assert len(traces) == 1


def test_weights_at_a_step_are_the_coefficients_of_the_objectives():
    composition = schedules.linear(0.0, 1.0, steps=4) * helpful + 0.3 * harmless
    np.testing.assert_allclose(composition.weights_at(2), [0.5, 0.3])
    raw, here = jnp.array([3.0, 1.0]), jnp.ones(2, bool)
    walked, _ = composition.at(2).utility(raw, here)
    given, _ = composition.utility(raw, here, composition.weights_at(2))
    np.testing.assert_allclose(walked, given, rtol=1e-6)


def test_scheduled_weights_of_a_scalarizer():
    share = schedules.linear(0.0, 1.0, steps=2)
    fair = morl.chebyshev({helpful: share, harmless: 0.5}, ideal=1.0)
    utility, _ = fair.at(2).utility(jnp.array([0.0, 0.5]), jnp.ones(2, bool))
    assert utility == -1.0


def test_boundaries_that_do_not_rise_are_refused():
    with pytest.raises(morl.InputError, match="do not rise"):
        schedules.piecewise((3, 3), (0.0, 1.0, 2.0))


def test_a_wrong_number_of_values_names_both_counts():
    with pytest.raises(morl.InputError, match="2 boundaries need 3 values, found 2"):
        schedules.piecewise((3, 4), (0.0, 1.0))


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, -1.0)])
def test_a_geometric_schedule_stays_above_zero(ends):
    with pytest.raises(morl.InputError, match="above 0"):
        schedules.geometric(*ends, steps=3)


@pytest.mark.parametrize(
    "make", [schedules.linear, schedules.cosine, schedules.geometric]
)
@pytest.mark.parametrize("steps", [0, -1, float("nan")])
def test_a_schedule_needs_steps(make, steps):
    with pytest.raises(morl.InputError, match="steps"):
        make(0.5, 1.0, steps=steps)


def test_a_schedule_of_a_threshold_or_a_schedule_is_refused():
    share = schedules.linear(0.0, 1.0, steps=2)
    with pytest.raises(morl.InputError, match="threshold"):
        _ = helpful >= share
    with pytest.raises(morl.InputError, match="times a schedule"):
        _ = share * (share * helpful)
