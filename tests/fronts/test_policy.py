"""A language model, prompts and two sets of heads, traced in one call."""

import re
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

import morl
from morl.errors import InputError
from morl.feedback import Message
from morl.fronts import CandidateSettings, Policy, sample_candidates
from morl.fronts.scoring import head_columns
from morl.models import EncodedRecord, Transformer
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.head_files import HeadSet, save_heads
from morl.models.heads import LinearHead, Reading, init_linear_head
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.models.truncation import Truncation
from morl.training.features import extract_features

OBJECTIVES = ("harmless", "helpful")
PROMPTS = ("some words", (Message("system", "learn"), Message("user", "a word")), "to")
helpful, harmless = morl.objectives("helpful", "harmless")
reward = 0.5 * helpful + 0.5 * harmless - 0.1 * morl.rules.length(unit="token")


@pytest.fixture(scope="module")
def model():
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(chat.vocab_size, 16, 2, 2, 1, 8, 32, max_positions=256)
    transformer = Transformer(config, rngs=nnx.Rngs(0))
    return LanguageModel("tiny", transformer, chat, "f" * 64)


@pytest.fixture(scope="module")
def policy(model):
    heads = lambda seed, layer: HeadSet(
        OBJECTIVES,
        Reading(layer, "last"),
        init_linear_head(jax.random.key(seed), 16, 2),
        model.fingerprint,
        model.chat.template_hash,
        Truncation(64, 16),
    )
    settings = CandidateSettings(num_samples=4, max_new_tokens=6)
    return Policy(model, PROMPTS, heads(1, 1), heads(2, 2), settings)


@pytest.mark.slow
def test_a_policy_is_traced_in_the_units_of_its_own_answers(policy):
    front = morl.trace(reward, policy, weights=np.eye(2), resamples=10)
    assert front.objectives == ("helpful", "harmless")
    assert front.provenance.model == "tiny ffffffffffff"
    sizes = front.provenance.sizes
    assert (sizes["prompts"], sizes["candidates"]) == (3, 4)
    # The judge's units are centred on the answers to each prompt.
    np.testing.assert_allclose(front.base.rewards, 0, atol=1e-5)


@pytest.mark.slow
def test_heads_are_found_by_the_names_of_the_objectives(policy):
    swapped = lambda heads: replace(
        heads,
        objectives=heads.objectives[::-1],
        head=LinearHead(heads.head.weight[:, ::-1], heads.head.bias[::-1]),
    )
    one = policy.judged(reward).candidates
    other = replace(
        policy, selector=swapped(policy.selector), judge=swapped(policy.judge)
    )
    same = other.judged(reward).candidates
    np.testing.assert_allclose(same.judged, one.judged, atol=1e-5)
    np.testing.assert_allclose(same.rewards, one.rewards, atol=1e-5)
    assert not np.allclose(one.judged[..., 0], one.judged[..., 1])


def test_selector_and_judge_read_the_layers_that_they_were_fitted_on(policy):
    one = policy.judged(reward).candidates
    elsewhere = replace(policy.judge, reading=Reading(1, "last"))
    other = replace(policy, judge=elsewhere).judged(reward).candidates
    assert not np.allclose(other.judged, one.judged, atol=1e-3)
    np.testing.assert_allclose(other.rewards, one.rewards, atol=1e-5)


def test_answers_are_kept_and_read_again(policy, tmp_path):
    kept = replace(policy, cache=tmp_path)
    first = kept.judged(reward).candidates
    assert list(tmp_path.rglob("*.safetensors"))
    again = kept.judged(reward).candidates
    assert (
        first.responses == again.responses == policy.judged(reward).candidates.responses
    )
    np.testing.assert_array_equal(first.rewards, again.rewards)


@pytest.mark.slow
def test_heads_see_no_more_of_a_candidate_than_of_what_they_were_fitted_to(policy):
    short = Truncation(24, 3)
    cut = replace(
        policy,
        prompts=(*PROMPTS, "some words to learn " * 9),
        selector=replace(policy.selector, truncation=short),
        judge=replace(policy.judge, truncation=short),
    )
    found = cut.judged(reward)
    assert found.candidates.lengths.max() == 6
    asked = [policy.model.chat.encode_prompt(prompt) for prompt in cut.prompts]
    assert any(len(tokens) > 24 for tokens in asked)
    seen = []
    for one in sample_candidates(policy.model, asked, policy.candidates):
        responses = tuple(response[:3] for response in one.responses)
        room = 24 - max(map(len, responses))
        # A prompt with one turn of the user's gives way from its left.
        prompt = one.prompt[max(len(one.prompt) - room, 0) :]
        own = tuple(np.ones(len(response), bool) for response in responses)
        seen.append(EncodedRecord(prompt, responses, own))
    features = extract_features(policy.model, seen, layers=(1, 2))
    raw = head_columns(policy.selector, features, (4, 4))
    place = found.composition.names.index("helpful")
    expected = raw[..., policy.selector.objectives.index("helpful")]
    np.testing.assert_allclose(found.raw[..., place], expected, atol=1e-5)


def test_the_selector_cannot_judge(policy):
    with pytest.raises(InputError, match="judge: is the selector"):
        replace(policy, judge=policy.selector)


def test_heads_cut_at_different_places_are_refused(policy):
    other = replace(policy, judge=replace(policy.judge, truncation=Truncation(32, 8)))
    with pytest.raises(InputError, match="heads: found heads fitted with"):
        other.judged(reward)


def test_an_objective_without_a_head_is_named(policy):
    (honest,) = morl.objectives("honest")
    with pytest.raises(InputError, match=r"judge: has heads for .* none for honest"):
        policy.judged(honest + helpful)


def test_a_policy_without_prompts_is_refused(policy):
    with pytest.raises(InputError, match="prompts: found none"):
        replace(policy, prompts=())


@pytest.mark.slow
def test_the_page_on_composing_traces_a_policy_whose_heads_are_in_a_folder(
    model, policy, tmp_path, monkeypatch
):
    page = Path(__file__).parents[2] / "docs" / "composing.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "load_language_model(" in block]
    monkeypatch.chdir(tmp_path)
    save_language_model(model, "model")
    saved = load_language_model("model").fingerprint
    for name, heads in (("selector", policy.selector), ("judge", policy.judge)):
        save_heads(f"out/{name}", replace(heads, fingerprint=saved))
    names = {"morl": morl, "short": reward}
    exec(compile(block, str(page), "exec"), names)
    assert names["front"].provenance.sizes["prompts"] == 2
    assert names["front"].objectives == ("helpful", "harmless")
