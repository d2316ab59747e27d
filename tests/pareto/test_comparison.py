import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.numerics import resample_counts, resampled_means
from morl.pareto.comparison import (
    difference_interval,
    indicator_intervals,
    one_by_one,
    probability_higher,
)
from morl.pareto.distances import igd_plus
from morl.pareto.host import hypervolume

FRONT = np.array([[1.0, 0.1], [0.7, 0.7], [0.1, 1.0]])
AREA = 1.0 * 0.1 + 0.7 * 0.6 + 0.1 * 0.3


def area(fronts):
    """Hypervolume of two objectives over (0, 0), for many fronts at once."""
    gain = np.maximum(fronts, 0)
    order = np.argsort(-gain[..., 0], axis=-1)
    width, height = np.moveaxis(np.take_along_axis(gain, order[..., None], -2), -1, 0)
    best = np.maximum.accumulate(height, axis=-1)
    return (width * np.diff(best, axis=-1, prepend=0)).sum(-1)


volume = one_by_one(lambda front: hypervolume(front, np.zeros(2)))


def first_mean(fronts):
    return fronts[:, 0, 0]


def noisy(rng, *, front=FRONT, seeds=1, prompts=40, run=0.0, prompt=0.05, noise=0.05):
    """Rewards of a front with an effect of run and of prompt, and noise."""
    n, k = front.shape
    effect = run * rng.normal(size=(seeds, n, 1, k))
    shared = prompt * rng.normal(size=(1, 1, prompts, k))
    rest = noise * rng.normal(size=(seeds, n, prompts, k))
    return front[None, :, None] + effect + shared + rest


def test_the_estimate_is_the_indicator_at_the_means_averaged_over_runs():
    rewards = noisy(np.random.default_rng(0), seeds=3, run=0.1)
    found = indicator_intervals(rewards, {"volume": volume, "area": area})
    means = rewards.mean(axis=2)
    expected = np.mean([hypervolume(front, np.zeros(2)) for front in means])
    for name in ("volume", "area"):
        assert found[name].value == pytest.approx(expected)
        assert found[name].low < expected < found[name].high
    assert found["volume"] == pytest.approx(found["area"])


def test_a_mean_of_one_run_has_the_interval_of_the_plain_bootstrap():
    values = np.random.default_rng(0).normal(size=50)
    rewards = values.reshape(1, 1, 50, 1)
    found = indicator_intervals(rewards, {"mean": first_mean}, num_resamples=4000)
    error = values.std() / np.sqrt(50)
    middle = values.mean()
    assert found["mean"].low == pytest.approx(middle - 1.96 * error, abs=0.15 * error)
    assert found["mean"].high == pytest.approx(middle + 1.96 * error, abs=0.15 * error)


def test_a_mean_of_crossed_runs_has_the_variance_of_both_factors():
    # Owen's pigeonhole bootstrap: the variances of run means and of prompt means add.
    rng = np.random.default_rng(0)
    rewards = noisy(rng, front=np.zeros((1, 1)), seeds=20, prompts=50, run=0.3)
    table = rewards[:, 0, :, 0]
    expected = table.mean(1).var() / 20 + table.mean(0).var() / 50
    found = indicator_intervals(rewards, {"mean": first_mean}, num_resamples=4000)
    half = (found["mean"].high - found["mean"].low) / 2
    assert half == pytest.approx(1.96 * np.sqrt(expected), rel=0.1)


def test_a_jitted_indicator_gives_the_interval_of_its_host_twin():
    rewards = noisy(np.random.default_rng(0), seeds=2)
    jitted = jax.jit(jax.vmap(lambda front: igd_plus(front, jnp.asarray(FRONT, "f4"))))
    single = lambda fronts: jitted(jnp.asarray(fronts, jnp.float32))

    def plain(fronts):
        short = np.maximum(FRONT[None, :, None] - fronts[:, None], 0)
        return np.linalg.norm(short, axis=-1).min(-1).mean(-1)

    found = indicator_intervals(rewards, {"ours": single, "plain": plain})
    assert found["ours"] == pytest.approx(found["plain"], abs=1e-5)


def coverage(trials, truth, draw, indicator):
    hits = 0
    for trial in range(trials):
        rewards = draw(np.random.default_rng(trial))
        found = indicator_intervals(
            rewards, {"it": indicator}, num_resamples=400, seed=trial
        )["it"]
        hits += found.low <= truth <= found.high
    return hits / trials


def test_intervals_of_a_hypervolume_hold_it_about_as_often_as_they_say():
    found = coverage(300, AREA, noisy, area)
    assert found == pytest.approx(0.95, abs=0.04)


def test_intervals_over_runs_hold_the_mean_run_where_prompts_alone_do_not():
    truth = 0.5
    front = np.array([[truth]])
    draw = lambda rng: noisy(rng, front=front, seeds=12, run=0.1)
    crossed = coverage(300, truth, draw, first_mean)
    # Twelve runs: a percentile interval is a little short, 0.92 by theory.
    assert 0.87 <= crossed <= 0.97
    averaged = lambda rng: draw(rng).mean(axis=0, keepdims=True)
    assert coverage(300, truth, averaged, first_mean) < 0.6


def test_a_front_is_as_likely_as_not_to_be_higher_than_itself():
    rewards = noisy(np.random.default_rng(0))
    assert probability_higher(rewards, rewards, area) == 0.5
    found = difference_interval(rewards, rewards, area)
    assert found == (0.0, 0.0, 0.0)


def test_the_probabilities_of_the_two_orders_sum_to_one():
    rng = np.random.default_rng(0)
    first, second = noisy(rng), noisy(rng)
    there = probability_higher(first, second, area)
    assert 0 < there < 1
    assert there + probability_higher(second, first, area) == pytest.approx(1)


def test_pairing_sees_a_small_gain_through_the_prompts_that_both_share():
    rng = np.random.default_rng(0)
    rewards = noisy(rng, prompts=60, prompt=0.5, noise=0.0)
    better = rewards + 0.02
    assert probability_higher(better, rewards, area) == 1.0
    paired = difference_interval(better, rewards, area)
    assert 0 < paired.low < paired.value < paired.high
    alone = indicator_intervals(rewards, {"area": area})["area"]
    assert paired.high - paired.low < 0.2 * (alone.high - alone.low)


def test_the_probability_is_the_share_of_resamples_by_hand():
    rng = np.random.default_rng(0)
    first, second = noisy(rng), noisy(rng, front=FRONT + 0.005)
    prompts = np.random.SeedSequence(7).generate_state(1)[0]
    counts = resample_counts(40, seed=int(prompts))
    ours, theirs = (
        area(resampled_means(np.moveaxis(r[0], 1, 0), counts)) for r in (first, second)
    )
    expected = (ours > theirs).mean()
    found = probability_higher(first, second, area, seed=7)
    assert found == pytest.approx(expected)


def test_the_probability_is_calibrated_between_equal_fronts():
    # Between equals it is about uniform: neither side is favoured.
    rng = np.random.default_rng(0)
    found = [
        probability_higher(noisy(rng), noisy(rng), area, num_resamples=200)
        for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.07)
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.05)


def test_runs_of_two_methods_may_differ_in_number_and_are_not_paired():
    rng = np.random.default_rng(0)
    first = noisy(rng, seeds=4, run=0.2, prompt=0.0, noise=0.0)
    found = difference_interval(first, first, area)
    assert found.value == 0
    assert found.low < 0 < found.high
    more = noisy(rng, seeds=6, front=FRONT[:2] - 0.5)
    assert probability_higher(first, more, area) > 0.99


def test_a_prompt_without_a_value_is_left_out():
    rewards = noisy(np.random.default_rng(0), prompts=40)
    gaps = np.concatenate([rewards, np.full_like(rewards, np.nan)], axis=2)
    found = indicator_intervals(gaps, {"area": area})["area"]
    assert found.value == pytest.approx(area(rewards.mean(axis=2))[0])
    assert found.low < found.value < found.high


def test_equal_seeds_give_equal_intervals_and_others_other():
    rewards = noisy(np.random.default_rng(0))
    first, again, other = (
        indicator_intervals(rewards, {"area": area}, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_one_prompt_of_one_run_has_no_interval_and_no_probability():
    rewards = FRONT[None, :, None]
    found = indicator_intervals(rewards, {"area": area})["area"]
    assert found.value == pytest.approx(AREA)
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(difference_interval(rewards, rewards, area).low)
    assert np.isnan(probability_higher(rewards, rewards, area))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: indicator_intervals(np.zeros((1, 0, 3, 2)), {}),
            r"indicator_intervals: found rewards of shape \(1, 0, 3, 2\)",
        ),
        (
            lambda: indicator_intervals(np.full((1, 2, 3, 1), np.nan), {"a": area}),
            r"drew no prompt with a value for \(seed, point, objective\) \(0, 0, 0\)",
        ),
        (
            lambda: difference_interval(
                np.zeros((1, 2, 3, 2)), np.zeros((1, 2, 4, 2)), area
            ),
            r"difference_interval: found \(3, 2\) and \(4, 2\) prompts and objectives",
        ),
        (
            lambda: probability_higher(
                np.zeros((1, 2, 3, 2)), np.zeros((1, 2, 3, 3)), area
            ),
            r"probability_higher: found \(3, 2\) and \(3, 3\)",
        ),
    ],
)
def test_rewards_that_cannot_be_resampled_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
