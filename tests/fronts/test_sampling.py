"""Candidates and prompts of a run: what they depend on, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
from flax import nnx

from morl.errors import InputError
from morl.feedback import Labels, Pair, plain_record
from morl.fronts import CandidateSettings, sample_candidates
from morl.fronts.pipeline import choose_prompts
from morl.models import Transformer
from morl.models.chat import train_chat_tokenizer
from morl.models.config import TransformerConfig
from morl.models.language_model import LanguageModel

SETTINGS = CandidateSettings(num_samples=3, max_new_tokens=5, batch_prompts=2)
TEXTS = ("some words", "to learn", "a vocabulary from", "learn some", "words")


@pytest.fixture(scope="module")
def model():
    chat = train_chat_tokenizer(["some words to learn a vocabulary from"], 300)
    config = TransformerConfig(chat.vocab_size, 16, 1, 2, 1, 8, 24, max_positions=256)
    return LanguageModel("tiny", Transformer(config, rngs=nnx.Rngs(0)), chat, "f" * 64)


@pytest.fixture(scope="module")
def prompts(model):
    return [model.chat.encode_prompt(text) for text in TEXTS]


@pytest.fixture(scope="module")
def sampled(model, prompts):
    return sample_candidates(model, prompts, SETTINGS)


def equal(one, other):
    """Whether two lists of candidates hold the same tokens."""
    return all(
        len(mine.responses) == len(theirs.responses)
        and all(map(np.array_equal, mine.responses, theirs.responses))
        for mine, theirs in zip(one, other, strict=True)
    )


def test_a_response_depends_on_its_prompt_and_seed_alone(model, prompts, sampled):
    assert equal(sampled[3:4], sample_candidates(model, prompts[3:4], SETTINGS))
    other = sample_candidates(model, prompts, replace(SETTINGS, seed=1))
    assert not equal(sampled, other)
    for one in sampled:
        assert len({tuple(response.tolist()) for response in one.responses}) == 3
        assert all(1 <= len(response) <= 5 for response in one.responses)


def test_what_was_sampled_is_kept_and_an_interrupted_run_goes_on(
    model, prompts, sampled, tmp_path
):
    class Killed(Exception):
        pass

    def die(done, total):
        if done > total / 2:
            raise Killed

    with pytest.raises(Killed):
        sample_candidates(model, prompts, SETTINGS, cache=tmp_path, progress=die)
    shards = {p: p.read_bytes() for p in tmp_path.rglob("*.safetensors")}
    assert 0 < len(shards) < 3
    told = []
    resumed = sample_candidates(
        model,
        prompts,
        SETTINGS,
        cache=tmp_path,
        progress=lambda done, total: told.append((done, total)),
    )
    assert equal(sampled, resumed)
    assert told[0][0] > 0
    assert told[-1] == (15, 15)
    assert all(path.read_bytes() == content for path, content in shards.items())


def labelled(text, objective):
    return plain_record(text, ["yes", "no"], {objective: Labels(pairs=(Pair(0, 1),))})


def test_prompts_are_balanced_over_objectives_and_none_is_too_long(model, prompts):
    records = [labelled(f"some {n} words", "helpful") for n in range(12)]
    records += [labelled(f"learn {n}", "harmless") for n in range(3)]
    records += [labelled("some words to learn " * 9, "harmless")]
    settings = replace(SETTINGS, num_prompts=8, max_prompt_tokens=40)
    drawn = choose_prompts(model, records, ("helpful", "harmless"), settings)
    labels = [next(iter(record.labels)) for record in drawn]
    assert (labels.count("helpful"), labels.count("harmless")) == (5, 3)
    for record in drawn:
        assert len(model.chat.encode_prompt(record.prompt)) <= 40
    shortest = min(len(tokens) for tokens in prompts)
    with pytest.raises(InputError, match=r"candidates.max_prompt_tokens: .* at most"):
        few = replace(settings, max_prompt_tokens=shortest - 1)
        choose_prompts(model, records, ("helpful", "harmless"), few)
