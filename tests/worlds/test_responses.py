import re
from collections import Counter

import numpy as np
import pytest

from morl.errors import InputError

EGG = "How long should I boil an egg?"


def test_splits_share_topics_and_no_prompt(world):
    train, test = world.prompts("train"), world.prompts("test")
    assert len(set(train)) == len(train)
    assert not set(train) & set(test)
    questions = {topic.question for topic in world.bank.topics.values()}
    assert {world.topic(prompt).question for prompt in train} == questions
    assert {world.topic(prompt).question for prompt in test} == questions


def test_an_unknown_split_is_refused(world):
    with pytest.raises(InputError, match="'dev'"):
        world.prompts("dev")


def test_responses_are_different_known_and_repeatable(world):
    for prompt in world.prompts("test")[:: len(world.bank.topics) // 20]:
        found = world.responses(prompt, 16, 3)
        assert found == world.responses(prompt, 16, 3)
        assert found[:4] == world.responses(prompt, 4, 3)
        assert found != world.responses(prompt, 16, 4)
        assert len(set(found)) == 16
        own = world.topic(prompt)
        for text in found:
            roles = [part.role for part in world.explain_gold(prompt, text)]
            assert 1 <= len(roles) <= 6
            assert set(roles) <= set(own.sentences) | set(world.bank.generic)


def test_asking_for_more_responses_than_there_are_is_refused(world, monkeypatch):
    monkeypatch.setattr("morl.worlds.preferences.DRAWS_PER_RESPONSE", 1)
    with pytest.raises(InputError, match=r"n: found only \d+ responses, expected 500"):
        world.responses(EGG, 500, 0)


def test_every_hand_written_response_is_scored_from_known_sentences(world):
    written = world.hand_written()
    assert len(written) == len(world.bank.topics)
    for prompt, responses in written:
        for text, rewards in responses:
            parts = world.explain_gold(prompt, text)
            assert "unknown" not in {part.role for part in parts}
            np.testing.assert_array_equal(world.gold(prompt, [text])[0], rewards)
        assert np.ptp([rewards for _, rewards in responses], axis=0).max() > 1


def test_the_corpus_covers_topics_evenly_in_wordings_of_both_splits(world):
    documents = world.corpus(2000, seed=1)
    assert documents == world.corpus(2000, seed=1)
    assert documents != world.corpus(2000, seed=2)
    topics = Counter(world.topic(prompt).name for prompt, _ in documents)
    assert set(topics.values()) == {2000 // len(world.bank.topics)}
    prompts = {prompt for prompt, _ in documents}
    assert prompts & set(world.prompts("train"))
    assert prompts & set(world.prompts("test"))
    tokens = [len(re.findall(r"\w+|[^\w\s]", text)) for _, text in documents]
    assert max(tokens) <= 90
    for prompt, text in documents[:200]:
        roles = {part.role for part in world.explain_gold(prompt, text)}
        assert not roles & {"unknown", "repeat", "empty"}
