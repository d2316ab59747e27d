"""Dialogues that share their opening depend on each other, and count as one prompt."""

import numpy as np

from morl.feedback import Labels, Message, Pair, Record
from morl.fronts import HeadSettings, balanced_prompts, make_pool

ANSWERS = tuple((Message("assistant", text),) for text in ("Yes.", "No."))


def dialogue(number, depth):
    """A dialogue after ``depth`` more turns that continues all shorter ones."""
    turns = [Message("user", f"Question {number}?")]
    for turn in range(depth):
        turns += [Message("assistant", f"{turn}"), Message("user", "And then?")]
    labels = {"helpful": Labels(pairs=(Pair(0, 1),))}
    return Record(tuple(turns), ANSWERS, labels=labels, id=f"{number}.{depth}")


def test_intervals_draw_dialogues_that_continue_each_other_as_one():
    records = [dialogue(number, depth) for number in range(60) for depth in range(3)]
    pool = make_pool(records, ("helpful",), HeadSettings())
    numbers = [record.id.split(".")[0] for record in pool.records]
    groups = dict(zip(numbers, pool.prompts.tolist(), strict=True))
    assert len(pool.records) == 3 * len(groups)
    assert sorted(groups.values()) == list(range(len(groups)))
    assert pool.prompts.tolist() == [groups[number] for number in numbers]
    for number in groups:
        own = np.array([other == number for other in numbers])
        assert len(set(pool.folds[own])) == len(set(pool.judges[own])) == 1


def test_prompts_of_a_front_have_different_openings():
    records = [dialogue(number, depth) for number in range(9) for depth in range(3)]
    drawn = balanced_prompts(records, ("helpful",), 20, seed=0)
    assert sorted(record.id.split(".")[0] for record in drawn) == list("012345678")
    again = balanced_prompts(records[::-1], ("helpful",), 20, seed=0)
    assert [record.id for record in again] == [record.id for record in drawn]
