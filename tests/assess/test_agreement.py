import math

import numpy as np

from morl.assess import order_agreement

KNOWN = np.ones((40, 5), bool)


def test_agreement_is_counted_over_the_pairs_of_each_prompt():
    rewards, judged = np.random.default_rng(0).normal(size=(2, 40, 5))
    pairs = [
        (rewards[b, i] > rewards[b, j]) == (judged[b, i] > judged[b, j])
        for b in range(40)
        for i in range(5)
        for j in range(i)
    ]
    found = order_agreement(rewards, judged, KNOWN)
    assert math.isclose(found.value, np.mean(pairs))
    assert (found.count, found.prompts) == (400, 40)
    assert found.low < 0.5 < found.high


def test_any_rising_function_of_the_judge_agrees_and_any_falling_one_does_not():
    judged = np.random.default_rng(1).normal(size=(40, 5))
    assert order_agreement(np.exp(judged), judged, KNOWN)[:3] == (1, 1, 1)
    assert order_agreement(-judged, judged, KNOWN).value == 0
    assert order_agreement(np.zeros((40, 5)), judged, KNOWN).value == 0.5


def test_absent_rewards_and_the_judges_ties_are_left_out():
    rewards = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]])
    judged = np.array([[1.0, 0.0, 2.0], [7.0, 7.0, 7.0]])
    found = order_agreement(rewards, judged, np.isfinite(rewards))
    assert (found.value, found.count, found.prompts) == (1.0, 1, 1)
    assert math.isnan(order_agreement(rewards[1:], judged[1:], KNOWN[:1, :3]).value)
