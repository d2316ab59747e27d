"""Who may learn from what: selector, judge and answered prompts share nothing."""

import numpy as np
import pytest

from morl.errors import InputError
from morl.feedback import Labels, Message, Pair, Record, opening_key, prompt_key
from morl.fronts import HeadSettings, make_pool

ANSWERS = tuple((Message("assistant", text),) for text in ("Yes.", "No."))
SETTINGS = HeadSettings(max_pairs=100)


def dialogue(number, depth, objective):
    """A dialogue after ``depth`` more turns, labelled for one objective."""
    turns = [Message("user", f"Question {number}?")]
    for turn in range(depth):
        turns += [Message("assistant", f"{turn}"), Message("user", "And then?")]
    if objective == "honest":
        return Record(
            tuple(turns), ANSWERS[:1], {objective: Labels(scores=(float(number % 2),))}
        )
    return Record(tuple(turns), ANSWERS, {objective: Labels(pairs=(Pair(0, 1),))})


@pytest.fixture(scope="module")
def records():
    objectives = ("helpful", "harmless", "honest")
    return [
        dialogue(number, depth, objectives[(number + depth) % 3])
        for number in range(150)
        for depth in range(3)
    ]


@pytest.fixture(scope="module")
def pool(records):
    return make_pool(records, ("helpful", "harmless", "honest"), SETTINGS)


def openings(records):
    return {opening_key(record) for record in records}


def test_selector_judge_and_prompts_are_disjoint_by_opening(pool, records):
    of = lambda part: openings(pool.records[row] for row in np.flatnonzero(part))
    parts = [of(~pool.judges), of(pool.judges), openings(pool.held_out)]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) <= openings(records)


def test_folds_are_disjoint_by_opening_and_both_parts_have_each(pool):
    keys = np.array([opening_key(record) for record in pool.records])
    for key in set(keys):
        assert len(set(pool.folds[keys == key])) == 1
    for part in (pool.judges, ~pool.judges):
        assert set(pool.folds[part]) == set(range(SETTINGS.folds))


def test_tables_point_at_the_records_that_label_them(pool):
    for table in (pool.pairs, pool.scores):
        for record, objective in zip(table.record_index, table.objective, strict=True):
            assert pool.objectives[objective] in pool.records[record].labels
    assert set(pool.scores.objective) == {2}
    referred = set(pool.pairs.record_index) | set(pool.scores.record_index)
    assert referred == set(range(len(pool.records)))


def test_no_objective_has_more_than_it_may(pool):
    counts = [
        int(
            (pool.pairs.objective == place).sum()
            + (pool.scores.objective == place).sum()
        )
        for place in range(3)
    ]
    assert counts == [SETTINGS.max_pairs] * 3


def test_who_learns_from_a_record_does_not_depend_on_the_order_of_the_file(
    pool, records
):
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    other = make_pool(shuffled, pool.objectives, HeadSettings(max_pairs=1000))
    role = lambda pool: {
        prompt_key(record): (bool(judge), int(fold))
        for record, judge, fold in zip(
            pool.records, pool.judges, pool.folds, strict=True
        )
    }
    mine, theirs = role(pool), role(other)
    assert mine.items() <= theirs.items()
    assert openings(pool.held_out) == openings(other.held_out)


def test_an_objective_that_a_part_could_not_learn_is_named(records):
    alone = [dialogue(0, 0, "helpful")]
    others = [record for record in records if "helpful" not in record.labels]
    with pytest.raises(InputError, match="no pair or label for 'helpful' in the"):
        make_pool([*others, *alone], ("helpful", "harmless"), SETTINGS)


def test_a_score_that_is_no_probability_is_refused(records):
    odd = Record(
        (Message("user", "How good?"),), ANSWERS[:1], {"honest": Labels((5.0,))}
    )
    with pytest.raises(InputError, match=r"scores: found .* to 5.0 on single"):
        make_pool([*records, odd], ("honest",), HeadSettings())


def test_so_few_prompts_that_one_fold_holds_them_all_are_refused():
    few = [dialogue(number, 0, "helpful") for number in range(4)]
    with pytest.raises(InputError, match=r"folds: found 2 folds, .* on 4 prompts"):
        make_pool(few, ("helpful",), HeadSettings(folds=2))
