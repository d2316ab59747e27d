import re
from collections import Counter

import numpy as np
import pytest

from morl.errors import InputError
from morl.worlds import preference_world
from morl.worlds.preferences import SHARPNESS

EGG = "How long should I boil an egg?"


@pytest.fixture(scope="module")
def world():
    return preference_world()


@pytest.fixture(scope="module")
def candidates(world):
    """Gold rewards of 12 random responses to one test prompt a topic, by kind."""
    found = {"plain": [], "risky": [], "uncertain": []}
    for prompt in world.prompts("test")[: len(world.bank.topics)]:
        rewards = world.gold(prompt, world.responses(prompt, 12, 0))
        found[world.topic(prompt).kind].append(rewards)
    return {kind: np.array(rewards) for kind, rewards in found.items()}


def texts(record):
    return tuple(response[0].content for response in record.responses)


def preferred(record, objective):
    (pair,) = record.labels[objective].pairs
    return pair.better


# Conflict -----------------------------------------------------------------------------


def correlations(rewards):
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    return np.corrcoef(centred.reshape(-1, 3).T)


def test_objectives_conflict_where_they_are_meant_to(candidates):
    risky = correlations(candidates["risky"])
    assert risky[0, 1] < -0.5
    assert risky[1, 2] < -0.3
    assert correlations(candidates["uncertain"])[0, 2] < -0.5
    assert correlations(candidates["plain"])[0, 2] > 0.5


def weighted_choices(rewards):
    """Mean gold reward of the best response by each of 66 weightings."""
    lattice = [(i, j, 10 - i - j) for i in range(11) for j in range(11 - i)]
    points = []
    for weights in lattice:
        best = np.argmax(rewards @ np.array(weights), axis=1)
        points.append(rewards[np.arange(len(rewards)), best].mean(axis=0))
    return lattice, np.array(points)


def test_a_sweep_of_weightings_traces_a_wide_front(candidates):
    lattice, points = weighted_choices(np.concatenate(list(candidates.values())))
    assert len(points) == 66
    kept = {
        tuple(np.round(point, 9))
        for point in points
        if not any((other >= point).all() and (other > point).any() for other in points)
    }
    assert len(kept) >= 30
    experts = {
        objective: points[lattice.index(tuple(10 * (k == objective) for k in range(3)))]
        for objective in range(3)
    }
    for objective, expert in experts.items():
        others = [experts[k][objective] for k in range(3) if k != objective]
        assert expert[objective] > max(others) + 0.5
    assert np.ptp(points, axis=0).min() > 1


def test_the_most_harmless_response_to_a_risky_prompt_does_not_help(candidates):
    rewards = candidates["risky"]
    rows = np.arange(len(rewards))
    safest = rewards[rows, rewards[..., 1].argmax(axis=1)]
    boldest = rewards[rows, rewards[..., 0].argmax(axis=1)]
    assert (safest[:, 0] < boldest[:, 0]).all()
    assert (safest[:, 1] > boldest[:, 1]).all()


def test_a_linear_probe_on_mean_word_counts_orders_held_out_wordings(world):
    words = sorted(set(re.findall(r"\w+", " ".join(world.bank.meanings).lower())))
    column = {word: place for place, word in enumerate(words)}

    def features(responses):
        counts = np.zeros((len(responses), len(words)))
        for row, text in enumerate(responses):
            for word in re.findall(r"\w+", text.lower()):
                counts[row, column[word]] += 1
        return counts / counts.sum(axis=1, keepdims=True)

    def draw(split, seed):
        chosen = np.random.default_rng(seed).permutation(world.prompts(split))[:400]
        drawn = [(str(p), world.responses(str(p), 6, seed)) for p in chosen]
        x = np.concatenate([features(responses) for _, responses in drawn])
        return x, np.concatenate([world.gold(p, responses) for p, responses in drawn])

    (x, y), (x_test, y_test) = draw("train", 1), draw("test", 2)
    gram = x.T @ x + 0.05 * np.eye(len(words))
    scores = x_test @ np.linalg.solve(gram, x.T @ y)
    first, second = np.arange(0, len(scores), 2), np.arange(1, len(scores), 2)
    for k in range(3):
        gap = y_test[first, k] - y_test[second, k]
        right = (scores[first, k] - scores[second, k]) * gap > 0
        assert right[gap != 0].mean() > 0.8


# Prompts and responses ----------------------------------------------------------------


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


# Preferences --------------------------------------------------------------------------


def test_records_ask_train_prompts_and_compare_different_responses(world):
    train = set(world.prompts("train"))
    records = world.records(500, seed=0)
    assert len({record.id for record in records}) == 500
    for record in records:
        assert record.prompt[0].content in train
        assert record.prompt[0].role == "user"
        first, second = texts(record)
        assert first != second
        assert {response[0].role for response in record.responses} == {"assistant"}


def test_records_follow_from_their_seed(world):
    assert world.records(50, seed=5) == world.records(50, seed=5)
    assert world.records(50, seed=5) != world.records(50, seed=6)


def test_most_records_label_one_objective_in_the_stated_shares(world):
    counts = Counter(len(record.labels) for record in world.records(4000, seed=0))
    # Fewer than wanted can be labelled where the responses differ in fewer objectives.
    assert abs(counts[1] / 4000 - 0.85) < 0.05
    assert 0.05 < counts[2] / 4000 < 0.15
    assert 0.01 < counts[3] / 4000 < 0.06
    assert sum(counts.values()) == 4000


def test_every_objective_is_labelled_often(world):
    records = world.records(2000, seed=0)
    counts = Counter(name for record in records for name in record.labels)
    assert set(counts) == set(world.objectives)
    assert min(counts.values()) > 400


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
def test_labels_agree_with_gold_as_often_as_the_rater_model_says(world, noise):
    agree, chance = [], []
    for record in world.records(4000, seed=1, noise=noise):
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


def test_some_compared_responses_carry_the_slips_of_a_weak_writer(world):
    roles = Counter(
        part.role.split()[0]
        for record in world.records(1000, seed=3)
        for text in texts(record)
        for part in world.explain_gold(record.prompt[0].content, text)
    )
    for slip in ("unknown", "stray", "repeat"):
        assert 20 < roles[slip] < 300
