"""The noise control: it seldom shows a gain, and a leak of the judge shows."""

from typing import NamedTuple

import numpy as np
import pytest

from morl.fronts import Candidates, weightings
from morl.fronts.control import control_points, control_sweeps
from morl.fronts.measure import Measure
from morl.fronts.trace import noise_rewards
from morl.numerics import interval, resample_counts
from morl.pareto import FrontPoint, control_gains
from morl.rewards import objectives

NUM_RUNS, NUM_PROMPTS, NUM_SAMPLES = 300, 64, 4
helpful, harmless = objectives("helpful", "harmless")
reward = helpful + harmless


class Control(NamedTuple):
    """A control of a simulated run, with the lower and upper bounds of all its values.

    ``band`` are those of its points, ``pointwise`` those of each value for itself.
    """

    points: list[FrontPoint]
    base: FrontPoint
    band: np.ndarray
    pointwise: np.ndarray


def simulated(seed, leak=0.0):
    """A run whose judge is centred on every prompt, as calibrated heads are.

    Whatever selects without knowing the judge gains nothing, so that every true mean of
    the control is zero. Prompts differ in spread. ``leak`` of the judge is added to
    what the control's heads say.
    """
    rng = np.random.default_rng(seed)
    spread = np.exp(0.3 * rng.normal(size=(NUM_PROMPTS, 1, 1)))
    judged = spread * rng.normal(size=(NUM_PROMPTS, NUM_SAMPLES, 2))
    judged -= judged.mean(axis=1, keepdims=True)
    candidates = Candidates(
        reward.names,
        rng.normal(size=judged.shape),
        np.ones(judged.shape, bool),
        reward.objectives,
        judged,
        rng.integers(5, 50, judged.shape[:2]),
    )
    counts = resample_counts(NUM_PROMPTS, num_resamples=200, seed=seed)
    measure = Measure(candidates, weightings(2, 4), counts, (0.5,))
    # Another seed than the judge's: the same normal draws would be a leak.
    draws = noise_rewards(candidates, 4, seed=NUM_RUNS + seed) + leak * judged
    found = control_points(measure, control_sweeps(reward, measure, draws)).values()
    points = [point for each in found for point in each.points]
    return Control(
        points,
        measure.base(),
        np.moveaxis(np.array([point.interval for point in points]), -1, 0),
        np.stack([interval(each.resampled) for each in found], axis=1),
    )


@pytest.fixture(scope="module")
def runs():
    return [simulated(seed) for seed in range(NUM_RUNS)]


def test_one_run_in_twenty_has_a_value_outside_of_the_band(runs):
    outside = lambda bounds: bool((bounds[0] > 0).any() or (bounds[1] < 0).any())
    share = np.mean([outside(run.band) for run in runs])
    assert share == pytest.approx(0.05, abs=0.035)
    # The same values under intervals that each hold for itself alone.
    assert np.mean([outside(run.pointwise) for run in runs]) > 4 * share


def test_at_most_one_run_in_twenty_shows_a_gain_where_there_is_none(runs):
    share = np.mean([bool(control_gains(run.points, run.base)) for run in runs])
    assert 0 < share <= 0.05


def test_a_control_that_has_seen_part_of_the_judge_is_flagged():
    for seed in range(10):
        gains = control_gains(*simulated(seed, leak=0.4)[:2])
        assert {gain.objective for gain in gains} == {0, 1}
