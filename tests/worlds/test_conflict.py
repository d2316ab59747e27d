import re

import numpy as np
import pytest


@pytest.fixture(scope="module")
def candidates(world):
    """Gold rewards of 12 random responses to one test prompt a topic, by kind."""
    found = {"plain": [], "risky": [], "uncertain": []}
    for prompt in world.prompts("test")[: len(world.bank.topics)]:
        rewards = world.gold(prompt, world.responses(prompt, 12, 0))
        found[world.topic(prompt).kind].append(rewards)
    return {kind: np.array(rewards) for kind, rewards in found.items()}


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
