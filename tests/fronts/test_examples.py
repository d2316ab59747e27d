"""What people look at: answers along the front, and every candidate as a line."""

import json

import numpy as np
import pytest

from morl.fronts import Candidates
from morl.fronts.examples import candidate_lines, choose_examples
from morl.rewards import objectives

helpful, harmless = objectives("helpful", "harmless")
reward = helpful + harmless


@pytest.fixture
def candidates():
    """Three prompts; at the second both objectives choose the same response."""
    rewards = np.array(
        [
            [[2.0, 0.0], [0.0, 2.0], [1.5, 1.5]],
            [[2.0, 2.0], [0.0, 0.0], [1.0, 1.0]],
            [[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]],
        ]
    )
    return Candidates(
        reward.names,
        rewards,
        np.ones(rewards.shape, bool),
        reward.objectives,
        rewards + 10,
        np.full((3, 3), 4),
        prompts=("one", "two", "three"),
        responses=tuple(tuple(f"{p}{r}" for r in range(3)) for p in range(3)),
    )


def test_examples_are_the_prompts_whose_answers_change_most(candidates):
    found = choose_examples(reward, candidates, count=2)
    assert [example["prompt"] for example in found] == ["one", "three"]
    first = {answer["label"]: answer for answer in found[0]["answers"]}
    assert [answer["text"] for answer in found[0]["answers"]] == ["00", "01", "02"]
    assert first["helpful only"]["rewards"] == [12.0, 10.0]
    assert first["equal weights"]["weights"] == [0.5, 0.5]


def test_every_candidate_has_both_sides_rewards_and_null_where_absent(candidates):
    candidates.rewards[0, 1, 0] = np.nan
    lines = [json.loads(line) for line in candidate_lines(candidates).splitlines()]
    assert [line["prompt"] for line in lines] == ["one", "two", "three"]
    assert lines[0]["responses"] == ["00", "01", "02"]
    assert lines[0]["selector"]["helpful"] == [2.0, None, 1.5]
    assert lines[0]["judge"]["harmless"] == [10.0, 12.0, 11.5]
