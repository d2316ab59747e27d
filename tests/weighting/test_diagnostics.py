"""Diagnostics read off a Gramian."""

from itertools import combinations
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.weighting.diagnostics import conflict_share, gradient_cosines, norm_ratios

DIAGNOSTICS = [gradient_cosines, conflict_share, norm_ratios]


def gramian_of(key, *, scale=1.0, k=5):
    rows = scale * jax.random.normal(key, (k, 7))
    return np.asarray(rows, float), rows @ rows.T


def test_cosines_and_norms_are_those_of_the_rows(key):
    rows, gramian = gramian_of(key)
    norms = [sqrt(sum(x * x for x in row)) for row in rows]
    cosines = [
        [a @ b / (n * m) for b, m in zip(rows, norms, strict=True)]
        for a, n in zip(rows, norms, strict=True)
    ]
    np.testing.assert_allclose(gradient_cosines(gramian), cosines, atol=1e-6)
    np.testing.assert_allclose(
        norm_ratios(gramian), np.array(norms) / np.mean(norms), rtol=1e-5
    )


def test_the_conflict_share_counts_pairs_that_point_apart(key):
    rows, gramian = gramian_of(key)
    apart = [float(a @ b < 0) for a, b in combinations(rows, 2)]
    np.testing.assert_allclose(conflict_share(gramian), np.mean(apart), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-15, 1e-10, 1e15])
def test_no_scale_of_the_gradients_changes_a_diagnostic(scale, key):
    _, small = gramian_of(key)
    _, large = gramian_of(key, scale=scale)
    for diagnostic in DIAGNOSTICS:
        np.testing.assert_allclose(diagnostic(large), diagnostic(small), atol=1e-5)


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_absent_objectives_may_hold_nan_and_are_left_out(diagnostic, key):
    _, gramian = gramian_of(key)
    spoilt = gramian.at[2].set(jnp.nan).at[:, 2].set(jnp.nan)
    present = jnp.ones(5, bool).at[2].set(False)
    rest = jnp.array([0, 1, 3, 4])
    value = jax.jit(diagnostic)(spoilt, present)
    alone = diagnostic(gramian[rest][:, rest])
    if value.ndim:
        np.testing.assert_array_equal(value[2], 0)
        value = value[rest][:, rest] if value.ndim == 2 else value[rest]
    np.testing.assert_allclose(value, alone, rtol=1e-6)


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_zero_gradients_give_zeros(diagnostic):
    assert (diagnostic(jnp.zeros((3, 3))) == 0).all()
    assert (diagnostic(jnp.eye(3), jnp.zeros(3, bool)) == 0).all()


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_vmap_matches_a_loop_and_float64_stays(diagnostic, key):
    with jax.enable_x64(True):
        many = jnp.stack([gramian_of(k)[1] for k in jax.random.split(key, 3)])
        looped = jnp.stack([diagnostic(one) for one in many])
        np.testing.assert_allclose(jax.vmap(diagnostic)(many), looped, rtol=1e-14)
        assert diagnostic is conflict_share or looped.dtype == many.dtype


@pytest.mark.parametrize("diagnostic", DIAGNOSTICS)
def test_dtypes_are_promoted_nowhere_by_accident(diagnostic, key):
    _, gramian = gramian_of(key)
    with jax.numpy_dtype_promotion("strict"):
        value = diagnostic(gramian, jnp.ones(5, bool))
    assert value.dtype == jnp.float32
