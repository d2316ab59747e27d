"""The small quadratic programs beside two other solvers: quadprog's and qpax's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qpax
import quadprog

from morl.numerics.small_qp import above_qp, least_norm, nonnegative_qp

NUM = 10


def drawn(k):
    """Gramians of twice as many dimensions as rows, linear terms and lower bounds."""
    draws = np.random.default_rng(k)
    rows = draws.standard_normal((NUM, k, 2 * k))
    linear = draws.standard_normal((NUM, k))
    return rows @ rows.swapaxes(1, 2), linear, draws.uniform(0, 1, (NUM, k))


@jax.jit
@jax.vmap
def solved(gramian, linear, lower):
    """The points of the three programs, and their largest residual."""
    found = (
        nonnegative_qp(gramian, linear),
        above_qp(gramian, lower),
        least_norm(gramian),
    )
    points = jnp.stack([each.point for each in found])
    return points, jnp.max(jnp.stack([each.residual for each in found]))


def by_quadprog(gramian, linear, lower):
    """By the dual active-set method of Goldfarb and Idnani."""
    none, unit, k = np.zeros_like(linear), np.eye(linear.size), linear.size
    on_simplex = np.column_stack([np.ones(k), unit]), np.append(1.0, none)
    return [
        quadprog.solve_qp(gramian, -linear, unit, none)[0],
        quadprog.solve_qp(gramian, none, unit, lower)[0],
        quadprog.solve_qp(gramian, none, *on_simplex, meq=1)[0],
    ]


@jax.jit
@jax.vmap
def by_qpax(gramian, linear, lower):
    """By an interior-point method."""
    none, unit = jnp.zeros_like(linear), jnp.eye(linear.size)
    free = jnp.zeros((0, linear.size)), jnp.zeros(0)
    whole = jnp.ones((1, linear.size)), jnp.ones(1)

    def point(slope, equal, least):
        return qpax.solve_qp(gramian, slope, *equal, -unit, -least, solver_tol=1e-10)[0]

    return jnp.stack(
        [point(linear, free, none), point(none, free, lower), point(none, whole, none)]
    )


@pytest.mark.parametrize(
    "k", [*(pytest.param(k, marks=pytest.mark.slow) for k in (3, 32)), 8]
)
def test_the_points_are_those_of_quadprog(k):
    with jax.enable_x64(True):
        found = solved(*map(jnp.asarray, drawn(k)))
    points, residual = map(np.asarray, found)
    assert residual.max() < 1e-13
    expected = [by_quadprog(*each) for each in zip(*drawn(k), strict=True)]
    np.testing.assert_allclose(points, expected, atol=1e-10)


@pytest.mark.parametrize("k", [pytest.param(3, marks=pytest.mark.slow), 8])
def test_the_points_are_those_of_qpax(k):
    with jax.enable_x64(True):
        given = tuple(map(jnp.asarray, drawn(k)))
        # It promotes ranks as it goes.
        with jax.numpy_rank_promotion("allow"):
            expected = by_qpax(*given)
        np.testing.assert_allclose(solved(*given)[0], expected, atol=1e-7)
