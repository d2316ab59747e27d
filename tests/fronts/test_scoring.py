import jax.numpy as jnp
import numpy as np
import pytest

from morl import objectives, rules
from morl.errors import InputError
from morl.feedback import plain_record
from morl.fronts.sampling import Sampled
from morl.fronts.scoring import score_candidates
from morl.models.head_files import HeadSet
from morl.models.heads import LinearHead, Reading
from morl.models.truncation import Truncation
from morl.training.features import Features

LENGTHS = np.array([[1, 4, 2], [3, 5, 2]])


@pytest.fixture
def scored_by():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 1, 2, 4)).astype(np.float32)
    prompts = np.zeros((2, 1, 2, 4), np.float32)
    features = Features(values, prompts, LENGTHS.ravel(), np.array([0, 3, 6]), (1,))
    head = LinearHead(jnp.asarray(rng.normal(size=(4, 1)), jnp.float32), jnp.zeros(1))
    heads = HeadSet(
        ("helpful",), Reading(1, "last"), head, "f", "t", Truncation(512, 256)
    )
    prompts = [plain_record(f"question {i}", ["?"]) for i in range(2)]
    sampled = [
        Sampled(
            np.array([1, 2], np.int32),
            tuple(np.arange(n, dtype=np.int32) for n in row),
            tuple("word " * int(n) for n in row),
        )
        for row in LENGTHS
    ]
    gold = rng.normal(size=(2, 3, 1))
    score = lambda reward: score_candidates(
        reward, heads, prompts, sampled, features, gold, seed=0
    )
    return score, np.einsum("nd,dk->nk", values[:, 0, 0], head.weight).reshape(2, 3)


def test_rules_that_count_tokens_see_the_tokens_of_the_candidates(scored_by):
    score, _ = scored_by
    (helpful,) = objectives("helpful")
    found = score(helpful - 0.01 * rules.length(unit="token"))
    place = found.candidates.names.index("length")
    np.testing.assert_array_equal(found.candidates.rewards[..., place], LENGTHS)


def test_heads_are_centred_on_each_prompt_and_scaled_by_the_pooled_deviation(scored_by):
    score, raw = scored_by
    (helpful,) = objectives("helpful")
    found = score(1.0 * helpful)
    away = raw - raw.mean(axis=1, keepdims=True)
    expected = away / np.sqrt((away**2).sum() / 4)
    np.testing.assert_allclose(found.candidates.rewards[..., 0], expected, rtol=1e-4)


def test_a_reward_with_neither_source_nor_head_is_named(scored_by):
    score, _ = scored_by
    helpful, kind = objectives("helpful", "kind")
    with pytest.raises(InputError, match="kind has no source and no head"):
        score(helpful + kind)
