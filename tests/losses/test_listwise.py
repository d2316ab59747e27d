from itertools import permutations
from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np

from morl import losses

REWARDS = jnp.array([0.3, -1.2, 2.0, 0.7])
ALL = jnp.ones(4, bool)
plackett_luce = jax.jit(losses.plackett_luce)


def loss(rewards, ranks, mask=ALL, weights=None):
    return plackett_luce(rewards, jnp.array(ranks), mask, weights=weights)


def test_two_items_are_bradley_terry():
    pairs = jnp.array([[0.3, -1.2], [60.0, 0.0], [1e30, -1e30]])
    got = loss(pairs, [[0, 1]] * 3, jnp.ones((3, 2), bool))
    plain = losses.bradley_terry(pairs[:, 0], pairs[:, 1], jnp.ones(3, bool))
    np.testing.assert_allclose(got, plain, rtol=1e-6)


def test_the_probabilities_of_all_orders_add_to_one():
    orders = list(permutations(range(4)))
    each = [loss(REWARDS, ranks).total for ranks in orders]
    np.testing.assert_allclose(np.exp(-np.array(each)).sum(), 1, rtol=1e-5)


def test_a_ranking_matches_its_formula():
    # Best first: 2.0, 0.3, 0.7, -1.2.
    got = loss(REWARDS, [1, 3, 0, 2])
    order = [2.0, 0.3, 0.7, -1.2]
    expected = sum(
        log(sum(exp(r) for r in order[j:])) - order[j] for j in range(len(order))
    )
    np.testing.assert_allclose(got, (expected, 1), rtol=1e-6)


def test_only_the_best_known_is_a_softmax_cross_entropy():
    got = loss(REWARDS, [1, 1, 0, 1])
    np.testing.assert_allclose(got.total, -jax.nn.log_softmax(REWARDS)[2], rtol=1e-6)


def test_the_members_of_a_tied_group_are_each_chosen_from_all_not_above_them():
    got = loss(REWARDS, [1, 2, 0, 1])
    whole = log(sum(exp(r) for r in (0.3, -1.2, 2.0, 0.7)))
    left = log(sum(exp(r) for r in (0.3, -1.2, 0.7)))
    np.testing.assert_allclose(got.total, whole - 2.0 + 2 * left - 1.0, rtol=1e-5)


def test_a_shift_of_all_rewards_changes_nothing():
    np.testing.assert_allclose(
        loss(REWARDS + 5, [1, 3, 0, 2]), loss(REWARDS, [1, 3, 0, 2]), rtol=1e-5
    )


def test_only_the_order_of_ranks_counts():
    np.testing.assert_array_equal(
        loss(REWARDS, [-2, 90, -7, 5]), loss(REWARDS, [1, 3, 0, 2])
    )


def test_the_order_in_which_responses_are_listed_does_not_matter():
    shuffled = jnp.array([2, 0, 3, 1])
    ranks = jnp.array([1, 3, 0, 1])
    np.testing.assert_allclose(
        plackett_luce(REWARDS[shuffled], ranks[shuffled], ALL),
        plackett_luce(REWARDS, ranks, ALL),
        rtol=1e-6,
    )


def test_a_list_without_two_distinct_ranks_does_not_count():
    slopes = jax.jit(jax.value_and_grad(lambda r, k, m: loss(r, k, m).total))
    for ranks, mask in ((jnp.ones(4, int), ALL), (jnp.arange(4), jnp.arange(4) == 1)):
        total, slope = slopes(REWARDS, ranks, mask)
        assert total == loss(REWARDS, ranks, mask).weight == 0
        assert not slope.any()


def test_responses_off_the_mask_may_be_nan_and_are_as_if_not_listed():
    mask = jnp.array([True, False, True, True])
    slopes = jax.jit(jax.value_and_grad(lambda r: loss(r, [1, 0, 0, 2], mask).total))
    total, slope = slopes(REWARDS.at[1].set(jnp.nan))
    first, second = log(exp(0.3) + exp(2.0) + exp(0.7)), log(exp(0.3) + exp(0.7))
    np.testing.assert_allclose(total, first - 2.0 + second - 0.3, rtol=1e-5)
    assert jnp.isfinite(slope).all()
    assert slope[1] == 0


def test_lists_are_weighted_as_a_whole():
    two = jnp.stack([REWARDS, -REWARDS])
    ranks = [[1, 3, 0, 2], [0, 0, 1, 2]]
    got = loss(two, ranks, jnp.ones((2, 4), bool), jnp.array([3.0, 0.5]))
    first, second = (loss(r, k).total for r, k in zip(two, ranks, strict=True))
    np.testing.assert_allclose(got, (3 * first + 0.5 * second, 3.5), rtol=1e-6)
