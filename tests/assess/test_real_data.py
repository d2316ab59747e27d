"""Baselines on real preferences, against the numbers published with the data."""

import numpy as np
import pytest

from morl.assess import (
    length_margins,
    pair_accuracy,
    response_only_logits,
    response_only_margins,
)
from morl.assess.ranking import area_under_roc
from morl.feedback import prompt_key, read_halueval, read_hh, read_truthfulqa
from morl.feedback.splits import split_by_prompt

pytestmark = pytest.mark.slow


def response_text(response):
    return "\n\n".join(message.content for message in response)


def folds_of(records):
    parts = split_by_prompt(records, {f"{n}": 0.2 for n in range(5)}, seed=0)
    place = {id(record): int(name) for name, part in parts.items() for record in part}
    return np.array([place[id(record)] for record in records])


def groups_of(records):
    numbers = {}
    return np.array(
        [numbers.setdefault(prompt_key(record), len(numbers)) for record in records]
    )


# Five folds by prompt, lengths in characters; the tolerance of the first column is that
# of the data's notes, where the numbers were found by another implementation.
@pytest.mark.parametrize(
    ("read", "response_only", "tolerance", "length"),
    [
        (lambda data: read_hh(data, "helpful"), 0.60, 0.02, 0.60),
        (lambda data: read_hh(data, "harmless"), 0.62, 0.02, 0.45),
        (read_truthfulqa, 0.80, 0.03, 0.65),
    ],
    ids=["helpful", "harmless", "truthfulqa"],
)
def test_baselines_on_real_pairs_are_those_found_elsewhere(
    data, read, response_only, tolerance, length
):
    records = read(data)
    better, worse = (
        [response_text(record.responses[side]) for record in records] for side in (0, 1)
    )
    groups = groups_of(records)
    words = response_only_margins(better, worse, folds_of(records))
    assert abs(pair_accuracy(words, groups).value - response_only) <= tolerance
    sizes = [np.array([len(text) for text in side]) for side in (better, worse)]
    assert abs(pair_accuracy(length_margins(*sizes), groups).value - length) <= 0.005


def test_words_alone_tell_hallucinated_answers_from_sound_ones(data):
    records = read_halueval(data)[:1500]
    texts = [response_text(record.responses[0]) for record in records]
    labels = np.array([record.labels["honest"].scores[0] == 1 for record in records])
    logits = response_only_logits(texts, labels, folds_of(records))
    assert area_under_roc(logits, labels, groups_of(records)).low > 0.55
