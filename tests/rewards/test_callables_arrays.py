import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.rewards.batch import LogProbs, text_batch
from morl.rewards.functions import ArraySource, array_reward
from morl.rewards.implicit import (
    ImplicitSource,
    implicit_reward,
    implicit_rewards,
    implicit_token_rewards,
)
from morl.rewards.scoring import head_reward


def batch_of(n, **arrays):
    return dataclasses.replace(text_batch(["q"] * n, ["a"] * n), **arrays)


def share_of_sevens(tokens, mask):
    return jnp.sum((tokens == 7) & mask, axis=1) / jnp.sum(mask, axis=1)


# --------------------------------------------------------- functions of arrays
def test_a_function_of_tokens_sees_tokens_and_response_mask():
    batch = batch_of(
        2,
        tokens=np.array([[7, 7, 1, 7], [1, 2, 3, 7]]),
        mask=np.array([[False, True, True, True], [True, True, True, True]]),
    )
    scored = array_reward("sevens", share_of_sevens).source.score(batch)
    np.testing.assert_allclose(scored.values, [2 / 3, 1 / 4], rtol=1e-6)


def test_a_result_that_is_not_finite_is_absent():
    batch = batch_of(2, tokens=np.ones((2, 3), int), mask=np.eye(2, 3) == 2)
    batch = dataclasses.replace(batch, mask=np.array([[True] * 3, [False] * 3]))
    scored = array_reward("sevens", share_of_sevens).source.score(batch)
    assert scored.present.tolist() == [True, False]
    assert scored.explanations[1] == "absent: function of tokens gave nan"
    assert scored.failures == {"not finite": 1}


def test_a_function_of_embeddings_is_traced_once_a_shape():
    traces = []

    def norm(embeddings):
        traces.append(embeddings.shape)
        return jnp.linalg.norm(embeddings, axis=1)

    source = array_reward("norm", norm, of="embeddings").source
    for seed in range(5):
        rows = np.random.default_rng(seed).normal(size=(4, 8)).astype(np.float32)
        scored = source.score(batch_of(4, embeddings=rows))
        np.testing.assert_allclose(
            scored.values, np.linalg.norm(rows, axis=1), rtol=1e-5
        )
    assert traces == [(4, 8)]


def test_array_functions_map_and_differentiate(key):
    source = array_reward("s", lambda e: jnp.sin(e).sum(1), of="embeddings").source
    stacked = jax.random.normal(key, (3, 4, 5))
    mapped = jax.jit(jax.vmap(source.values))(stacked)
    looped = jnp.stack([source.values(each) for each in stacked])
    np.testing.assert_allclose(mapped, looped, rtol=1e-6)
    gradient = jax.grad(lambda e: source.values(e).sum())(stacked[0])
    np.testing.assert_allclose(gradient, np.cos(stacked[0]), rtol=1e-5)


def test_array_functions_of_the_wrong_shape_or_without_input_are_named():
    batch = batch_of(2, embeddings=np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match=r"bad: gives \(2, 3\), expected .* \(2,\)"):
        array_reward("bad", lambda e: e, of="embeddings").source.score(batch)
    with pytest.raises(InputError, match=r"t: is a function of tokens.*no tokens and"):
        array_reward("t", share_of_sevens).source.score(batch)
    with pytest.raises(InputError, match=r"t\.of: found 'pixels'.*tokens, embeddings"):
        ArraySource("t", share_of_sevens, of="pixels")


# ------------------------------------------------------------ implicit rewards
def test_the_implicit_reward_is_beta_times_the_log_ratio_of_the_response():
    policy = [[0.5, 0.25, 0.9], [0.1, 0.2, 0.3]]
    reference = [[0.25, 0.25, 0.1], [0.2, 0.1, 0.3]]
    mask = [[True, True, False], [False, True, True]]
    expected = [
        0.1 * math.log(0.5 * 0.25 / (0.25 * 0.25)),
        0.1 * math.log(0.2 * 0.3 / (0.1 * 0.3)),
    ]
    pair = LogProbs(jnp.log(jnp.array(policy)), jnp.log(jnp.array(reference)))
    batch = batch_of(2, mask=np.array(mask), log_probs={"tuned": pair})
    scored = implicit_reward("tuned", 0.1).source.score(batch)
    np.testing.assert_allclose(scored.values, expected, rtol=1e-5)
    assert scored.explanations[0] == "0.1 x +0.69 nats over 2 tokens"


def test_the_tilt_by_the_implicit_reward_gives_the_policy_back(key):
    # Six responses of two tokens: pi_ref exp(r / beta) is pi itself.
    first, second = jax.random.normal(key, (2, 2, 2))
    third = jax.random.normal(jax.random.fold_in(key, 1), (2, 2, 3))
    tokens = jnp.array([(a, b) for a in range(2) for b in range(3)])

    def log_probs(start, rest):
        one = jax.nn.log_softmax(start)[tokens[:, 0]]
        two = jax.nn.log_softmax(rest)[tokens[:, 0], tokens[:, 1]]
        return jnp.stack([one, two], axis=1)

    policy, reference = log_probs(first[0], third[0]), log_probs(second[0], third[1])
    rewards = implicit_rewards(policy, reference, jnp.ones((6, 2), bool), beta=0.3)
    tilted = jax.nn.softmax(reference.sum(1) + rewards / 0.3)
    np.testing.assert_allclose(tilted, jnp.exp(policy.sum(1)), rtol=1e-5)


def test_off_the_mask_anything_may_stand_and_token_rewards_add_up(key):
    policy, reference = jax.random.normal(key, (2, 3, 5))
    mask = jnp.arange(5)[None] < jnp.array([[5], [2], [0]])
    dirty = jnp.where(mask, policy, jnp.nan)
    tokens = implicit_token_rewards(dirty, reference, mask, beta=2.0)
    whole = implicit_rewards(policy, reference, mask, beta=2.0)
    np.testing.assert_allclose(tokens.sum(1), whole, rtol=1e-6)
    assert whole[2] == 0
    total = lambda p: implicit_rewards(p, reference, mask, beta=2.0).sum()
    np.testing.assert_array_equal(jax.grad(total)(dirty), jnp.where(mask, 2.0, 0.0))


def test_bfloat16_log_probs_are_summed_in_float32():
    policy = jnp.full((1, 4096), -1.0, jnp.bfloat16)
    reference = jnp.full((1, 4096), -1.25, jnp.bfloat16)
    total = implicit_rewards(policy, reference, jnp.ones((1, 4096), bool), beta=1.0)
    assert total.dtype == jnp.float32 and total[0] == 1024


def test_a_response_without_tokens_or_with_a_broken_ratio_is_absent():
    pair = LogProbs(np.array([[-1.0], [-np.inf], [-1.0]]), np.zeros((3, 1)))
    batch = batch_of(3, mask=np.array([[True], [True], [False]]), log_probs={"p": pair})
    scored = implicit_reward("p", 1.0).source.score(batch)
    assert scored.present.tolist() == [True, False, False]
    assert scored.explanations[1:] == (
        "absent: log-ratio is -inf",
        "absent: no response tokens",
    )


def test_missing_log_probs_and_a_bad_beta_are_named():
    pair = LogProbs(np.zeros((1, 1)), np.zeros((1, 1)))
    batch = batch_of(1, mask=np.ones((1, 1), bool), log_probs={"other": pair})
    with pytest.raises(InputError, match=r"p: needs .*log_probs\['p'\].*other"):
        implicit_reward("p", 1.0).source.score(batch)
    for beta in (0.0, math.inf, math.nan):
        with pytest.raises(InputError, match=r"p\.beta: found"):
            ImplicitSource("p", beta)


# ---------------------------------------------------------------- declarations
def test_sources_declare_their_cell_of_the_survey():
    cell = lambda reward: dataclasses.astuple(reward.declares)
    tuned = implicit_reward("p", 0.1, granularity="token")
    assert cell(tuned) == ("data-driven", "numerical", "implicit", "token")
    assert tuned.scale == "per-prompt" and hash(tuned.source) == hash(tuned.source)
    assert cell(head_reward("h")) == ("data-driven", "numerical", "explicit", "general")
    assert head_reward("h").scale == "per-prompt" and head_reward("h").source is None
