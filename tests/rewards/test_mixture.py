"""Mixtures of rewards, and rewards without what length explains."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from morl.errors import InputError
from morl.rewards import (
    Mixture,
    debiased,
    fit_debias,
    gated_mixture,
    load_debias,
    mixed_reward,
    save_debias,
)

REWARDS = jnp.array([1.0, -2.0, 0.5])
LOGITS = jnp.array([3.0, 0.0, -4.0])


def reference_set(count=400):
    """Heads that favour length, that are averse to it, and that do not see it."""
    random = np.random.default_rng(0)
    lengths = random.integers(5, 300, count)
    standard = (lengths - lengths.mean()) / lengths.std()
    slopes = np.array([1.5, -0.7, 0.0])
    own = random.normal(size=(count, 3))
    own[:, 2] = own[:, 2] - standard * (own[:, 2] @ standard) / count
    return (own + standard[:, None] * slopes).astype(np.float32), lengths


def correlations(rewards, lengths):
    return np.array([spearmanr(column, lengths).statistic for column in rewards.T])


def test_a_mixture_is_the_formula_of_the_paper():
    exps = [math.exp(g / 2) for g in (3.0, 0.0, -4.0)]
    mean = sum(e * r for e, r in zip(exps, (1.0, -2.0, 0.5), strict=True)) / sum(exps)
    found = gated_mixture(REWARDS, LOGITS, temperature=2.0, scale=4.0)
    np.testing.assert_allclose(found, 4 * mean, rtol=1e-6)


def test_absent_objectives_have_no_part_in_a_mixture_whatever_they_hold():
    present = jnp.array([True, False, True])
    holed = lambda x: jnp.where(present, x, jnp.nan)
    mixed = lambda r, g: gated_mixture(r, g, present=present)
    expected = gated_mixture(REWARDS[::2], LOGITS[::2])
    np.testing.assert_allclose(mixed(holed(REWARDS), holed(LOGITS)), expected)
    slopes = jax.grad(mixed, (0, 1))(holed(REWARDS), holed(LOGITS))
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert all(slope[1] == 0 for slope in slopes)


def test_a_mixture_of_nothing_is_zero_with_no_gradient():
    nothing, nan = jnp.zeros(3, bool), jnp.full(3, jnp.nan)
    mixed = lambda r, g: gated_mixture(r, g, present=nothing)
    value, slopes = jax.value_and_grad(mixed, (0, 1))(nan, nan)
    assert value == 0
    assert all((slope == 0).all() for slope in slopes)


def test_a_mixture_lies_between_its_rewards_and_does_not_mind_their_order():
    order = np.array([2, 0, 1])
    found = gated_mixture(REWARDS, LOGITS)
    assert REWARDS.min() < found < REWARDS.max()
    np.testing.assert_allclose(
        gated_mixture(REWARDS[order], LOGITS[order]), found, rtol=1e-6
    )


def test_a_batch_of_mixtures_under_jit_is_a_loop_of_them():
    rewards = jnp.stack([REWARDS, 2 * REWARDS, -REWARDS])
    gates = jnp.stack([LOGITS, -LOGITS, 0 * LOGITS])
    found = jax.jit(gated_mixture)(rewards, gates)
    each = [gated_mixture(*pair) for pair in zip(rewards, gates, strict=True)]
    np.testing.assert_allclose(found, each, rtol=1e-6)


def test_no_debiased_reward_goes_with_length_and_no_smaller_correction_does_it():
    rewards, lengths = reference_set()
    debias = fit_debias(rewards, lengths)
    left = jax.jit(debiased)(jnp.asarray(rewards), lengths, debias)
    assert (abs(correlations(np.asarray(left), lengths)) <= 0.03).all()
    less = debias._replace(coefficients=debias.coefficients * 0.995)
    close = correlations(np.asarray(debiased(rewards, lengths, less)), lengths)
    assert (abs(close[:2]) > 0.03).all()


def test_a_correction_has_the_sign_of_the_bias_and_is_none_where_there_is_none():
    first, second, third = fit_debias(*reference_set()).coefficients
    assert first > 1
    assert second < -0.4
    assert third == 0


def test_a_correction_does_not_mind_the_unit_of_length():
    rewards, lengths = reference_set()
    found = fit_debias(rewards, lengths)
    in_other = fit_debias(rewards, lengths * 4.5 + 3)
    np.testing.assert_allclose(found.coefficients, in_other.coefficients, rtol=1e-4)


def test_absent_rewards_are_left_out_of_the_fit():
    rewards, lengths = reference_set()
    present = np.random.default_rng(1).random(rewards.shape) < 0.7
    found = fit_debias(np.where(present, rewards, np.nan), lengths, present=present)
    left = np.asarray(debiased(jnp.asarray(rewards), lengths, found))
    for column, seen in zip(left.T, present.T, strict=True):
        assert abs(spearmanr(column[seen], lengths[seen]).statistic) <= 0.03


def test_a_reward_that_is_length_itself_cannot_be_debiased_and_says_so():
    lengths = np.arange(20)
    rewards = lengths[:, None] + np.where(lengths % 2, 1e-9, 0)[:, None]
    with pytest.raises(InputError, match=r"rewards\[:, 0\]: found no coefficient"):
        fit_debias(rewards, lengths)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lengths": np.ones(4)}, "found 1 different lengths, expected 2"),
        ({"bound": 0.0}, r"found 0.0, expected a number in \(0, 1\)"),
        ({"rewards": np.full((4, 2), np.nan)}, "found NaN"),
        ({"present": np.eye(4, 2, dtype=bool) * [True, False]}, r"columns \[1\]"),
    ],
)
def test_a_reference_set_that_says_nothing_is_refused(changes, words):
    given = {"rewards": np.ones((4, 2)), "lengths": np.arange(4)} | changes
    rewards, lengths = given.pop("rewards"), given.pop("lengths")
    with pytest.raises(InputError, match=words):
        fit_debias(rewards, lengths, **given)


def test_a_correction_is_read_back_to_the_last_bit(tmp_path):
    debias = fit_debias(*reference_set())
    digest = save_debias(tmp_path / "debias.safetensors", debias)
    found = load_debias(tmp_path / "debias.safetensors")
    jax.tree.map(np.testing.assert_array_equal, found, debias)
    assert save_debias(tmp_path / "again.safetensors", found) == digest


def test_a_mixed_reward_is_the_mixture_of_debiased_rewards():
    rewards, lengths = reference_set()
    debias, rewards = fit_debias(rewards, lengths), jnp.asarray(rewards)
    gates = jnp.broadcast_to(LOGITS[None], rewards.shape)
    mixture = Mixture(2.0, 3.0, debias)
    expected = gated_mixture(
        debiased(rewards, lengths, debias), gates, temperature=2.0, scale=3.0
    )
    np.testing.assert_array_equal(
        mixed_reward(rewards, gates, lengths, mixture), expected
    )
