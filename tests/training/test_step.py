import functools

import jax
import numpy as np
import pytest

from morl.models.heads import ensemble, gated, gaussian, linear, mlp, quantile
from morl.training.mesh import MeshSettings
from morl.weighting import upgrad
from tests.training.runs import design, furthest, trained

CLOSE = 1e-5


@functools.cache
def alone(**changes):
    return trained(**changes)[0].params


ROUTES = [
    ("jit", MeshSettings()),
    ("jit", MeshSettings(data=2, fsdp=4)),
    ("jit", MeshSettings(data=2, fsdp=2, tensor=2)),
    ("shard_map", MeshSettings()),
    ("pmap", MeshSettings()),
]


@pytest.mark.parametrize(("strategy", "mesh"), ROUTES)
def test_every_route_over_eight_devices_trains_the_parameters_of_one(strategy, mesh):
    state, _ = trained(strategy, mesh, devices=8)
    assert furthest(state.params, alone()) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "mesh"), ROUTES)
@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_twenty_steps_by_any_route_and_device_count_end_alike(strategy, mesh, devices):
    if devices < mesh.fsdp * mesh.tensor:
        mesh = MeshSettings(data=1, fsdp=devices)
    if devices == 4 and mesh.fsdp == 4:
        mesh = MeshSettings(data=1, fsdp=4)
    if devices == 4 and mesh.tensor == 2:
        mesh = MeshSettings(data=1, fsdp=2, tensor=2)
    state, _ = trained(strategy, mesh, devices=devices, num_steps=20)
    assert furthest(state.params, alone(num_steps=20)) < CLOSE


@pytest.mark.parametrize(("strategy", "mesh"), ROUTES[1:])
def test_dropout_leaves_out_the_same_entries_by_every_route(strategy, mesh):
    state, _ = trained(strategy, mesh, devices=8, mode="lora", dropout=0.3)
    assert furthest(state.params, alone(mode="lora", dropout=0.3)) < CLOSE


def test_dropout_changes_what_is_trained():
    assert furthest(alone(mode="lora", dropout=0.3), alone(mode="lora")) > 1e-4


@pytest.mark.parametrize(("strategy", "mesh"), ROUTES[1:])
def test_a_weighting_sees_the_gradients_of_the_whole_batch(strategy, mesh):
    made = design(weighting=upgrad())
    state, metrics = trained(strategy, mesh, devices=8, made=made)
    one, expected = trained(made=made)
    assert furthest(state.params, one.params) < CLOSE
    np.testing.assert_allclose(metrics.cosines, expected.cosines, atol=1e-4)


@pytest.mark.parametrize("accumulate", [2, 8])
def test_micro_batches_add_up_to_the_batch(accumulate):
    state, metrics = trained(accumulate=accumulate, batch_size=8 // accumulate)
    _, whole = trained()
    assert furthest(state.params, alone()) < CLOSE
    np.testing.assert_array_equal(metrics.counts, whole.counts)


def test_scanned_layers_train_the_parameters_of_unrolled_ones():
    found = trained(layers="scanned")[0].params["backbone"]["stack"]
    layers = alone()["backbone"]["layers"]
    expected = jax.tree.map(lambda *leaves: np.stack(leaves), *layers.values())
    assert furthest(found, expected) < CLOSE


@pytest.mark.parametrize(
    "policy", ["nothing_saveable", "dots_with_no_batch_dims_saveable"]
)
def test_what_is_computed_again_trains_the_same(policy):
    made = design(remat=vars(jax.checkpoint_policies)[policy])
    assert furthest(trained(made=made)[0].params, alone()) < CLOSE


HEADS = {
    "linear": linear(),
    "mlp": mlp(8),
    "ensemble": ensemble(4),
    "quantile": quantile(),
    "gaussian": gaussian(),
    "gated": gated(linear(), hidden_width=8),
}


@pytest.mark.parametrize("kind", HEADS)
def test_every_kind_of_head_learns(kind):
    made = design(head=HEADS[kind])
    first = trained(made=made, mode="heads", num_steps=1)[1]
    last = trained(made=made, mode="heads", num_steps=33)[1]
    assert last.finite
    assert last.losses.sum() < first.losses.sum()


def test_modes_train_what_they_say():
    heads = alone(mode="heads")
    assert heads["backbone"] == {}
    lora = jax.tree.leaves_with_path(alone(mode="lora")["backbone"])
    assert lora
    assert all("adapter" in jax.tree_util.keystr(path) for path, _ in lora)


def test_masters_and_sums_are_float32_where_bfloat16_computes():
    state, metrics = trained(dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}
    assert metrics.losses.dtype == np.float32
    assert 1e-5 < furthest(state.params, alone()) < 0.02
