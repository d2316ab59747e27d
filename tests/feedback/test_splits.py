import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.errors import InputError
from morl.feedback import (
    Message,
    Record,
    opening_key,
    plain_record,
    prompt_key,
    split_by_prompt,
)

SHARES = {"train": 0.5, "judge": 0.3, "test": 0.2}
WORDS = st.text("abcAB \n", min_size=1, max_size=8)
PROMPTS = st.lists(WORDS, max_size=20)


def asked(prompts):
    return [plain_record(p, ["?"], id=str(n)) for n, p in enumerate(prompts)]


def where(records, seed=0):
    parts = split_by_prompt(records, SHARES, seed=seed)
    return {record.id: name for name, part in parts.items() for record in part}


@settings(deadline=None)
@given(PROMPTS, st.randoms(), st.integers(0, 3))
def test_no_reordering_and_no_missing_row_moves_a_record(prompts, random, seed):
    records = asked(prompts)
    before = where(records, seed)
    kept = [record for record in records if random.random() < 0.5]
    random.shuffle(kept)
    after = where(kept, seed)
    assert len(before) == len(records)
    assert after == {record.id: before[record.id] for record in kept}


@settings(deadline=None)
@given(PROMPTS)
def test_prompts_equal_but_for_space_and_case_go_together(prompts):
    records = asked(prompts)
    parts = where(records)
    seen = {}
    for record in records:
        key = " ".join(record.prompt[0].content.split()).casefold()
        assert seen.setdefault(key, parts[record.id]) == parts[record.id]


def test_dialogues_that_continue_each_other_go_together():
    for n in range(50):
        start = (Message("system", "Be kind."), Message("user", f"Question {n}?"))
        more = (*start, Message("assistant", "Yes."), Message("user", "Why?"))
        answer = ((Message("assistant", "So."),),)
        both = [Record(start, answer, id="a"), Record(more, answer, id="b")]
        assert len(set(where(both).values())) == 1


def test_what_no_split_tears_apart_has_one_opening_key():
    start = (Message("system", "Be kind."), Message("user", "Are you?"))
    same = (
        start,
        (*start, Message("assistant", "Yes."), Message("user", "Why?")),
        (start[0], Message("user", " are YOU?")),
    )
    assert len({opening_key(Record(prompt, ())) for prompt in same}) == 1
    others = ((start[1],), (start[0], Message("user", "Are you? Why?")))
    assert not {opening_key(Record(prompt, ())) for prompt in others} & {
        opening_key(Record(start, ()))
    }


def test_the_system_turn_counts():
    def told(system):
        turns = (Message("system", system), Message("user", "Hello?"))
        return Record(turns, (), id=system)

    assert len(set(where([told(str(n)) for n in range(100)]).values())) == 3


def test_parts_have_their_sizes_within_binomial_noise():
    records = [plain_record(f"question {n}", [], id=str(n)) for n in range(4_000)]
    parts = split_by_prompt(records, SHARES, seed=7)
    for name, share in SHARES.items():
        spread = (4_000 * share * (1 - share)) ** 0.5
        assert abs(len(parts[name]) - 4_000 * share) < 4 * spread


def test_another_seed_is_an_independent_split():
    records = [plain_record(f"question {n}", [], id=str(n)) for n in range(4_000)]
    first, second = where(records, 0), where(records, 1)
    agree = sum(first[key] == second[key] for key in first) / 4_000
    expected = 0.5**2 + 0.3**2 + 0.2**2
    assert agree == pytest.approx(expected, abs=4 * (0.38 * 0.62 / 4_000) ** 0.5)


def test_records_keep_their_order_within_a_part():
    records = [plain_record(f"question {n}", [], id=f"{n:03}") for n in range(100)]
    for part in split_by_prompt(records, SHARES, seed=0).values():
        assert [r.id for r in part] == sorted(r.id for r in part)


def test_the_key_sees_every_field_of_the_prompt_and_nothing_else():
    call = Message("assistant", "", tool_calls=({"id": "a"},))
    prompts = [
        (Message("user", "a"),),
        (Message("system", "a"),),
        (Message("user", "A"),),
        (Message("user", "a", name="b"),),
        (Message("user", "a"), Message("user", "a")),
        (call,),
        (Message("tool", "a"),),
        (Message("tool", "a", tool_call_id="b"),),
        (Message("user", "\ud800"),),
    ]
    keys = [prompt_key(Record(prompt, ())) for prompt in prompts]
    assert len(set(keys)) == len(prompts)
    answered = plain_record("a", ["b"], source="s", id="i")
    assert prompt_key(answered) == keys[0]


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({}, "fractions: found none"),
        ({"a": 0.5, "b": 0.4}, "fractions: found a sum of 0.9, expected 1"),
        ({"a": 1.5, "b": -0.5}, "fractions.a: found 1.5"),
        ({"a": 1.0, "b": 0.0}, "fractions.b: found 0.0"),
        ({"a": float("nan")}, "fractions.a: found nan"),
    ],
)
def test_fractions_that_are_not_shares_of_one_whole_are_refused(fractions, message):
    with pytest.raises(InputError, match=message):
        split_by_prompt([], fractions, seed=0)
