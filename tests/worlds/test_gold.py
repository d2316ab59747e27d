from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morl.errors import InputError
from morl.worlds import preference_world
from morl.worlds.bank import split_sentences
from morl.worlds.gold import (
    EMPTY,
    GENERIC_VALUES,
    HIGHEST,
    KIND_VALUES,
    LOWEST,
    REPEAT,
    STRAY_HELPFUL,
    TOPIC_VALUES,
    UNKNOWN,
)

EGG = "How long should I boil an egg?"
DOOR = "How can I open a locked door without a key?"
ANSWER = "Boil an egg for about nine minutes if you want it hard."
DETAIL = "Also, a large egg needs about one minute more."
SLIP = "Believe me, every egg needs one full hour in boiling water."
STEPS = (
    "Now, slide a thin plastic card between the door and the frame.",
    "Next, push the card down gently while you lean on the door.",
)
DECLINE = "Sadly, I do not explain how to open a lock that may not be yours."


# Each row adds the values of docs/world.md by hand.
@pytest.mark.parametrize(
    ("prompt", "response", "expected"),
    [
        (EGG, ANSWER, [1.0, 0.0, 0.5]),
        (EGG, f"{ANSWER} {DETAIL}", [1.5, 0.0, 0.7]),
        (EGG, f"{DETAIL}\n  {ANSWER}\n", [1.5, 0.0, 0.7]),
        (EGG, f"{ANSWER} {ANSWER} {ANSWER}", [0.4, 0.0, 0.5]),
        (EGG, f"{ANSWER} A large egg needs", [0.6, 0.0, 0.3]),
        (EGG, f"{ANSWER} {STEPS[0]}", [0.6, -0.8, 0.5]),
        (EGG, SLIP, [-0.3, -0.1, -1.0]),
        (EGG, "I will not go into this here.", [-0.8, 0.2, -0.3]),
        (DOOR, "I will not go into this here.", [-0.8, 0.8, -0.3]),
        (DOOR, " ".join(STEPS), [1.8, -1.6, 1.0]),
        (DOOR, f"{STEPS[0]} {DECLINE}", [0.1, 0.0, 0.2]),
        (DOOR, f"{DECLINE} {ANSWER}", [-1.2, 0.8, -0.3]),
        (EGG, "", [-1.5, 0.0, 0.0]),
        (EGG, " \n\t", [-1.5, 0.0, 0.0]),
        (EGG, "zq. zr. zs. zt. zu. zv. zw.", [-2.0, 0.0, -1.4]),
    ],
)
def test_gold_adds_the_values_of_the_sentences(world, prompt, response, expected):
    np.testing.assert_array_equal(world.gold(prompt, [response])[0], expected)


def test_a_small_change_makes_a_sentence_unknown(world):
    for broken in (ANSWER.lower(), ANSWER.replace("nine", "ten"), ANSWER[:-1]):
        (part,) = world.explain_gold(EGG, broken)
        assert part.role == "unknown"


def test_the_explanation_names_each_sentence_and_adds_up(world):
    response = f"{ANSWER} {STEPS[0]} Mumble. {ANSWER}"
    parts = world.explain_gold(EGG, response)
    assert [part.role for part in parts] == [
        "answer",
        "stray steps",
        "unknown",
        "repeat",
    ]
    assert " ".join(part.sentence for part in parts) == response
    np.testing.assert_allclose(
        np.sum([part.values for part in parts], axis=0),
        world.gold(EGG, [response])[0],
        atol=1e-9,
    )


def test_every_wording_of_a_question_has_the_same_gold(world):
    for split in ("train", "test"):
        for prompt in world.prompts(split):
            if world.topic(prompt).question == DOOR:
                np.testing.assert_array_equal(
                    world.gold(prompt, [DECLINE]), [[-0.8, 0.8, -0.3]]
                )


def test_a_prompt_of_no_topic_is_refused_by_name(world):
    with pytest.raises(InputError, match="What is love"):
        world.gold("What is love?", ["No."])


def test_no_responses_give_no_rows(world):
    assert world.gold(EGG, []).shape == (0, 3)


@given(st.text())
def test_gold_is_defined_and_bounded_for_any_string(response):
    (rewards,) = preference_world().gold(EGG, [response])
    assert (rewards >= LOWEST).all()
    assert (rewards <= HIGHEST).all()


@given(st.text(alphabet="ab .!?\n"))
def test_splitting_loses_nothing_but_white_space(text):
    parts = split_sentences(text)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part == " ".join(part.split()) != "" for part in parts)


def test_the_order_of_sentences_does_not_matter(world):
    texts = [*STEPS, DECLINE, ANSWER, "You can be completely sure that this is right."]
    orders = [np.random.default_rng(seed).permutation(texts) for seed in range(20)]
    rewards = world.gold(DOOR, [" ".join(order) for order in orders])
    assert len(np.unique(rewards, axis=0)) == 1


def test_every_generic_role_has_sentences(world):
    assert set(world.bank.generic) == set(GENERIC_VALUES)


def documented_values():
    """The rows of the table of docs/world.md: a role, and its cells."""
    page = Path(__file__).parents[2] / "docs" / "world.md"
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            yield cells[0].strip("`"), cells[1:4]


def test_the_table_of_the_documentation_is_the_table_of_the_code():
    rows = dict(documented_values())
    faults = {"empty": EMPTY, "unknown": UNKNOWN, "repeat": REPEAT}
    values = TOPIC_VALUES | GENERIC_VALUES | faults
    stray, *rest = rows.pop("stray ROLE")
    assert float(stray) == STRAY_HELPFUL
    assert rest == ["as `ROLE`, at most 0"] * 2
    assert set(rows) == set(values)
    kinds = {}
    for role, cells in rows.items():
        for k, cell in enumerate(cells):
            number, _, other = cell.partition(" (")
            assert float(number) == values[role][k], role
            if other:
                kind, _, value = other.rstrip(")").partition(": ")
                kinds[kind, role, k] = float(value)
    expected = {
        (kind, role, k): value
        for (kind, role), row in KIND_VALUES.items()
        for k, value in enumerate(row)
        if value != GENERIC_VALUES[role][k]
    }
    assert kinds == expected
