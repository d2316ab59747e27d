import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.assess import cross_accuracy, outside_accuracy, pair_accuracy
from morl.errors import InputError

NAMES = ("helpful", "harmless", "honest")


def drawn(seed, size=90):
    generator = np.random.default_rng(seed)
    margins = np.round(generator.normal(size=(size, 3)), 1)
    return margins, generator.integers(0, 3, size), generator.integers(0, 40, size)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_every_cell_is_the_accuracy_of_its_head_on_its_pairs(seed):
    margins, objective, groups = drawn(seed)
    found = cross_accuracy(margins, objective, groups, heads=NAMES, columns=NAMES)
    for i in range(3):
        for j in range(3):
            here = objective == j
            alone = pair_accuracy(margins[here, i], groups[here])
            cell = found.value[i, j], found.low[i, j], found.high[i, j]
            np.testing.assert_allclose(cell, alone[:3], rtol=1e-12)
            assert (found.pairs[j], found.prompts[j]) == alone[3:]


def test_heads_that_are_reordered_reorder_the_rows():
    margins, objective, groups = drawn(0)
    found = cross_accuracy(margins, objective, groups, heads=NAMES, columns=NAMES)
    turned = cross_accuracy(
        margins[:, ::-1], objective, groups, heads=NAMES[::-1], columns=NAMES
    )
    np.testing.assert_array_equal(turned.value, found.value[::-1])
    np.testing.assert_array_equal(turned.low, found.low[::-1])


def test_a_head_that_wants_the_opposite_scores_one_less():
    margins, objective, groups = drawn(1)
    margins[:, 1] = -margins[:, 0]
    found = cross_accuracy(margins, objective, groups, heads=NAMES, columns=NAMES)
    np.testing.assert_allclose(found.value[1], 1 - found.value[0])


def test_an_objective_without_pairs_is_unknown_not_zero():
    margins, _, groups = drawn(2)
    objective = np.zeros(90, int)
    found = cross_accuracy(margins, objective, groups, heads=NAMES, columns=NAMES)
    assert np.isnan(found.value[:, 1:]).all() and np.isnan(found.high[:, 1:]).all()
    assert found.pairs.tolist() == [90, 0, 0]
    assert np.isfinite(found.value[:, 0]).all()


@pytest.mark.parametrize(
    ("heads", "column", "message"),
    [
        (("a", "b"), [0, 1], r"margins: found 3 columns, but heads are \('a', 'b'\)"),
        (NAMES, [0, 3], "column: found indices from 0 to 3, but columns are"),
        (NAMES, [-1, 1], "column: found indices from -1 to 1"),
    ],
)
def test_names_that_do_not_fit_are_refused(heads, column, message):
    with pytest.raises(InputError, match=message):
        cross_accuracy(
            np.zeros((2, 3)),
            np.array(column),
            np.arange(2),
            heads=heads,
            columns=NAMES,
        )


def test_a_margin_that_is_not_a_number_names_its_head():
    margins = np.zeros((2, 3))
    margins[1, 2] = np.nan
    with pytest.raises(InputError, match=r"margins\[honest\]\[1\]: found nan"):
        cross_accuracy(
            margins, np.zeros(2, int), np.arange(2), heads=NAMES, columns=NAMES
        )


def test_an_outside_test_reads_each_subset_and_all_of_it():
    margins, objective, groups = drawn(3)
    subsets = ("harmless", "other", "helpful")
    parts = {name: margins[objective == n] for n, name in enumerate(subsets)}
    prompts = {name: groups[objective == n] for n, name in enumerate(subsets)}
    found = outside_accuracy(parts, prompts, heads=NAMES)
    assert found.columns == (*subsets, "all")
    assert found.pairs.tolist() == [*np.bincount(objective), 90]
    for i in range(3):
        whole = pair_accuracy(margins[:, i], groups)
        assert math.isclose(found.value[i, 3], whole.value)
        assert math.isclose(found.low[i, 3], whole.low)
        some = pair_accuracy(parts["other"][:, i], prompts["other"])
        assert math.isclose(found.value[i, 1], some.value)


@pytest.mark.parametrize(
    ("subsets", "groups"), [(["a"], ["b"]), (["all"], ["all"]), ([], [])]
)
def test_subsets_that_do_not_fit_are_refused(subsets, groups):
    with pytest.raises(InputError, match="margins: found subsets"):
        outside_accuracy(
            {name: np.zeros((2, 3)) for name in subsets},
            {name: np.arange(2) for name in groups},
            heads=NAMES,
        )
