"""Perturbations change the form of a text, and nothing that they should not."""

import re
from collections import Counter

import pytest

from morl.assess import perturbations as p

TEXT = (
    "Basil likes water in the morning. Keep it warm! Would it survive outside? "
    "Only where nights are warm enough for tomatoes."
)
LISTED = "Buy these:\n1. green tea\n2. oat milk\n3. brown sugar\nThat is all."
ALL = (
    p.bold,
    p.bullets,
    p.heading,
    p.filler,
    p.upper_case,
    p.lower_case,
    p.typos,
    p.shuffled_sentences,
    p.shuffled_items,
)


def words(text):
    return Counter(re.findall(r"\w+", text))


@pytest.mark.parametrize("change", ALL)
def test_a_seed_gives_one_text_and_changes_it(change):
    text = LISTED if change is p.shuffled_items else TEXT
    assert change(text, 3) == change(text, 3) != text


@pytest.mark.parametrize("change", ALL)
def test_nothing_stays_nothing(change):
    assert change("", 0) == ""


@pytest.mark.parametrize(
    "change", [p.bold, p.bullets, p.shuffled_sentences, p.shuffled_items]
)
@pytest.mark.parametrize("text", [TEXT, LISTED])
def test_form_and_order_keep_every_word(change, text):
    numbers = {"1": 0, "2": 0, "3": 0}
    for seed in range(5):
        assert words(change(text, seed)) | numbers == words(text) | numbers


def test_typos_keep_first_letters_and_every_letter():
    for seed in range(20):
        changed = p.typos(TEXT, seed).split()
        pairs = list(zip(TEXT.split(), changed, strict=True))
        assert all(sorted(a) == sorted(b) and a[0] == b[0] for a, b in pairs)
        assert 1 <= sum(a != b for a, b in pairs) <= 2


def test_sentences_move_whole_and_lists_are_left_alone():
    moved = p.shuffled_sentences(TEXT, 1)
    cut = lambda text: sorted(re.split(r"(?<=[.!?])\s", text))
    assert cut(moved) == cut(TEXT)
    assert p.shuffled_sentences(LISTED, 1) == LISTED
    assert p.shuffled_sentences("One sentence.", 1) == "One sentence."


def test_items_move_between_marks_that_stay():
    lines = p.shuffled_items(LISTED, 0).split("\n")
    assert (lines[0], lines[-1]) == ("Buy these:", "That is all.")
    assert [line[:3] for line in lines[1:4]] == ["1. ", "2. ", "3. "]
    assert p.shuffled_items(TEXT, 0) == TEXT


def test_filler_holds_the_text():
    assert TEXT in p.filler(TEXT, 5)
    assert len({p.filler(TEXT, seed) for seed in range(30)}) > 4
