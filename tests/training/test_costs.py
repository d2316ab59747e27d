from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from morl.training.costs import program_costs
from morl.training.hlo import read_program
from morl.training.loops import runs


def costs_of(fn, *args):
    return program_costs(read_program(jax.jit(fn).lower(*args).compile().as_text()))


def test_a_product_costs_two_operations_a_pair():
    costs = costs_of(jnp.matmul, jnp.ones((8, 16)), jnp.ones((16, 32)))
    assert costs.flops == 2 * 8 * 16 * 32


def scanned(x, weights):
    return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)[0]


def test_a_loop_counts_as_often_as_it_goes_round():
    x, weights = jnp.ones((16, 16)), jnp.ones((5, 16, 16))
    assert costs_of(scanned, x, weights).flops == 5 * 2 * 16**3


def test_loops_inside_of_loops_multiply():
    def nested(x, weights):
        again = lambda x, _: (scanned(x, weights), None)
        return jax.lax.scan(again, x, jnp.arange(3))[0]

    costs = costs_of(nested, jnp.ones((16, 16)), jnp.ones((5, 16, 16)))
    assert costs.flops == 3 * 5 * 2 * 16**3
    assert not costs.unknown_loops


def test_a_backward_pass_counts_its_loop_too():
    loss = lambda w: jnp.sum(scanned(jnp.ones((16, 16)), w))
    costs = costs_of(jax.grad(loss), jnp.ones((5, 16, 16)))
    # Forward once, and two products a layer backward; the first input needs none.
    assert costs.flops == pytest.approx(15 * 2 * 16**3, rel=1 / 14)


def test_a_loop_that_depends_on_its_values_is_named_and_counted_once():
    go = lambda x: jax.lax.while_loop(
        lambda x: jnp.sum(x) < 100, lambda x: x @ x + 1, x
    )
    costs = costs_of(go, jnp.ones((16, 16)))
    assert len(costs.unknown_loops) == 1
    assert costs.flops == 2 * 16**3


def test_collectives_in_a_loop_are_counted_with_what_a_ring_sends():
    mesh = jax.make_mesh((8,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))

    def summed(x):
        total = lambda x, _: (jax.lax.psum(x, "d") / 8, None)
        return jax.lax.scan(total, x, jnp.arange(6))[0]

    mapped = jax.shard_map(
        summed, mesh=mesh, in_specs=P(), out_specs=P(), check_vma=False
    )
    found = costs_of(mapped, jnp.ones(64)).collectives["all-reduce"]
    assert found.count == 6
    assert found.bytes == 6 * 2 * (64 * 4) * 7 / 8
    assert found.largest == 64 * 4


def test_reading_a_part_of_an_array_moves_that_part():
    pick = lambda x, at: jax.lax.dynamic_slice_in_dim(x, at, 1) * 2
    costs = costs_of(pick, jnp.ones((1024, 64)), jnp.array(3))
    assert costs.bytes < 10 * 64 * 4


RING = """HloModule ring

%body (p: (u32[], f32[4])) -> (u32[], f32[4]) {
  %p = (u32[]{:T(128)}, /*index=1*/f32[4]{0:T(128)S(1)}) parameter(0)
  %step = u32[]{:T(128)} constant(STEP)
  %i = u32[]{:T(128)} get-tuple-element(%p), index=0
  %next = u32[]{:T(128)} add(%i, %step)
  %x = f32[4]{0:T(128)S(1)} get-tuple-element(%p), index=1
  %moved = f32[4]{0:T(128)S(1)} collective-permute(%x), channel_id=1
  ROOT %out = (u32[]{:T(128)}, f32[4]{0:T(128)S(1)}) tuple(%next, %moved)
}

%cond (q: (u32[], f32[4])) -> pred[] {
  %q = (u32[]{:T(128)}, f32[4]{0:T(128)S(1)}) parameter(0)
  %limit = u32[]{:T(128)} constant(LIMIT)
  %j = u32[]{:T(128)} get-tuple-element(%q), index=0
  ROOT %less = pred[]{:T(512)} compare(%j, %limit), direction=DIRECTION
}

ENTRY %main (x.1: f32[4]) -> f32[4] {
  %x.1 = f32[4]{0:T(128)S(1)} parameter(0)
  %start = u32[]{:T(128)} constant(START)
  %all = (u32[]{:T(128)}, f32[4]{0:T(128)S(1)}) tuple(%start, %x.1)
  %loop = (u32[], f32[4]{0:T(128)S(1)}) while(%all), condition=%cond, body=%body
  ROOT %last = f32[4]{0:T(128)S(1)} get-tuple-element(%loop), index=1
}
"""


def ring(start, limit, step, direction="LT"):
    text = RING.replace("START", str(start)).replace("LIMIT", str(limit))
    text = text.replace("STEP", str(step)).replace("DIRECTION", direction)
    return read_program(text)


@pytest.mark.parametrize(("start", "limit", "step"), [(0, 8, 2), (1, 8, 3), (5, 5, 1)])
def test_rounds_of_a_loop_are_read_off_its_start_condition_and_step(start, limit, step):
    rounds = len(range(start, limit, step))
    assert rounds == ceil((limit - start) / step)
    found = program_costs(ring(start, limit, step)).collectives
    assert found["collective-permute"].count == rounds if rounds else not found


def test_a_condition_with_its_limit_included_goes_round_once_more():
    assert runs(ring(0, 8, 1, "LE")).counts["body"] == 9


def test_a_condition_that_is_not_understood_makes_a_loop_unknown():
    assert runs(ring(0, 8, 1, "NE")).unknown == ("loop",)


def test_what_stays_in_fast_memory_is_no_traffic():
    counting = 3 * 4 + 2 * 4 + 1  # an addition and a comparison
    assert program_costs(ring(0, 8, 1)).bytes == 8 * counting


def test_a_collective_that_runs_beside_several_fusions_counts_once():
    twice = """HloModule twice

%first (a: f32[2]) -> f32[16] {
  %a = f32[2] parameter(0)
  ROOT %g = f32[16] all-gather(%a), channel_id=4, replica_groups=[1,8]<=[8]
}

%second (b: f32[2]) -> f32[16] {
  %b = f32[2] parameter(0)
  ROOT %h = f32[16] all-gather(%b), channel_id=4, replica_groups=[1,8]<=[8]
}

ENTRY %main (x: f32[2]) -> f32[16] {
  %x = f32[2] parameter(0)
  %one = f32[16] fusion(%x), kind=kCustom, calls=%first
  ROOT %two = f32[16] fusion(%x), kind=kCustom, calls=%second
}
"""
    costs = program_costs(read_program(twice))
    found = costs.collectives["all-gather"]
    assert found.count == 1
    assert found.bytes == 7 * 2 * 4
    assert costs.bytes == (2 + 16) * 4


def test_a_sum_that_is_scattered_in_a_fusion_sends_half_of_a_sum():
    text = """HloModule scatter

%all-reduce-scatter.1 (a: f32[16]) -> f32[2] {
  %a = f32[16] parameter(0)
  %zero = s32[] constant(0)
  %sum = f32[16] all-reduce(%a), channel_id=4, replica_groups={{0,1,2,3,4,5,6,7}}
  ROOT %own = f32[2] dynamic-slice(%sum, %zero), dynamic_slice_sizes={2}
}

ENTRY %main (x: f32[16]) -> f32[2] {
  %x = f32[16] parameter(0)
  ROOT %one = f32[2] fusion(%x), kind=kCustom, calls=%all-reduce-scatter.1
}
"""
    found = program_costs(read_program(text)).collectives
    assert found.keys() == {"reduce-scatter"}
    assert found["reduce-scatter"].bytes == 16 * 4 * 7 / 8


def test_a_batched_product_written_as_a_dilated_convolution_counts_its_entries_alone():
    text = """HloModule batched

ENTRY %main (x: bf16[8,32,16], w: bf16[8,16,64]) -> f32[8,32,64] {
  %x = bf16[8,32,16] parameter(0)
  %w = bf16[8,16,64] parameter(1)
  ROOT %c = f32[8,32,64] convolution(%x, %w), WINDOW, dim_labels=0bf_0io->0bf
}
"""
    text = text.replace("WINDOW", "window={size=8 stride=7 lhs_dilate=8}")
    assert program_costs(read_program(text)).flops == 2 * 8 * 32 * 16 * 64


def test_a_plain_convolution_counts_what_meets():
    text = """HloModule conv

ENTRY %main (x: f32[1,6,3], w: f32[3,3,5]) -> f32[1,6,5] {
  %x = f32[1,6,3] parameter(0)
  %w = f32[3,3,5] parameter(1)
  ROOT %c = f32[1,6,5] convolution(%x, %w), WINDOW, dim_labels=b0f_0io->b0f
}
"""
    text = text.replace("WINDOW", "window={size=3 pad=1_1}")
    meetings = sum(0 <= at + k - 1 < 6 for at in range(6) for k in range(3))
    assert program_costs(read_program(text)).flops == 2 * meetings * 3 * 5


def test_text_without_an_entry_is_refused():
    with pytest.raises(ValueError, match="no ENTRY"):
        read_program("HloModule nothing\n")


def test_traffic_of_an_elementwise_program_is_what_it_reads_and_writes():
    costs = costs_of(lambda x: x * 2 + 1, np.ones(1024, np.float32))
    assert costs.bytes == 2 * 1024 * 4
