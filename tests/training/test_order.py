import itertools
import threading

import numpy as np
import pytest

from morl.errors import InputError
from morl.training.order import PADDING, Drawn, Order, Prefetched

LENGTHS = np.random.default_rng(0).integers(1, 64, 101)
ORDER = Order(LENGTHS, (8, 16, 32, 64), rows=8, seed=3)


def test_an_epoch_holds_every_example_once():
    rows = np.concatenate([drawn.rows for drawn in ORDER.epoch(0)])
    assert sorted(rows[rows != PADDING]) == list(range(len(LENGTHS)))


def test_batches_have_as_many_rows_as_asked_and_are_as_long_as_their_bucket():
    for drawn in ORDER.epoch(1):
        known = drawn.rows[drawn.rows != PADDING]
        assert len(drawn.rows) == 8
        assert (LENGTHS[known] <= drawn.length).all()
        assert (LENGTHS[known] > drawn.length // 2).all() or drawn.length == 8


def test_epochs_differ_and_all_have_the_same_number_of_batches():
    first, second = ORDER.epoch(0), ORDER.epoch(1)
    assert len(first) == len(second) == ORDER.batches_an_epoch
    same = [(a.rows == b.rows).all() for a, b in zip(first, second, strict=True)]
    assert not all(same)


@pytest.mark.parametrize("step", [0, 5, 16, 40])
def test_a_position_is_a_number_of_steps(step):
    take = lambda start, count: itertools.islice(ORDER.after(start), count)
    for whole, later in zip(
        itertools.islice(take(0, step + 20), step, None), take(step, 20), strict=True
    ):
        assert whole.length == later.length
        np.testing.assert_array_equal(whole.rows, later.rows)


def test_another_seed_gives_another_order():
    other = Order(LENGTHS, ORDER.boundaries, rows=8, seed=4)
    pairs = zip(ORDER.epoch(0), other.epoch(0), strict=True)
    assert not all((a.rows == b.rows).all() for a, b in pairs)


def test_a_row_longer_than_the_last_boundary_is_refused():
    with pytest.raises(InputError, match="expected 0 to 32, the last of boundaries"):
        Order(np.array([3, 40]), (16, 32), rows=2, seed=0)


def test_no_example_is_refused():
    with pytest.raises(InputError, match="examples: found none"):
        Order(np.array([], int), (16,), rows=2, seed=0)


DRAWN = [Drawn(np.array([number]), 8) for number in range(5)]


def test_batches_made_ahead_come_in_order():
    made = Prefetched(iter(DRAWN), lambda drawn: int(drawn.rows[0]))
    assert [next(made) for _ in DRAWN] == [0, 1, 2, 3, 4]
    made.close()


def test_what_making_a_batch_raises_is_raised_where_it_is_asked_for():
    def make(drawn):
        if drawn.rows[0] == 1:
            raise OSError("no such row")
        return 0

    made = Prefetched(iter(DRAWN), make)
    assert next(made) == 0
    with pytest.raises(OSError, match="no such row"):
        next(made)
    made.close()


def test_closing_ends_the_thread_while_batches_wait():
    made = Prefetched(itertools.cycle(DRAWN), lambda drawn: drawn, depth=1)
    next(made)
    count = threading.active_count()
    made.close()
    assert threading.active_count() == count - 1
