"""Fronts spread over eight devices have the measures they have on one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.pareto import (
    crowding_distance,
    front_rank,
    hypervolume,
    hypervolume_contributions,
    non_dominated,
    polar_hypervolume,
    sobol_sphere,
)
from morl.pareto.contributions import exclusive
from morl.pareto.hypervolume import volume
from morl.pareto.sweep import in_slices

P = jax.P
BATCH, N = 16, 7


@pytest.fixture
def mesh():
    return jax.make_mesh((8,), ("front",), axis_types=(jax.sharding.AxisType.Auto,))


def fronts(k):
    """Few levels: ties, copies and dominated points; masked ones hold NaN."""
    rng = np.random.default_rng(k)
    points = rng.integers(-1, 6, (BATCH, N, k)).astype(np.float32)
    mask = rng.random((BATCH, N)) < 0.8
    return jnp.asarray(np.where(mask[..., None], points, np.nan)), jnp.asarray(mask)


def measured(points, mask):
    """Every compiled measure of one front, with the gradient of those that have one."""
    k = points.shape[1]
    reference = jnp.zeros(k)
    rank = front_rank(points, mask=mask)
    apart = partial(hypervolume_contributions, reference=reference, mask=mask)
    rays = jnp.asarray(sobol_sphere(k, 32), jnp.float32)
    filled = jnp.where(mask[:, None], points, 0)
    extents = jnp.maximum(filled, 0)
    return {
        "volume": jax.value_and_grad(hypervolume)(points, reference, mask=mask),
        "polar": jax.value_and_grad(polar_hypervolume)(
            points, reference, rays, mask=mask
        ),
        "contributions": jax.value_and_grad(lambda p: jnp.sum(apart(p) ** 2))(points),
        # What takes the place of one grid for a set that is too large for it.
        "slices": (in_slices(volume, extents), in_slices(exclusive, extents)),
        "kept": non_dominated(points, mask=mask),
        "rank": rank,
        "crowding": crowding_distance(filled, rank),
    }


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "k", [2, *(pytest.param(k, marks=pytest.mark.slow) for k in (3, 5))]
)
def test_shard_map_and_sharded_jit_measure_fronts_as_one_device_does(mesh, k):
    points, mask = fronts(k)
    each = jax.vmap(measured)
    expected = jax.jit(each)(points, mask)
    whole = P("front")
    mapped = jax.shard_map(each, mesh=mesh, in_specs=whole, out_specs=whole)
    found = jax.jit(mapped)(points, mask)
    assert_same(found, expected)
    put = lambda x: jax.device_put(x, jax.NamedSharding(mesh, whole))
    assert_same(jax.jit(each)(put(points), put(mask)), expected)
    for leaf in jax.tree.leaves(found):
        assert len(leaf.sharding.device_set) == 8


def test_the_mean_volume_over_devices_is_reduced_like_any_loss(mesh):
    points, mask = fronts(3)
    one = lambda p, m: hypervolume(p, jnp.zeros(3), mask=m)
    mean = lambda p, m: jnp.mean(jax.vmap(one)(p, m))
    over = lambda p, m: jax.lax.pmean(mean(p, m), "front")
    mapped = jax.shard_map(over, mesh=mesh, in_specs=P("front"), out_specs=P())
    value, slope = jax.jit(jax.value_and_grad(mapped))(points, mask)
    expected, other = jax.jit(jax.value_and_grad(mean))(points, mask)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, other, rtol=1e-6, atol=1e-7)


def test_points_split_over_devices_have_the_measures_of_one(mesh):
    points = jnp.asarray(np.random.default_rng(0).random((64, 3)), jnp.float32)
    put = jax.device_put(points, jax.NamedSharding(mesh, P("front")))
    for fn in (
        lambda p: hypervolume(p, jnp.zeros(3)),
        lambda p: hypervolume_contributions(p, jnp.zeros(3)),
        non_dominated,
        front_rank,
    ):
        fn = jax.jit(fn)
        np.testing.assert_allclose(fn(put), fn(points), rtol=1e-6)
