import functools

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType

from morl.errors import InputError
from morl.models.config import TransformerConfig
from morl.models.heads import linear
from morl.training import topologies
from morl.training.abstract import Rows, abstract_arguments, device_bytes, held_whole
from morl.training.largest_batch import largest_batch
from morl.training.mesh import AXES, MeshSettings, held_on
from morl.training.order import Drawn
from morl.training.plan import Asked, plan_step
from morl.training.reward_batch import Widths
from morl.training.reward_design import abstract_backbone, reward_parts
from morl.training.reward_rows import make_fed
from morl.training.topologies import find_topology, has_compiler
from tests.training.runs import OPTIMIZER, design, rows, settings

SMALL = TransformerConfig(4096, 64, 4, 8, 4, 8, 192)
LARGE = TransformerConfig(128256, 4096, 32, 32, 8, 128, 14336)
REMAT = jax.checkpoint_policies.nothing_saveable
TOPOLOGIES = [
    pytest.param("cpu:8"),
    pytest.param(
        "v5e:2x4",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(not has_compiler(), reason="see make test-tpu"),
        ],
    ),
]


def asked(config=SMALL, **changes):
    chosen = settings(
        **{"layers": "scanned", "dtype": "bfloat16", "batch_size": 16} | changes
    )
    made = design(remat=REMAT)
    backbone = abstract_backbone(config, chosen)
    head = jax.eval_shape(
        lambda: linear().init(jax.random.key(0), config.width, len(made.names))
    )
    parts = lambda mesh: reward_parts(
        backbone, head, made, chosen, OPTIMIZER, held=held_on(mesh)
    )
    return Asked(parts, made, chosen, Rows(128, Widths(2, 1, True)))


def abstract_mesh(*sizes):
    return AbstractMesh(sizes, AXES, (AxisType.Auto,) * 3)


def arguments(mesh, config=SMALL, **changes):
    one = asked(config, **changes)
    parts = one.parts(mesh)
    return abstract_arguments(parts, one.design, one.settings, one.rows, mesh)


@functools.cache
def planned(name):
    return plan_step(asked(), MeshSettings(fsdp=8), find_topology(name))


def layer_bytes(config):
    """The largest parameter of one layer, in float32."""
    return 4 * config.width * 2 * config.ffn_width


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_plan_says_what_was_asked_of_it(name):
    found = planned(name).to_json()
    assert found["compiled"]
    assert found["flops"] > 0
    assert {"fits", "bytes_per_device", "collectives", "seconds_per_step"} <= set(found)
    assert (found["binds"] is None) == (name == "cpu:8")
    assert not found["unknown_loops"]


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_fully_sharded_state_is_a_devices_share_within_a_twentieth(name):
    whole = arguments(abstract_mesh(8, 1, 1)).state
    share = device_bytes((whole.params, whole.optimizer)) / 8
    found = planned(name).bytes_per_device
    assert found["parameters"] + found["optimizer"] == pytest.approx(share, rel=0.05)
    assert not planned(name).held_whole


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_parameters_are_gathered_layer_by_layer_and_never_all_at_once(name):
    collectives = planned(name).collectives
    assert collectives["all-gather"].largest <= layer_bytes(SMALL)
    reduced = [collectives[k].largest for k in collectives if "reduce" in k]
    assert max(reduced) <= layer_bytes(SMALL)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_lookup_exchanges_embeddings_and_not_the_vocabulary(name):
    found = planned(name).collectives["all-to-all"]
    a_device = 16 * 128 * SMALL.width * 4 / 8
    assert found.largest <= a_device
    assert 4 * SMALL.vocab_size * SMALL.width > layer_bytes(SMALL)


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("tensor", [1, 2])
def test_the_compiler_copies_nothing_whole_to_split_it_anew(name, tensor, capfd):
    mesh = MeshSettings(fsdp=8 // tensor, tensor=tensor)
    plan_step(asked(), mesh, find_topology(name))
    assert "full rematerialization" not in capfd.readouterr().err


def test_tensor_parallel_layers_exchange_no_part_of_a_fused_product():
    config = TransformerConfig(512, 128, 4, 8, 4, 16, 384)
    mesh = MeshSettings(fsdp=2, tensor=4)
    found = plan_step(asked(config), mesh, find_topology("cpu:8")).collectives
    a_device = 4 * 16 * 128 * config.width / 2
    layers = config.num_layers
    # Two sums of the residual stream forward, one again, and two backward.
    assert found["all-reduce"].bytes < 6 * layers * 2 * a_device * 3 / 4
    # Of weights alone, once a step: a device's share, and some rows for neighbours.
    share = 4 * layers * config.width * (2 * 384 + (8 + 2 * 4) * 16) / 8
    assert found["collective-permute"].bytes < 3 * share
    assert found["all-to-all"].bytes < share + 2 * a_device


def test_operations_are_those_of_the_model():
    tokens = 16 * 128 / 8
    layer = SMALL.width * (16 * 8 + 8 * 8 + 3 * 192)
    once = 2 * tokens * SMALL.num_layers * layer
    # Forward, forward again, and two products for each of them backward.
    assert planned("cpu:8").flops == pytest.approx(4 * once, rel=0.25)
    assert planned("cpu:8").flops > 4 * once


def test_micro_batches_multiply_operations_and_not_memory():
    one, two = planned("cpu:8"), asked(accumulate=2)
    found = plan_step(two, MeshSettings(fsdp=8), find_topology("cpu:8"))
    assert found.flops == pytest.approx(2 * one.flops, rel=0.02)
    assert found.batch["tokens"] == 2 * one.batch["tokens"]
    assert found.bytes_per_device["batch"] == 2 * one.bytes_per_device["batch"]


def test_a_planned_batch_has_the_shapes_of_a_batch_that_is_made():
    made = []
    one = asked()._replace(rows=Rows(32, rows().room))
    mesh = abstract_mesh(1, 8, 1)
    given = abstract_arguments(
        one.parts(mesh), one.design, one.settings, one.rows, mesh
    )
    drawn = Drawn(np.arange(16), 32)
    make_fed(rows(), drawn, accumulate=1, share=slice(0, 16), place=made.append)
    assert jax.tree.structure(made[0]) == jax.tree.structure(given.batch)
    for found, expected in zip(
        jax.tree.leaves(given.batch), jax.tree.leaves(made[0]), strict=True
    ):
        assert found.shape == expected.shape
        assert found.dtype == jax.dtypes.canonicalize_dtype(expected.dtype)


def test_large_parameters_that_no_axis_divides_are_named_with_their_size():
    odd = TransformerConfig(50257, 1023, 2, 8, 4, 8, 4096)
    mesh = abstract_mesh(1, 8, 1)
    given = arguments(mesh, odd)
    found = {one.name: one.bytes for one in held_whole(given.state.params, mesh)}
    assert found["backbone.embedding"] == 4 * 50257 * 1023
    assert found["backbone.stack.gate_up.weight"] == 4 * 2 * 8192 * 1023
    assert not any("norm" in name for name in found)


def test_nothing_is_held_whole_by_mistake_where_the_mesh_splits_nothing():
    mesh = abstract_mesh(8, 1, 1)
    assert not held_whole(arguments(mesh, LARGE).state, mesh)


@pytest.mark.parametrize(("sizes", "fits"), [("1x1", False), ("16x16", None)])
def test_without_a_compiler_memory_is_added_up_and_nothing_else(
    sizes, fits, monkeypatch
):
    monkeypatch.setattr(topologies, "has_compiler", lambda: False)
    topology = find_topology(f"v5e:{sizes}")
    mesh = MeshSettings(fsdp=topology.count)
    found = plan_step(asked(LARGE, batch_size=topology.count), mesh, topology)
    assert not found.compiled
    assert found.fits is fits
    assert "morl[tpu]" in found.why
    assert found.flops is None
    assert found.binds is None
    state = found.bytes_per_device["parameters"] + found.bytes_per_device["optimizer"]
    assert state == pytest.approx(12 * 7_504_924_672 / topology.count, rel=0.05)


@pytest.mark.parametrize("name", ["v5e", "v9:4x4", "v5e:4x", "cpu:0", "v5e:2x2x2x2"])
def test_a_topology_that_means_nothing_is_refused(name):
    with pytest.raises(InputError, match="topology"):
        find_topology(name)


def test_more_processors_than_there_are_is_refused():
    with pytest.raises(InputError, match="JAX_NUM_CPU_DEVICES=4096"):
        find_topology("cpu:4096")


def test_devices_that_cannot_be_arranged_so_are_refused():
    with pytest.raises(InputError, match="mesh"):
        plan_step(asked(), MeshSettings(fsdp=3), find_topology("cpu:8"))


def test_rows_that_devices_do_not_divide_are_refused():
    with pytest.raises(InputError, match="multiple of 8"):
        plan_step(asked(batch_size=12), MeshSettings(fsdp=8), find_topology("cpu:8"))


def searched(total, first, limit):
    asked_of = []

    def known(rows):
        asked_of.append(rows)
        return total(rows)

    progress = lambda *_: None
    start = (first, total(first))
    found = largest_batch(known, start, least=8, limit=limit, progress=progress)
    return found, asked_of


def test_the_largest_batch_is_on_the_line_and_confirmed():
    found, tried = searched(lambda rows: 1000 + 10 * rows, 64, 1e4)
    assert found == 864
    assert tried == [32, 864]


def test_a_batch_that_the_line_promises_and_the_compiler_refuses_is_not_the_largest():
    total = lambda rows: 1000 + 10 * rows if rows < 800 else None
    assert searched(total, 64, 1e4)[0] == 64


def test_a_smaller_batch_is_found_where_the_first_does_not_fit():
    assert searched(lambda rows: 1000 + 10 * rows, 64, 1.5e3)[0] == 40
