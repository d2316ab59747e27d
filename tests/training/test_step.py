import functools
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.stats import poisson

from morl.models.heads import ensemble, gated, gaussian, linear, mlp, quantile
from morl.models.transformer import Transformer
from morl.training.mesh import MeshSettings
from morl.training.order import Drawn
from morl.training.reward_design import flops_per_token
from morl.training.reward_program import bootstrap_weights
from morl.training.reward_rows import make_fed
from morl.training.step import _counts
from morl.weighting import constant, upgrad
from tests.training.runs import (
    CONFIG,
    EXAMPLES,
    design,
    furthest,
    make_parts,
    rows,
    settings,
    trained,
)

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


@pytest.mark.parametrize("strategy", ["jit", "shard_map", "pmap"])
def test_every_route_over_eight_devices_trains_the_heads_of_one(strategy):
    made = design(head=ensemble(4), weighting=constant(jnp.ones(3)))
    parts = {"mode": "frozen", "accumulate": 2, "made": made}
    state, metrics = trained(strategy, devices=8, **parts)
    one, expected = trained(**parts)
    assert furthest(state.params, one.params) < CLOSE
    np.testing.assert_allclose(metrics.cosines, expected.cosines, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "mesh"), ROUTES)
def test_every_route_over_eight_devices_trains_the_model_of_one(strategy, mesh):
    state, _ = trained(strategy, mesh, devices=8)
    assert furthest(state.params, alone()) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2, 4, 8])
@pytest.mark.parametrize(
    ("strategy", "fsdp"), [("jit", False), ("jit", True), ("shard_map", 0), ("pmap", 0)]
)
def test_twenty_steps_by_any_route_and_device_count_end_alike(strategy, fsdp, devices):
    mesh = MeshSettings(fsdp=devices if fsdp else 1)
    state, _ = trained(strategy, mesh, devices=devices, num_steps=20, config=CONFIG)
    assert furthest(state.params, alone(num_steps=20, config=CONFIG)) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "mesh"), ROUTES)
def test_dropout_leaves_out_the_same_entries_by_every_route(strategy, mesh):
    state, _ = trained(strategy, mesh, devices=8, mode="lora", dropout=0.3)
    assert furthest(state.params, alone(mode="lora", dropout=0.3)) < CLOSE


@pytest.mark.slow
def test_dropout_changes_what_is_trained():
    assert furthest(alone(mode="lora", dropout=0.3), alone(mode="lora")) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "mesh"), ROUTES)
def test_a_weighting_sees_the_gradients_of_the_whole_batch(strategy, mesh):
    made = design(weighting=upgrad())
    state, metrics = trained(strategy, mesh, devices=8, made=made)
    one, expected = trained(made=made)
    assert furthest(state.params, one.params) < CLOSE
    np.testing.assert_allclose(metrics.cosines, expected.cosines, atol=1e-4)


@pytest.mark.parametrize("accumulate", [2, 8])
def test_micro_batches_add_up_to_the_batch(accumulate):
    part = {"accumulate": accumulate, "batch_size": 8 // accumulate}
    state, metrics = trained(mode="frozen", **part)
    one, whole = trained(mode="frozen")
    assert furthest(state.params, one.params) < CLOSE
    np.testing.assert_array_equal(metrics.counts, whole.counts)


@pytest.mark.slow
def test_micro_batches_of_tokens_add_up_to_the_batch():
    state, _ = trained(accumulate=4, batch_size=2)
    assert furthest(state.params, alone()) < CLOSE


def test_scanned_layers_train_the_parameters_of_unrolled_ones():
    found = trained(layers="scanned", config=CONFIG)[0].params["backbone"]["stack"]
    layers = alone(config=CONFIG)["backbone"]["layers"]
    expected = jax.tree.map(lambda *leaves: np.stack(leaves), *layers.values())
    assert furthest(found, expected) < CLOSE


@pytest.mark.slow
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
def test_every_kind_of_head_learns_its_labels_by_heart(kind):
    made = design(head=HEADS[kind])
    every = {"mode": "frozen", "batch_size": len(EXAMPLES), "made": made}
    first, last = (trained(num_steps=n, **every)[1] for n in (1, 200))
    assert last.finite
    assert (last.losses < first.losses).all()


def test_modes_train_what_they_say():
    heads = alone(mode="heads")
    assert heads["backbone"] == {}
    lora = jax.tree.leaves_with_path(alone(mode="lora")["backbone"])
    assert lora
    assert all("adapter" in jax.tree_util.keystr(path) for path, _ in lora)


@pytest.mark.slow
def test_masters_and_sums_are_float32_where_bfloat16_computes():
    state, metrics = trained(dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}
    assert metrics.losses.dtype == np.float32
    assert 1e-5 < furthest(state.params, alone()) < 0.02


def test_bootstrap_weights_are_poisson_numbers_of_mean_one_and_stay_with_their_row():
    weights = bootstrap_weights(jnp.arange(20_000), 4)
    shares = [float((weights == n).mean()) for n in range(5)]
    np.testing.assert_allclose(shares, poisson(1).pmf(range(5)), atol=5e-3)
    assert abs(np.corrcoef(weights.T)[0, 1]) < 0.03
    np.testing.assert_array_equal(
        bootstrap_weights(jnp.array([7, 3]), 4), weights[np.array([7, 3])]
    )


def test_what_losses_are_divided_by_costs_no_forward_pass():
    parts = make_parts(design(), settings(accumulate=2))
    place = lambda x: x
    drawn = Drawn(np.arange(16), 32)
    batch = make_fed(rows(), drawn, accumulate=2, share=slice(8), place=place).batch
    key = jax.random.key(0)
    outcome = lambda params, part: parts.program.outcome(
        params, parts.frozen, part, key
    )

    def flops(fn, rows):
        compiled = jax.jit(fn).lower(parts.params, rows).compile()
        return compiled.cost_analysis()["flops"]

    first = jax.tree.map(lambda x: x[0], batch)
    forward = flops(lambda params, part: outcome(params, part).losses.total, first)
    assert flops(partial(_counts, outcome), batch) < 1e-3 * forward


def test_operations_a_token_are_those_of_the_compiled_forward_pass():
    config = replace(CONFIG, width=128, num_heads=4, head_dim=32, ffn_width=256)
    model = Transformer(config, rngs=nnx.Rngs(0))
    tokens = jnp.zeros((4, 32), int)
    ends = tokens[:, :1]
    passes = {
        "unrolled": lambda m, t: m.at(t, t, t, ends),
        "scanned": lambda m, t: m(t, t, t).hidden,
    }
    for layers, forward in passes.items():
        compiled = jax.jit(forward).lower(model, tokens).compile()
        counted = compiled.cost_analysis()["flops"] / tokens.size
        expected = flops_per_token(config, settings(mode="heads", layers=layers))
        # Attention's own products and what is between products are the rest.
        assert 1 < counted / expected < 1.2
