"""The contract of every scalarizer, their laws by name, and outside oracles."""

from functools import partial
from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from morl import scalarize

IDEAL = 1.5
SCALARIZERS = {
    "linear": lambda r, w, present=None: scalarize.linear(r, w, present=present),
    "chebyshev": lambda r, w, present=None: scalarize.chebyshev(
        r, w, ideal=jnp.full_like(r, IDEAL), present=present
    ),
    "smooth_chebyshev": lambda r, w, present=None: scalarize.smooth_chebyshev(
        r, w, ideal=jnp.full_like(r, IDEAL), present=present
    ),
    "worst_case": lambda r, w, present=None: scalarize.worst_case(
        r, w, present=present
    ),
}
every_scalarizer = pytest.mark.parametrize(
    "fn", SCALARIZERS.values(), ids=SCALARIZERS.keys()
)


def draw(key, *shape):
    rewards, weights = jax.random.uniform(key, (2, *shape))
    return rewards, weights / weights.sum(-1, keepdims=True)


@every_scalarizer
def test_vmap_under_jit_matches_a_loop(fn, key):
    rewards, weights = draw(key, 5, 3)
    present = jax.random.bernoulli(key, 0.6, (5, 3))
    batched = jax.jit(jax.vmap(fn))(rewards, weights, present)
    looped = [fn(*row) for row in zip(rewards, weights, present, strict=True)]
    np.testing.assert_allclose(batched, jnp.stack(looped), rtol=1e-6, atol=1e-7)


@every_scalarizer
def test_gradients_match_finite_differences(fn):
    with jax.enable_x64(True):
        rewards = jnp.asarray([0.3, 0.9, 0.6], jnp.float64)
        weights = jnp.asarray([0.5, 0.2, 0.3], jnp.float64)
        present = jnp.asarray([True, True, False])
        for mask in (present, None):
            masked = lambda r, w, m=mask: fn(jnp.asarray(r), jnp.asarray(w), m)
            check_grads(masked, (rewards, weights), order=1, modes=["fwd", "rev"])


@every_scalarizer
def test_bfloat16_in_gives_bfloat16_out_of_a_float32_sum(fn):
    # 512 + 1 is 512 in bfloat16: only a wider accumulator sees the small entries.
    rewards = jnp.ones(1024, jnp.bfloat16)
    weights = jnp.ones(1024, jnp.bfloat16)
    assert fn(rewards, weights).dtype == jnp.bfloat16
    wide = fn(rewards.astype(jnp.float32), weights.astype(jnp.float32))
    np.testing.assert_array_equal(fn(rewards, weights), wide.astype(jnp.bfloat16))


@every_scalarizer
@pytest.mark.parametrize(
    "rewards", [[0.0] * 3, [1e30, -1e30, 1e-30], [-1e30] * 3, [1e30] * 3, [1e-30] * 3]
)
@pytest.mark.parametrize("present", [[1, 1, 1], [1, 0, 1], [0, 0, 0]])
@pytest.mark.parametrize("weights", [[0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [0.0] * 3])
def test_value_and_gradients_are_finite_at_the_extremes(fn, rewards, present, weights):
    mask = jnp.array(present, bool)
    value, gradients = jax.value_and_grad(fn, argnums=(0, 1))(
        jnp.array(rewards), jnp.array(weights), mask
    )
    assert jnp.isfinite(value)
    assert jnp.isfinite(jnp.stack(gradients)).all()


@every_scalarizer
def test_absent_entries_may_hold_nan_and_receive_no_gradient(fn):
    weights, present = jnp.array([0.5, 0.3, 0.2]), jnp.array([True, False, True])
    rewards = jnp.array([0.4, jnp.nan, 0.6])
    value, slope = jax.value_and_grad(fn)(rewards, weights, present)
    clean = fn(jnp.array([0.4, 123.0, 0.6]), weights, present)
    assert value == clean
    assert jnp.isfinite(slope).all()
    assert slope[1] == 0


@every_scalarizer
def test_an_absent_entry_is_left_out_and_the_weights_renormalised(fn):
    # 0.5 and 0.2 keep the total of 1 once they are divided by 0.7.
    value = fn(
        jnp.array([0.4, 9.0, 0.6]),
        jnp.array([0.5, 0.3, 0.2]),
        jnp.array([True, False, True]),
    )
    alone = fn(jnp.array([0.4, 0.6]), jnp.array([0.5, 0.2]) / 0.7)
    np.testing.assert_allclose(value, alone, rtol=1e-6)


@every_scalarizer
def test_a_mask_of_all_present_changes_no_bit(fn, key):
    rewards, weights = draw(key, 7)
    everything = jnp.ones(7, bool)
    assert fn(rewards, weights, everything) == fn(rewards, weights)


@every_scalarizer
def test_nothing_present_gives_zero(fn):
    nothing = jnp.zeros(3, bool)
    assert fn(jnp.full(3, jnp.nan), jnp.full(3, 1 / 3), nothing) == 0


@every_scalarizer
def test_improving_an_objective_never_lowers_utility(fn, key):
    rewards, weights = draw(key, 4)
    assert (jax.grad(fn)(rewards, weights) >= 0).all()


@every_scalarizer
def test_permuting_the_objectives_leaves_the_utility(fn, key):
    rewards, weights = draw(key, 4)
    order = jnp.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        fn(rewards[order], weights[order]), fn(rewards, weights), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["linear", "chebyshev"])
def test_scaling_the_weights_scales_the_utility(name, key):
    rewards, weights = draw(key, 4)
    fn = SCALARIZERS[name]
    np.testing.assert_allclose(
        fn(rewards, 3 * weights), 3 * fn(rewards, weights), rtol=1e-6
    )


def test_linear_is_the_dot_product(key):
    rewards, weights = draw(key, 6)
    expected = np.dot(np.asarray(rewards, float), np.asarray(weights, float))
    np.testing.assert_allclose(scalarize.linear(rewards, weights), expected, rtol=1e-6)


def test_linear_renormalises_weights_of_mixed_sign_by_their_size():
    # |0.5| + |-0.25| + |0.25| = 1, of which 0.75 is present.
    value = scalarize.linear(
        jnp.array([1.0, 2.0, 4.0]),
        jnp.array([0.5, -0.25, 0.25]),
        present=jnp.array([True, True, False]),
    )
    np.testing.assert_allclose(value, (0.5 * 1 - 0.25 * 2) / 0.75, atol=1e-7)


def test_chebyshev_is_the_smallest_weighted_gap_to_the_ideal():
    value = scalarize.chebyshev(
        jnp.array([0.1, 0.8, 0.5]),
        jnp.array([0.2, 0.5, 0.3]),
        ideal=jnp.array([1.0, 2.0, 3.0]),
    )
    expected = min(0.2 * (0.1 - 1), 0.5 * (0.8 - 2), 0.3 * (0.5 - 3))
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_chebyshev_finds_the_concave_middle_that_linear_misses():
    points = jnp.array([[1.0, 0.0], [0.4, 0.4], [0.0, 1.0]])
    weights = jnp.array([0.5, 0.5])
    hard = jax.vmap(partial(scalarize.chebyshev, ideal=jnp.ones(2)), (0, None))
    assert jnp.argmax(hard(points, weights)) == 1
    share = jnp.linspace(0, 1, 101)
    every_weight = jnp.stack([share, 1 - share], -1)
    linear = jax.vmap(jax.vmap(scalarize.linear, (0, None)), (None, 0))
    assert not (jnp.argmax(linear(points, every_weight), -1) == 1).any()


def test_smooth_chebyshev_matches_its_formula():
    # r = 0 and z = 1, so the shortfalls are the weights themselves.
    tau, w = 0.5, (0.2, 0.8)
    expected = -tau * log(exp(w[0] / tau) + exp(w[1] / tau))
    actual = scalarize.smooth_chebyshev(
        jnp.zeros(2), jnp.array(w), ideal=jnp.ones(2), temperature=tau
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_smooth_chebyshev_has_a_finite_slope_in_its_temperature(key):
    rewards, weights = draw(key, 4)
    with jax.enable_x64(True):
        wide = [jnp.asarray(np.asarray(x), jnp.float64) for x in (rewards, weights)]
        check_grads(
            lambda tau: scalarize.smooth_chebyshev(
                *wide, ideal=jnp.ones(4, jnp.float64), temperature=jnp.asarray(tau)
            ),
            (jnp.asarray(0.1, jnp.float64),),
            order=1,
            modes=["rev"],
        )


@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 1.0, 1e30])
def test_smooth_chebyshev_lies_within_tau_log_k_below_the_hard_one(key, temperature):
    rewards, weights = draw(key, 4)
    hard = -jnp.max(weights * (1 - rewards))
    soft = scalarize.smooth_chebyshev(
        rewards, weights, ideal=jnp.ones(4), temperature=temperature
    )
    slack = 1e-6 * max(1, temperature)
    assert hard - temperature * log(4) - slack <= soft <= hard + 1e-6


def test_smooth_chebyshev_shares_its_gradient_at_a_tie():
    slope = jax.grad(SCALARIZERS["smooth_chebyshev"])(jnp.zeros(4), jnp.full(4, 0.25))
    np.testing.assert_allclose(slope, np.full(4, 0.25 / 4), rtol=1e-6)


def test_worst_case_leaves_out_what_has_no_weight():
    rewards = jnp.array([0.1, 0.5, 0.3])
    value = scalarize.worst_case(rewards, jnp.array([0.0, 0.9, 0.1]))
    np.testing.assert_allclose(value, 0.3)


def test_worst_case_does_not_depend_on_the_size_of_a_weight():
    rewards = jnp.array([0.1, 0.5, 0.3])
    first = scalarize.worst_case(rewards, jnp.array([0.1, 0.8, 0.1]))
    assert first == scalarize.worst_case(rewards, jnp.array([0.8, 0.1, 0.1]))


@every_scalarizer
@pytest.mark.parametrize("kind", [jnp.float32, jnp.bfloat16])
def test_dtypes_are_promoted_nowhere_by_accident(fn, kind, key):
    rewards, weights = draw(key, 4)
    with jax.numpy_dtype_promotion("strict"):
        value = fn(rewards.astype(kind), weights.astype(kind), jnp.ones(4, bool))
    assert value.dtype == kind
