from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morl.errors import InputError
from morl.pareto import simplex_lattice

# Das-Dennis, 3 objectives: 91 for 12 divisions; the protocol's 66 for 10, 11 for two.
SIZES = {(2, 10): 11, (3, 10): 66, (3, 12): 91, (3, 6): 28, (1, 5): 1}


@pytest.mark.parametrize(("shape", "size"), SIZES.items())
def test_a_lattice_has_as_many_weightings_as_the_protocol_says(shape, size):
    assert simplex_lattice(*shape).shape == (size, shape[0])


@given(st.integers(1, 5), st.integers(1, 7))
def test_a_lattice_is_every_multiple_on_the_simplex_once(objectives, divisions):
    lattice = simplex_lattice(objectives, divisions)
    steps = lattice * divisions
    assert lattice.dtype == np.float64
    assert len(lattice) == comb(divisions + objectives - 1, objectives - 1)
    assert len(np.unique(np.round(steps), axis=0)) == len(lattice)
    assert (lattice >= 0).all()
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-12)
    np.testing.assert_allclose(lattice.sum(1), 1, atol=1e-12)


@given(st.integers(1, 6), st.integers(1, 5))
def test_every_vertex_is_in_the_lattice(objectives, divisions):
    lattice = simplex_lattice(objectives, divisions)
    for vertex in np.eye(objectives):
        assert (lattice == vertex).all(axis=1).any()


def test_the_centroid_is_in_the_lattice_when_it_divides():
    assert np.isclose(simplex_lattice(3, 12), 1 / 3).all(axis=1).any()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (12, 60)])
def test_an_impossible_or_huge_lattice_is_refused(shape):
    with pytest.raises(InputError, match="simplex_lattice"):
        simplex_lattice(*shape)
