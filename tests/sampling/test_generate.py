import math
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import special, stats

from morl.errors import InputError
from morl.models import Transformer, TransformerConfig, load_language_model
from morl.models.cache import begin, decode, prefill
from morl.models.fetch import SMOLLM2, default_cache
from morl.sampling import generate
from morl.sampling.draw import Sampler, draw, filtered, inverse_cdf

CONFIG = TransformerConfig(60, 32, 2, 4, 2, 8, 48)
PROMPTS = [np.array(p) for p in ([5, 9, 2], [7], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])]
encode = jax.jit(Transformer.__call__)


@pytest.fixture(scope="module")
def model():
    """A model sharp enough that its samples differ from each other and from uniform."""
    drawn = Transformer(CONFIG, rngs=nnx.Rngs(0))
    return jax.tree.map(lambda x: 6 * x if x.ndim == 2 else x, drawn)


def full_log_probs(model, tokens):
    """Log-probabilities of the next token after each token, by a full forward."""
    # Padded to one length: one program for all of the file's calls.
    row = np.zeros((1, 32), np.int32)
    row[0, : len(tokens)] = tokens
    places = np.arange(32)[None]
    segments = np.where(places < len(tokens), 0, -1)
    hidden = encode(model, *map(jnp.asarray, (row, places, segments))).hidden
    logits = np.asarray(model.logits(hidden), np.float64)[0, : len(tokens)]
    return special.log_softmax(logits, axis=-1)


def greedy_by_full_forwards(model, prompt, count):
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(full_log_probs(model, tokens)[-1].argmax()))
    return tokens[len(prompt) :]


# The cache ----------------------------------------------------------------------------


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"qkv_bias": True, "tied": False}, marks=pytest.mark.slow),
        {"qk_norm": True, "qkv_bias": True, "tied": False},
        # The first prompt's first tokens lie outside it, then all of the second.
        {"window": 3},
        pytest.param(
            {"gelu_gate": True, "offset_norms": True, "scaled_embedding": True},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_decoding_with_the_cache_equals_the_full_forward(settings, copies):
    config = replace(CONFIG, **settings)
    model = Transformer(config, rngs=nnx.Rngs(3))
    prompts = [[3, 1, 4, 1, 5], [9, 2]]
    following = [[[6, 5, 3], [8, 9, 7]], [[1, 1, 2], [3, 5, 8]]]  # two each
    padded = jnp.array([prompts[0], prompts[1] + [59] * 3])
    context = begin(jax.jit(prefill)(model, padded, jnp.array([5, 2])), copies, 3)
    found = []
    step = jax.jit(decode)
    for place in range(3):
        column = [row[place] for pair in following for row in pair[:copies]]
        hidden, so_far = step(model, jnp.array(column), context)
        context = context._replace(so_far=so_far)
        found.append(hidden)
    found = np.stack(found)  # [3, d, n]
    for number in range(2 * copies):
        place, copy = divmod(number, copies)
        prompt, rest = prompts[place], following[place][copy]
        row = jnp.array([prompt + rest])
        full = encode(model, row, jnp.arange(row.shape[1])[None], 0 * row).hidden
        np.testing.assert_allclose(
            found[:, :, number], full[0, len(prompt) :], rtol=1e-4, atol=1e-5
        )


# Generation ---------------------------------------------------------------------------


def test_temperature_zero_takes_the_most_probable_token(model, key):
    result = generate(
        model, PROMPTS, jax.random.split(key, 3), max_new_tokens=6, temperature=0.0
    )
    for prompt, tokens in zip(PROMPTS, result.tokens, strict=True):
        assert tokens.tolist() == greedy_by_full_forwards(model, prompt, 6)
    assert np.all(result.mask)
    np.testing.assert_array_equal(result.sampled_log_probs, 0)


@pytest.mark.parametrize(
    "filters",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"top_k": 50, "top_p": 0.7, "min_p": 0.02, "temperature": 1.3},
    ],
)
def test_a_sequence_depends_on_its_prompt_and_key_alone(model, key, filters):
    keys = jax.random.split(key, 3)
    settings = {"max_new_tokens": 12, "stop_ids": (4,), **filters}
    together = generate(model, PROMPTS, keys, **settings)
    alone = lambda row: generate(model, [PROMPTS[row]], keys[row][None], **settings)
    longer = [PROMPTS[2], np.arange(40)]
    for row, batch in (
        (0, alone(0)),
        (1, alone(1)),
        (2, generate(model, longer, keys[jnp.array([2, 0])], **settings)),
    ):
        np.testing.assert_array_equal(batch.tokens[0], together.tokens[row])
        np.testing.assert_array_equal(batch.mask[0], together.mask[row])
        np.testing.assert_allclose(
            batch.log_probs[0], together.log_probs[row], atol=1e-4
        )


def test_samples_of_one_prompt_equal_that_prompt_repeated(model, key):
    keys = jax.random.split(key, 6)
    shared = generate(model, PROMPTS[:2], keys, max_new_tokens=8, num_samples=3)
    repeated = [PROMPTS[0]] * 3 + [PROMPTS[1]] * 3
    apart = generate(model, repeated, keys, max_new_tokens=8)
    np.testing.assert_array_equal(shared.tokens, apart.tokens)
    np.testing.assert_allclose(shared.log_probs, apart.log_probs, atol=1e-4)


def test_top_p_of_one_is_no_filter(model, key):
    keys = jax.random.split(key, 3)
    for free, one in zip(
        generate(model, PROMPTS, keys, max_new_tokens=10),
        generate(model, PROMPTS, keys, max_new_tokens=10, top_p=1.0),
        strict=True,
    ):
        np.testing.assert_array_equal(free, one)


@pytest.mark.slow
def test_other_keys_give_other_samples(model, key):
    keys = jax.random.split(key, 8)
    tokens = generate(model, [PROMPTS[0]], keys, max_new_tokens=8, num_samples=8).tokens
    assert len({tuple(row.tolist()) for row in tokens}) > 4


def test_log_probs_are_those_of_the_unfiltered_model_at_temperature_one(model, key):
    keys = jax.random.split(key, 3)
    result = generate(
        model, PROMPTS, keys, max_new_tokens=7, temperature=0.6, top_k=20, stop_ids=(4,)
    )
    for row, prompt in enumerate(PROMPTS):
        tokens = np.asarray(result.tokens[row][result.mask[row]])
        whole = np.concatenate([prompt, tokens])
        model_log_probs = full_log_probs(model, whole)[len(prompt) - 1 : -1]
        expected = model_log_probs[np.arange(len(tokens)), tokens]
        np.testing.assert_allclose(
            result.log_probs[row][result.mask[row]], expected, atol=1e-4
        )
        # The sampler's own: tempered, the 20 most probable, renormalised.
        tempered = np.sort(model_log_probs / 0.6)[:, -20:]
        sampled = expected / 0.6 - special.logsumexp(tempered, axis=-1)
        np.testing.assert_allclose(
            result.sampled_log_probs[row][result.mask[row]], sampled, atol=2e-4
        )


def test_a_sequence_ends_with_its_stop_token(model, key):
    keys = jax.random.split(key, 3)
    free = generate(model, PROMPTS, keys, max_new_tokens=10)
    stops = (int(free.tokens[0, 3]), int(free.tokens[1, 5]))
    result = generate(model, PROMPTS, keys, max_new_tokens=10, stop_ids=stops)
    for row in range(3):
        whole = free.tokens[row].tolist()
        ends = [i for i, token in enumerate(whole) if token in stops]
        length = ends[0] + 1 if ends else 10
        assert result.mask[row].tolist() == [i < length for i in range(10)]
        assert result.tokens[row].tolist() == whole[:length] + [0] * (10 - length)
        np.testing.assert_array_equal(result.log_probs[row, length:], 0)


@pytest.mark.slow
def test_a_shorter_generation_is_the_start_of_a_longer_one(model, key):
    long = generate(model, PROMPTS, jax.random.split(key, 3), max_new_tokens=10)
    short = generate(model, PROMPTS, jax.random.split(key, 3), max_new_tokens=1)
    np.testing.assert_array_equal(short.tokens[:, 0], long.tokens[:, 0])


@pytest.mark.slow
def test_sampled_frequencies_are_the_model_s_probabilities(model, key):
    num = 4096
    result = generate(
        model,
        [PROMPTS[0]],
        jax.random.split(key, num),
        max_new_tokens=1,
        num_samples=num,
    )
    expected = np.exp(full_log_probs(model, PROMPTS[0])[-1])
    counts = np.bincount(np.asarray(result.tokens[:, 0]), minlength=len(expected))
    # The five rarest share a bin, so that no bin is nearly empty.
    order = np.argsort(expected)
    bins = [order[:5], *order[5:, None]]
    observed = np.array([counts[members].sum() for members in bins])
    means = np.array([expected[members].sum() for members in bins])
    assert num * means.min() > 1
    assert stats.chisquare(observed, num * means / means.sum()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": -0.1}, "temperature: found -0.1, expected >= 0"),
        ({"top_k": 0}, "top_k: found 0, expected >= 1"),
        ({"top_p": 0.0}, r"top_p: found 0.0, expected in \(0, 1\]"),
        ({"min_p": 1.5}, r"min_p: found 1.5, expected in \[0, 1\]"),
        ({"max_new_tokens": 0}, "max_new_tokens: found 0"),
        ({"max_new_tokens": 3000}, r"prompts\[0\]: found 3 tokens and 3000 to come"),
        ({"num_samples": 2}, "keys: found 3, expected one a sequence: 3 prompts x 2"),
        ({"stop_ids": (-1,)}, "stop_ids: found -1"),
    ],
)
def test_settings_out_of_range_are_refused(model, key, change, message):
    settings = {"max_new_tokens": 2} | change
    with pytest.raises(InputError, match=message):
        generate(model, PROMPTS, jax.random.split(key, 3), **settings)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (np.array([], np.int32), r"prompts\[0\]: found no token"),
        (
            np.array([1, 60]),
            r"prompts\[0\]: found tokens from 1 to 60, expected 0 to 59",
        ),
        (np.array([-1, 6]), r"prompts\[0\]: found tokens from -1"),
    ],
)
def test_prompts_that_cannot_be_read_are_refused(model, key, prompt, message):
    with pytest.raises(InputError, match=message):
        generate(model, [prompt], jax.random.split(key, 1), max_new_tokens=2)


# Drawing ------------------------------------------------------------------------------


def kept_by_sorting(logits, temperature, top_k=None, top_p=None, min_p=None):
    """The filters by a sort, in float64."""
    probs = special.softmax(np.asarray(logits, np.float64) / temperature)
    kept = np.ones(len(probs), bool)
    order = np.argsort(-probs, kind="stable")
    if top_k is not None:
        kept[order[top_k:]] = False
    if top_p is not None:
        probs = np.where(kept, probs, 0) / probs[kept].sum()
        before = np.cumsum(probs[order]) - probs[order]
        kept[order[before >= top_p]] = False
    if min_p is not None:
        kept &= probs >= min_p * probs.max()
    return kept


@pytest.mark.slow
def test_the_least_temperature_takes_the_most_probable_token():
    logits = jnp.array([1.0, 30.0, 2.0])
    drawn = draw(logits, jnp.float32(0.99), Sampler(jnp.float32(1e-37)))
    assert drawn.token == 1 and drawn.sampled_log_prob == 0
    assert jnp.isfinite(drawn.log_prob)


@pytest.mark.parametrize(
    "filters",
    [
        {"top_k": 1},
        {"top_k": 17},
        {"top_k": 5000},
        {"top_p": 1e-4},
        {"top_p": 0.5},
        {"top_p": 0.95},
        {"min_p": 0.05},
        {"top_k": 40, "top_p": 0.8},
        {"top_k": 40, "top_p": 0.8, "min_p": 0.3},
    ],
)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_filters_keep_what_a_sort_keeps(filters, temperature):
    logits = np.random.default_rng(5).normal(size=1000).astype(np.float32) * 2
    sampler = Sampler(
        jnp.float32(temperature), **{k: jnp.asarray(v) for k, v in filters.items()}
    )
    shares = jax.jit(filtered)(jnp.asarray(logits) / temperature, sampler)
    expected = kept_by_sorting(logits, temperature, **filters)
    np.testing.assert_array_equal(np.asarray(shares) > 0, expected)


def test_top_p_next_to_one_drops_no_more_than_rounding():
    logits = jnp.asarray(np.random.default_rng(6).normal(size=5000), jnp.float32) * 3
    sampler = Sampler(jnp.float32(1), top_p=jnp.float32(1))
    dropped = np.asarray(filtered(logits, sampler)) == 0
    assert special.softmax(np.asarray(logits, np.float64))[dropped].sum() < 1e-6


def test_equal_tokens_at_the_edge_are_all_kept():
    sampler = Sampler(jnp.float32(1), top_k=jnp.int32(2))
    kept = filtered(jnp.array([0.0, 2.0, 1.0, 1.0, -5.0]), sampler) > 0
    assert kept.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("size", [1, 7, 256, 257, 5000])
def test_the_inverse_cdf_is_the_search_of_a_running_sum(size):
    generator = np.random.default_rng(size)
    shares = generator.random(size).astype(np.float32) ** 8
    shares[generator.random(size) < 0.3] = 0
    shares[-1] = 0.25
    uniforms = generator.random(400).astype(np.float32)
    found = jax.jit(jax.vmap(inverse_cdf, in_axes=(None, 0)))(
        jnp.asarray(shares), jnp.asarray(uniforms)
    )
    running = np.cumsum(shares.astype(np.float64))
    target = uniforms * running[-1]
    below = np.where(np.asarray(found) > 0, running[np.asarray(found) - 1], 0)
    slack = 1e-5 * running[-1]
    assert np.all(shares[np.asarray(found)] > 0)
    assert np.all(below - slack <= target)
    assert np.all(target <= running[np.asarray(found)] + slack)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_the_ends_of_the_unit_interval_never_draw_an_impossible_token(uniform):
    shares = jnp.zeros(600).at[jnp.array([3, 400])].set(jnp.array([1.0, 1e-3]))
    token = inverse_cdf(shares, jnp.float32(uniform))
    assert int(token) == (3 if uniform == 0 else 400)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_extreme_logits_draw_finite_log_probs(size):
    logits = size * jnp.array([-1.0, 0.0, 1.0])
    sampler = Sampler(jnp.float32(0.5), top_p=jnp.float32(0.9))
    drawn = draw(logits, jnp.float32(0.99), sampler)
    assert math.isfinite(drawn.log_prob) and math.isfinite(drawn.sampled_log_prob)


# The real model -----------------------------------------------------------------------


def cached_smollm2():
    name = Path(SMOLLM2.member).name
    found = list((default_cache() / SMOLLM2.name).rglob(name))
    return found[0] if found else None


@pytest.mark.slow
@pytest.mark.skipif(cached_smollm2() is None, reason="needs: morl fetch smollm2")
def test_the_real_model_knows_the_capital_of_france(key):
    language_model = load_language_model(cached_smollm2())
    chat = language_model.chat
    question = {"role": "user", "content": "What is the capital of France?"}
    result = generate(
        language_model.model,
        [chat.encode_prompt([question])],
        jax.random.split(key, 1),
        max_new_tokens=16,
        temperature=0.0,
        stop_ids=chat.stop_ids,
    )
    answer = result.tokens[0][result.mask[0]]
    assert int(answer[-1]) in chat.stop_ids
    assert chat.decode(np.asarray(answer[:-1])) == "The capital of France is Paris."
