"""The contract of every scalarizer, their laws by name, and outside oracles."""

from functools import partial
from itertools import product
from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from morl import scalarize
from morl.scalarize.present import utility_type

IDEAL = 1.5
FLOOR = -0.5


def at(value, rewards):
    return jnp.full_like(rewards, value, utility_type(rewards))


def plain(fn):
    return lambda r, w, present=None: fn(r, w, present=present)


SCALARIZERS = {
    "linear": plain(scalarize.linear),
    "chebyshev": lambda r, w, present=None: scalarize.chebyshev(
        r, w, ideal=at(IDEAL, r), present=present
    ),
    "augmented_chebyshev": lambda r, w, present=None: scalarize.augmented_chebyshev(
        r, w, ideal=at(IDEAL, r), present=present
    ),
    "smooth_chebyshev": lambda r, w, present=None: scalarize.smooth_chebyshev(
        r, w, ideal=at(IDEAL, r), present=present
    ),
    "penalty_boundary": lambda r, w, present=None: scalarize.penalty_boundary(
        r, w, ideal=at(IDEAL, r), present=present
    ),
    "lp_distance": lambda r, w, present=None: scalarize.lp_distance(
        r, w, ideal=at(IDEAL, r), p=3.0, present=present
    ),
    "exponential": plain(scalarize.exponential),
    "log_sum_exp": plain(scalarize.log_sum_exp),
    "soft_best": lambda r, w, present=None: scalarize.log_sum_exp(
        r, w, temperature=0.3, present=present
    ),
    "nash_product": lambda r, w, present=None: scalarize.nash_product(
        r, w, disagreement=at(FLOOR, r), present=present
    ),
    "worst_case": plain(scalarize.worst_case),
    "cvar": lambda r, w, present=None: scalarize.cvar(r, w, alpha=0.6, present=present),
    "owa": plain(scalarize.owa),
    "generalized_gini": plain(scalarize.generalized_gini),
    "lexicographic": lambda r, w, present=None: scalarize.lexicographic(
        r, w, threshold=at(IDEAL, r), floor=at(FLOOR, r), present=present
    ),
    "cosmos": lambda r, w, present=None: scalarize.cosmos(
        r, w, reference=at(FLOOR, r), present=present
    ),
    "hypervolume_scalarization": lambda r, w, present=None: (
        scalarize.hypervolume_scalarization(
            r, w, reference=at(FLOOR, r), present=present
        )
    ),
}
NOT_MONOTONE = ("penalty_boundary", "cosmos")
POSITIONAL = ("owa", "generalized_gini")


def named(*names):
    chosen = {name: SCALARIZERS[name] for name in names}
    return pytest.mark.parametrize("fn", chosen.values(), ids=chosen.keys())


def all_but(*names):
    return named(*(name for name in SCALARIZERS if name not in names))


SCALARIZERS = {name: jax.jit(fn) for name, fn in SCALARIZERS.items()}
every_scalarizer = pytest.mark.parametrize(
    "fn", SCALARIZERS.values(), ids=SCALARIZERS.keys()
)


# One shape and one kind of mask throughout, so that each is compiled once or twice.
ALL = jnp.ones(4, bool)
SLOPES = {fn: jax.jit(jax.value_and_grad(fn, (0, 1))) for fn in SCALARIZERS.values()}


def draw(key, *shape):
    rewards, weights = jax.random.uniform(key, (2, *shape))
    return rewards, weights / weights.sum(-1, keepdims=True)


@every_scalarizer
def test_vmap_under_jit_matches_a_loop(fn, key):
    rewards, weights = draw(key, 5, 4)
    present = jax.random.bernoulli(key, 0.6, (5, 4))
    batched = jax.jit(jax.vmap(fn))(rewards, weights, present)
    looped = [fn(*row) for row in zip(rewards, weights, present, strict=True)]
    np.testing.assert_allclose(batched, jnp.stack(looped), rtol=1e-6, atol=1e-7)


@every_scalarizer
def test_gradients_match_finite_differences(fn):
    with jax.enable_x64(True):
        rewards = jnp.asarray([0.3, 0.9, 0.6, 0.1], jnp.float64)
        weights = jnp.asarray([0.45, 0.2, 0.25, 0.1], jnp.float64)
        for mask in (jnp.asarray([True, True, False, True]), jnp.ones(4, bool)):
            masked = lambda r, w, m=mask: fn(jnp.asarray(r), jnp.asarray(w), m)
            check_grads(masked, (rewards, weights), order=1, modes=["rev"])


@every_scalarizer
def test_bfloat16_in_gives_bfloat16_out_of_a_float32_sum(fn):
    # 512 + 1 is 512 in bfloat16: only a wider accumulator sees the small entries.
    rewards = jnp.ones(1024, jnp.bfloat16)
    weights = jnp.ones(1024, jnp.bfloat16)
    assert fn(rewards, weights).dtype == jnp.bfloat16
    wide = fn(rewards.astype(jnp.float32), weights.astype(jnp.float32))
    np.testing.assert_array_equal(fn(rewards, weights), wide.astype(jnp.bfloat16))


@every_scalarizer
def test_value_and_gradients_are_finite_at_the_extremes(fn):
    ties = [[value] * 3 for value in (0.0, -1e30, 1e30, 1e-30, IDEAL, FLOOR)]
    rewards = [*ties, [1e30, -1e30, 1e-30], [IDEAL, 0.0, 1e30], [FLOOR, 1e30, FLOOR]]
    masks = [[1, 1, 1], [1, 0, 1], [0, 0, 0]]
    weights = [[0.2, 0.3, 0.5], [0.0, 0.0, 1.0], [0.0] * 3, [1e-30, 1e-20, 1.0]]
    cases = [*product(rewards, weights, masks)]
    r, w, m = (jnp.array(column) for column in zip(*cases, strict=True))
    value, gradients = jax.vmap(SLOPES[fn])(r, w, m.astype(bool))
    fine = jnp.isfinite(value) & jnp.isfinite(jnp.stack(gradients)).all((0, 2))
    assert fine.all(), [
        case for case, good in zip(cases, fine, strict=True) if not good
    ]


@every_scalarizer
def test_a_nan_that_counts_is_seen_in_the_answer(fn):
    even = jnp.full((5, 4), 0.25)
    holed = jnp.where(jnp.eye(4, dtype=bool), jnp.nan, 0.25)
    # A NaN in each place, then in each weight, then in the only weight there is.
    alone = jnp.array([[jnp.nan, 0, 0, 0]])
    rewards = jnp.concatenate([holed, even])
    weights = jnp.concatenate([even[:4], holed, alone])
    assert jnp.isnan(jax.vmap(fn, (0, 0, None))(rewards, weights, ALL)).all()


@every_scalarizer
def test_absent_entries_may_hold_nan_and_receive_no_gradient(fn):
    weights, present = jnp.array([0.5, 0.3, 0.1, 0.1]), ALL.at[1].set(False)
    holes, filled = jnp.array([[0.4, jnp.nan, 0.6, 0.2], [0.4, 123.0, 0.6, 0.2]])
    value, (slope, weight_slope) = SLOPES[fn](holes, weights, present)
    assert value == SLOPES[fn](filled, weights, present)[0]
    assert jnp.isfinite(slope).all()
    assert jnp.isfinite(weight_slope).all()
    assert slope[1] == 0


@every_scalarizer
def test_integer_rewards_have_the_utility_of_the_same_numbers(fn):
    weights, labels = jnp.array([0.5, 0.3, 0.1, 0.1]), jnp.array([0, 1, 1, 3])
    value = fn(labels, weights, ALL)
    assert value.dtype == jnp.float32
    same = fn(labels.astype(jnp.float32), weights, ALL)
    np.testing.assert_allclose(value, same, rtol=1e-6)


@all_but(*POSITIONAL)
def test_an_absent_entry_is_left_out_and_the_weights_renormalised(fn):
    # 0.5, 0.1 and 0.1 keep the total of 1 once they are divided by 0.7.
    weights = jnp.array([0.5, 0.3, 0.1, 0.1])
    value = fn(jnp.array([0.4, 9.0, 0.6, 0.2]), weights, ALL.at[1].set(False))
    alone = fn(jnp.array([0.4, 0.6, 0.2]), jnp.array([0.5, 0.1, 0.1]) / 0.7)
    # Scalarizers that take a logarithm round near 1, whatever their value.
    np.testing.assert_allclose(value, alone, rtol=1e-6, atol=1e-6)


@every_scalarizer
def test_a_mask_of_all_present_changes_no_bit(fn, key):
    rewards, weights = draw(key, 4)
    # Not compiled: fusing the two programs may round them differently.
    with jax.disable_jit():
        assert fn(rewards, weights, ALL) == fn(rewards, weights)


@every_scalarizer
def test_nothing_present_gives_zero(fn):
    assert fn(jnp.full(4, jnp.nan), jnp.full(4, 0.25), ~ALL) == 0


@all_but(*NOT_MONOTONE)
def test_improving_an_objective_never_lowers_utility(fn, key):
    rewards, weights = draw(key, 4)
    assert (SLOPES[fn](rewards, weights, ALL)[1][0] >= 0).all()


@all_but("owa")
def test_permuting_the_objectives_leaves_the_utility(fn, key):
    rewards, weights = draw(key, 4)
    order = jnp.array([2, 0, 3, 1])
    permuted = fn(rewards[order], weights[order], ALL)
    np.testing.assert_allclose(permuted, fn(rewards, weights, ALL), rtol=1e-6)


@named(*POSITIONAL)
def test_weights_of_ranks_do_not_follow_the_objectives(fn, key):
    rewards, weights = draw(key, 4)
    permuted = fn(rewards[jnp.array([2, 0, 3, 1])], weights, ALL)
    np.testing.assert_allclose(permuted, fn(rewards, weights, ALL), rtol=1e-6)


@named("linear", "chebyshev", "augmented_chebyshev", "lp_distance", *POSITIONAL)
def test_scaling_the_weights_scales_the_utility(fn, key):
    rewards, weights = draw(key, 4)
    scaled = fn(rewards, 3 * weights, ALL)
    np.testing.assert_allclose(scaled, 3 * fn(rewards, weights, ALL), rtol=1e-6)


@named(
    "penalty_boundary",
    "log_sum_exp",
    "nash_product",
    "worst_case",
    "cvar",
    "lexicographic",
    "hypervolume_scalarization",
)
def test_scaling_the_weights_leaves_the_utility(fn, key):
    rewards, weights = draw(key, 4)
    for factor in (3.0, 1e-25, 1e25):
        scaled = fn(rewards, factor * weights, ALL)
        np.testing.assert_allclose(scaled, fn(rewards, weights, ALL), rtol=2e-6)


@named("linear", "worst_case", "cvar", "log_sum_exp", "exponential", *POSITIONAL)
def test_a_number_added_to_every_reward_is_added_to_the_utility(fn, key):
    rewards, weights = draw(key, 4)
    moved = fn(rewards + 2.5, weights, ALL)
    np.testing.assert_allclose(moved, fn(rewards, weights, ALL) + 2.5, rtol=1e-6)


@named("linear", "worst_case", "cvar", *POSITIONAL)
def test_changing_the_unit_of_all_rewards_changes_that_of_the_utility(fn, key):
    rewards, weights = draw(key, 4)
    small = fn(1e-3 * rewards, weights, ALL)
    np.testing.assert_allclose(small, 1e-3 * fn(rewards, weights, ALL), rtol=2e-6)


@named("chebyshev", "augmented_chebyshev", "worst_case", "cvar")
def test_the_gradient_is_shared_equally_at_a_tie(fn):
    rewards = jnp.array([0.5, 0.5, 0.9, 0.5])
    _, (slope, _) = SLOPES[fn](rewards, jnp.full(4, 0.25), ALL)
    np.testing.assert_allclose(slope[jnp.array([1, 3])], slope[0], rtol=1e-6)
    assert slope[0] > slope[2]


@named(*POSITIONAL)
def test_the_weights_of_tied_ranks_are_shared_equally(fn):
    weights = jnp.array([0.4, 0.3, 0.2, 0.1])
    _, (slope, _) = SLOPES[fn](jnp.array([0.5, 0.5, 0.9, 0.5]), weights, ALL)
    np.testing.assert_allclose(slope, [0.3, 0.3, 0.1, 0.3], rtol=1e-6)


@named(
    "chebyshev",
    "augmented_chebyshev",
    "smooth_chebyshev",
    "lp_distance",
    "exponential",
    "log_sum_exp",
    "nash_product",
    "worst_case",
    "cvar",
    "hypervolume_scalarization",
)
def test_equal_rewards_are_worth_more_than_the_same_sum_spread_out(fn):
    even, weights = jnp.full(4, 0.5), jnp.full(4, 0.25)
    spread = jnp.array([0.5, 0.8, 0.2, 0.5])
    assert fn(even, weights, ALL) > fn(spread, weights, ALL)


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
    slope = SLOPES[SCALARIZERS["smooth_chebyshev"]](
        jnp.zeros(4), jnp.full(4, 0.25), ALL
    )[1][0]
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
def test_dtypes_are_promoted_nowhere_by_accident(fn, kind):
    shape = jax.ShapeDtypeStruct((4,), kind)
    with jax.numpy_dtype_promotion("strict"):
        value = jax.eval_shape(fn, shape, shape, jax.ShapeDtypeStruct((4,), bool))
    assert value.dtype == kind
