from collections import Counter

import numpy as np
import pytest

from morl.errors import InputError
from morl.worlds.preferences import SHARPNESS

EGG = "How long should I boil an egg?"


@pytest.fixture(scope="module")
def records(world):
    return world.records(2000, seed=0)


def texts(record):
    return tuple(response[0].content for response in record.responses)


def preferred(record, objective):
    (pair,) = record.labels[objective].pairs
    return pair.better


def test_records_ask_train_prompts_and_compare_different_responses(world, records):
    train = set(world.prompts("train"))
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.prompt[0].content in train
        assert record.prompt[0].role == "user"
        first, second = texts(record)
        assert first != second
        assert {response[0].role for response in record.responses} == {"assistant"}


def test_records_follow_from_their_seed(world):
    assert world.records(50, seed=5) == world.records(50, seed=5)
    assert world.records(50, seed=5) != world.records(50, seed=6)


def test_most_records_label_one_objective_in_the_stated_shares(records):
    counts = Counter(len(record.labels) for record in records)
    # Fewer than wanted can be labelled where the responses differ in fewer objectives.
    assert abs(counts[1] / len(records) - 0.85) < 0.05
    assert 0.05 < counts[2] / len(records) < 0.15
    assert 0.01 < counts[3] / len(records) < 0.06
    assert sum(counts.values()) == len(records)


def test_every_objective_is_labelled_often(world, records):
    counts = Counter(name for record in records for name in record.labels)
    assert set(counts) == set(world.objectives)
    assert min(counts.values()) > len(records) / 5


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_labels_agree_with_gold_as_often_as_the_rater_model_says(world, noise):
    agree, chance = [], []
    for record in world.records(1000, seed=1, noise=noise):
        rewards = world.gold(record.prompt[0].content, texts(record))
        for k, name in enumerate(world.objectives):
            gap = abs(rewards[0, k] - rewards[1, k])
            if name in record.labels and gap > 0:
                better = preferred(record, name)
                agree.append(rewards[better, k] > rewards[1 - better, k])
                right = 1 / (1 + np.exp(-SHARPNESS * gap))
                chance.append((1 - noise) * right + noise * (1 - right))
    chance = np.array(chance)
    error = np.sqrt((chance * (1 - chance)).sum()) / len(chance)
    assert abs(np.mean(agree) - chance.mean()) < 3 * error


def test_flipping_every_label_turns_every_pair_around(world):
    plain = world.records(200, seed=2, noise=0.0)
    flipped = world.records(200, seed=2, noise=1.0)
    for before, after in zip(plain, flipped, strict=True):
        assert texts(before) == texts(after)
        for name in before.labels:
            assert preferred(before, name) == 1 - preferred(after, name)


def test_a_noise_rate_outside_its_range_is_refused(world):
    with pytest.raises(InputError, match="noise"):
        world.records(1, seed=0, noise=1.5)


def test_preferences_over_generated_text_are_judged_by_gold(world):
    good = "Boil an egg for about nine minutes if you want it hard."
    pairs = [(EGG, good, ""), (EGG, "egg egg egg egg", good)] * 50
    for number, record in enumerate(world.preferences(pairs, seed=0, noise=0.0)):
        assert texts(record) == pairs[number][1:]
        if "helpful" in record.labels and number % 2 == 0:
            # A gap of 2.5 at sharpness 3: wrong once in 1,800 labels.
            assert preferred(record, "helpful") == 0
    tied = world.preferences([(EGG, good, good)] * 200, seed=0)
    assert {name for record in tied for name in record.labels} == set(world.objectives)


def test_some_compared_responses_carry_the_slips_of_a_weak_writer(world, records):
    roles = Counter(
        part.role.split()[0]
        for record in records
        for text in texts(record)
        for part in world.explain_gold(record.prompt[0].content, text)
    )
    for slip in ("unknown", "stray", "repeat"):
        assert 0.01 < roles[slip] / len(records) < 0.2
