from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.errors import InputError
from morl.feedback import bucket, bucketed_batches

BOUNDARIES = [4, 8, 32]


@settings(deadline=None)
@given(st.lists(st.integers(0, 32), max_size=60), st.integers(32, 100))
def test_batches_hold_every_index_once_in_few_shapes(lengths, batch_tokens):
    batches = bucketed_batches(
        lengths, boundaries=BOUNDARIES, batch_tokens=batch_tokens
    )
    seen = [int(index) for batch in batches for index in batch.indices]
    assert sorted(seen) == list(range(len(lengths)))
    assert len({(batch.size, batch.length) for batch in batches}) <= len(BOUNDARIES)
    for batch in batches:
        assert 1 <= len(batch.indices) <= batch.size
        assert batch.size * batch.length <= batch_tokens
        assert (batch.size + 1) * batch.length > batch_tokens
        shorter = max([b for b in BOUNDARIES if b < batch.length], default=-1)
        assert all(shorter < lengths[i] <= batch.length for i in batch.indices)


@settings(deadline=None)
@given(st.lists(st.integers(0, 32), max_size=60))
def test_only_the_last_batch_of_a_bucket_is_short(lengths):
    batches = bucketed_batches(lengths, boundaries=BOUNDARIES, batch_tokens=64)
    for batch, following in pairwise(batches):
        if batch.length == following.length:
            assert len(batch.indices) == batch.size


def test_indices_of_a_bucket_keep_their_order():
    lengths = np.random.default_rng(0).integers(0, 33, 200)
    for batch in bucketed_batches(lengths, boundaries=BOUNDARIES, batch_tokens=64):
        assert np.all(np.diff(batch.indices) > 0)


def test_buckets_are_those_of_a_plain_loop():
    lengths = list(range(33))
    expected = [
        next(n for n, edge in enumerate(BOUNDARIES) if length <= edge)
        for length in lengths
    ]
    assert bucket(lengths, BOUNDARIES).tolist() == expected


def test_no_sequences_give_no_batches():
    assert bucketed_batches([], boundaries=[4], batch_tokens=4) == []


@pytest.mark.parametrize(
    ("lengths", "boundaries", "message"),
    [
        ([3, 33, 40], [4, 32], r"lengths\[1\]: found 33 tokens \(2 such"),
        ([3, -1], [4, 32], r"lengths\[1\]: found -1 tokens"),
        ([3], [], "boundaries: found"),
        ([3], [8, 8], "boundaries: found"),
        ([3], [0, 8], "boundaries: found"),
    ],
)
def test_what_no_batch_can_hold_is_refused(lengths, boundaries, message):
    with pytest.raises(InputError, match=message):
        bucketed_batches(lengths, boundaries=boundaries, batch_tokens=64)


def test_a_sequence_that_is_longer_than_a_batch_is_one_alone():
    batches = bucketed_batches([9, 3, 10], boundaries=[4, 16], batch_tokens=8)
    assert [(b.indices.tolist(), b.size, b.length) for b in batches] == [
        ([1], 2, 4),
        ([0], 1, 16),
        ([2], 1, 16),
    ]
