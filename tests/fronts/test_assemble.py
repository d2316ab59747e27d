from dataclasses import replace

import numpy as np
import pytest

from morl.errors import InputError
from morl.fronts import Candidates, SweepSettings, assemble_front, weightings
from morl.fronts.provenance import absent
from morl.fronts.trace import noise_rewards, sweep, trace_sweep
from morl.pareto import control_gains, host, read_front, write_front
from morl.rewards import objectives

SETTINGS = SweepSettings(divisions=4, betas=(0.5,), noise_draws=32, resamples=100)


@pytest.fixture(scope="module")
def reward():
    helpful, harmless, honest = objectives("helpful", "harmless", "honest")
    return helpful + harmless + honest


@pytest.fixture(scope="module")
def candidates(reward):
    rng = np.random.default_rng(0)
    gold = rng.normal(size=(64, 6, 3))
    gold -= gold.mean(axis=1, keepdims=True)
    return Candidates(
        reward.names,
        gold + 0.3 * rng.normal(size=gold.shape),
        np.ones(gold.shape, bool),
        reward.objectives,
        gold,
        rng.integers(5, 50, (64, 6)),
        prompts=tuple(f"prompt {i}" for i in range(64)),
        responses=tuple(tuple(f"{i} {j}" for j in range(6)) for i in range(64)),
    )


@pytest.fixture(scope="module")
def front(reward, candidates):
    return assemble_front(reward, candidates, SETTINGS, gold=True)


def test_points_equal_a_selection_by_hand(front, candidates):
    points = [p for p in front.points if p.method == "best-of-n" and p.role == "sweep"]
    for point in points:
        utility = candidates.rewards @ np.array(point.weights)
        best = utility.argmax(axis=1)
        expected = candidates.judged[np.arange(64), best].mean(axis=0)
        np.testing.assert_allclose(point.rewards, expected, atol=1e-5)
        np.testing.assert_allclose(point.kl, np.log(6), rtol=1e-5)


def test_the_exact_front_is_the_same_selection_by_gold(front, candidates):
    for point in front.exact.points:
        best = (candidates.judged @ np.array(point.weights)).argmax(axis=1)
        expected = candidates.judged[np.arange(64), best].mean(axis=0)
        np.testing.assert_allclose(point.rewards, expected, atol=1e-5)


def test_a_selector_that_knows_gold_closes_the_whole_gap(reward, candidates):
    knowing = replace(candidates, rewards=candidates.judged)
    found = assemble_front(reward, knowing, SETTINGS, gold=True)
    assert found.exact.share_closed["best-of-n"] == pytest.approx(1, abs=1e-5)


def test_the_noise_control_gains_nothing(front):
    controls = [p for p in front.points if p.role == "control"]
    assert controls
    assert all(p.method.startswith("noise") for p in controls)
    assert control_gains(controls, front.base) == []


def test_the_volume_of_the_control_is_the_mean_of_those_of_its_draws(
    reward, candidates, front
):
    volumes = []
    for rewards in noise_rewards(candidates, SETTINGS.noise_draws, seed=SETTINGS.seed):
        noise = replace(candidates, rewards=rewards)
        swept = trace_sweep(reward, noise, weightings(3, 4), SETTINGS.betas)
        points = swept.judged[0].mean(axis=1)
        volumes.append(host.hypervolume(points, np.array(front.reference)))
    found = front.hypervolume["noise best-of-n"]
    assert found.value == pytest.approx(np.mean(volumes), rel=1e-9)
    assert found.interval[0] < found.value < found.interval[1]
    averaged = [p.rewards for p in front.points if p.method == "noise best-of-n"]
    assert found.value > host.hypervolume(np.array(averaged), np.array(front.reference))


def test_the_base_policy_is_the_mean_of_the_candidates(front, candidates):
    expected = candidates.judged.mean((0, 1))
    np.testing.assert_allclose(front.base.rewards, expected, atol=1e-9)
    assert front.base.kl == 0


def test_an_expert_is_its_point_of_the_sweep_by_another_name(reward, candidates):
    # The first objective is judged by the second: its expert is dominated.
    judged = candidates.judged[..., [1, 1, 2]] * (0.5, 1, 1)
    selector = candidates.judged[..., [0, 1, 2]]
    found = assemble_front(
        reward, replace(candidates, rewards=selector, judged=judged), SETTINGS
    )
    swept = [p for p in found.points if p.method == "best-of-n" and p.role == "sweep"]
    assert [expert.dominated for expert in found.experts] == [True, False, False]
    for expert in found.experts:
        (twin,) = (point for point in swept if point.weights == expert.weights)
        same = replace(expert, role=twin.role, label=twin.label, ties=twin.ties)
        assert same == twin


def test_vertices_and_centroid_are_always_there():
    grid = weightings(3, 4)
    assert len(grid) == 16
    assert (np.isclose(grid, 1 / 3).all(axis=1)).any()
    np.testing.assert_allclose(grid.sum(axis=1), 1)
    assert len(weightings(3, 3)) == 10


def test_a_front_survives_its_file(front, tmp_path):
    write_front(tmp_path / "front.json", front)
    assert read_front(tmp_path / "front.json") == front


def test_another_weighting_compiles_nothing(reward, candidates):
    trace_sweep(reward, candidates, weightings(3, 10)[:66], (0.1,))
    compiled = sweep._cache_size()
    for seed in range(3):
        other = np.random.default_rng(seed).dirichlet(np.ones(3), 66)
        trace_sweep(reward, candidates, other, (0.1 + seed,))
    assert sweep._cache_size() == compiled


def test_absent_rewards_are_left_out_of_the_selector_s_view(reward, candidates):
    present = candidates.present.copy()
    present[0, 0, 0] = present[3, :, 1] = False
    rewards = np.where(present, candidates.rewards, np.nan)
    found = assemble_front(
        reward, replace(candidates, rewards=rewards, present=present), SETTINGS
    )
    assert all(np.isfinite(p.rewards).all() for p in found.points)
    expected = np.nanmean(rewards, axis=(0, 1))
    np.testing.assert_allclose(found.base.selector_rewards, expected, rtol=1e-9)
    # Prompt 3 has no value for the second objective.
    known = np.ones(64, bool)
    known[3] = False
    best = rewards[known, :, 1].max(axis=1).mean()
    assert found.experts[1].selector_rewards[1] == pytest.approx(best, rel=1e-5)


def test_a_selector_without_any_value_of_an_objective_has_no_view(reward, candidates):
    present = candidates.present.copy()
    present[..., 2] = False
    rewards = np.where(present, candidates.rewards, np.nan)
    found = assemble_front(
        reward, replace(candidates, rewards=rewards, present=present), SETTINGS
    )
    assert {point.selector_rewards for point in found.points} == {None}
    assert all(np.isfinite(point.rewards).all() for point in found.points)


def test_shapes_that_do_not_fit_are_named(candidates):
    with pytest.raises(InputError, match="responses: has 1 entries"):
        replace(candidates, responses=candidates.responses[:1])
    with pytest.raises(InputError, match="rewards: has shape"):
        replace(candidates, names=("helpful",))
    with pytest.raises(InputError, match="judged: found NaN"):
        replace(candidates, judged=np.full_like(candidates.judged, np.nan))


def test_absent_rewards_are_counted(candidates):
    present = candidates.present.copy()
    assert absent(candidates) == {}
    present[0, :2, 1] = False
    gone = replace(candidates, present=present)
    assert absent(gone) == {candidates.names[1]: 2}


def test_the_provenance_names_sizes_and_versions(front):
    origin = front.provenance
    assert origin.sizes == {
        "prompts": 64,
        "candidates": 6,
        "weightings": len(weightings(3, 4)),
        "noise draws": 32,
        "resamples": 100,
    }
    assert origin.versions["numpy"] == np.__version__
    assert origin.created_by == f"morl {origin.versions['morl']}"
