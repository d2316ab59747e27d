from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import losses

BETTER, WORSE = jnp.array([0.3, -1.2, 2.0]), jnp.array([0.1, 0.5, 2.0])
ALL = jnp.ones(3, bool)
GAPS = [0.3 - 0.1, -1.2 - 0.5, 0.0]


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_bradley_terry_matches_its_formula():
    got = losses.bradley_terry(BETTER, WORSE, ALL)
    expected = sum(log(1 + exp(-gap)) for gap in GAPS)
    np.testing.assert_allclose(got.total, expected, rtol=1e-6)


def test_bradley_terry_does_not_see_a_shift_of_both_rewards():
    shifted = losses.bradley_terry(BETTER + 3, WORSE + 3, ALL)
    np.testing.assert_allclose(shifted, losses.bradley_terry(BETTER, WORSE, ALL), 1e-5)


def test_a_small_loss_is_not_lost_to_rounding():
    gap, one = jnp.array([40.0]), jnp.ones(1, bool)
    for got in (
        losses.bradley_terry(gap, 0 * gap, one),
        losses.soft_bradley_terry(gap, 0 * gap, 1.0, one),
        losses.binary_cross_entropy(-gap, 0 * gap, one),
        losses.davidson(gap, 0 * gap, ~one, one, tie_reward=-jnp.inf),
    ):
        np.testing.assert_allclose(got.total, exp(-40), rtol=1e-5)


def test_a_margin_shifts_the_gap_by_scale_times_strength():
    got = losses.margin_bradley_terry(
        jnp.array([2.0]), jnp.zeros(1), jnp.array([3.0]), jnp.ones(1, bool), scale=0.5
    )
    np.testing.assert_allclose(got.total, log(1 + exp(-(2.0 - 1.5))), rtol=1e-6)


def test_no_margin_is_bradley_terry():
    got = losses.margin_bradley_terry(BETTER, WORSE, BETTER, ALL, scale=0.0)
    np.testing.assert_array_equal(got, losses.bradley_terry(BETTER, WORSE, ALL))


def test_a_strength_scales_the_loss_and_not_what_it_is_divided_by():
    strength = jnp.array([1.0, 2.0, 3.0])
    got = losses.scaled_bradley_terry(BETTER, WORSE, strength, ALL)
    terms = zip((1, 2, 3), GAPS, strict=True)
    expected = sum(m * log(1 + exp(-gap)) for m, gap in terms)
    np.testing.assert_allclose(got, (expected, 3), rtol=1e-6)


def test_full_confidence_is_bradley_terry():
    got = losses.soft_bradley_terry(BETTER, WORSE, 1.0, ALL)
    np.testing.assert_array_equal(got, losses.bradley_terry(BETTER, WORSE, ALL))


def test_smoothing_mixes_the_loss_with_that_of_the_pair_reversed():
    got = losses.soft_bradley_terry(BETTER, WORSE, 0.9, ALL)
    right = losses.bradley_terry(BETTER, WORSE, ALL).total
    wrong = losses.bradley_terry(WORSE, BETTER, ALL).total
    np.testing.assert_allclose(got.total, 0.9 * right + 0.1 * wrong, rtol=1e-6)


def test_a_soft_label_is_met_at_its_log_odds():
    share = jnp.array([0.6, 0.8, 0.99])
    loss = lambda gap: losses.soft_bradley_terry(gap, 0 * gap, share, ALL).total
    slope = jax.jit(jax.grad(loss))(jnp.log(share / (1 - share)))
    np.testing.assert_allclose(slope, 0, atol=1e-6)


TIES = {
    "rao_kupper": (losses.rao_kupper, "threshold"),
    "davidson": (losses.davidson, "tie_reward"),
}
every_tie = pytest.mark.parametrize(("loss", "name"), TIES.values(), ids=TIES.keys())


@every_tie
def test_the_probabilities_of_winning_losing_and_tying_add_to_one(loss, name):
    tied = jnp.array([True, False, False])
    for gap in (-3.0, 0.0, 0.7, 8.0):
        for size in (0.1, 1.0, 4.0):
            # A tie, a win and a loss of one and the same pair.
            better, worse = jnp.array([gap, gap, 0.0]), jnp.array([0.0, 0.0, gap])
            kinds = [
                loss(better, worse, tied, jnp.arange(3) == kind, **{name: size})
                for kind in range(3)
            ]
            chances = [exp(-kind.total) for kind in kinds]
            np.testing.assert_allclose(sum(chances), 1, rtol=1e-5)


@every_tie
def test_a_tie_does_not_ask_which_response_is_named_first(loss, name):
    tied = jnp.ones(3, bool)
    there = loss(BETTER, WORSE, tied, ALL, **{name: 0.5})
    back = loss(WORSE, BETTER, tied, ALL, **{name: 0.5})
    np.testing.assert_allclose(there, back, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "nothing"),
    [
        (losses.rao_kupper, {"threshold": 0.0}),
        (losses.davidson, {"tie_reward": -jnp.inf}),
    ],
    ids=TIES.keys(),
)
def test_where_ties_are_impossible_it_is_bradley_terry(loss, nothing):
    plain = jax.value_and_grad(lambda b: losses.bradley_terry(b, WORSE, ALL).total)
    value, slope = jax.value_and_grad(
        lambda b: loss(b, WORSE, ~ALL, ALL, **nothing).total
    )(BETTER)
    np.testing.assert_allclose(value, plain(BETTER)[0], rtol=1e-6)
    np.testing.assert_allclose(slope, plain(BETTER)[1], rtol=1e-6)


def test_rao_kupper_matches_its_formula_in_odds():
    # Strengths pi = exp(r) and theta = exp(threshold), as the paper has them.
    first, second, theta = exp(0.3), exp(-0.4), exp(0.6)
    win = first / (first + theta * second)
    product = (first + theta * second) * (theta * first + second)
    tie = first * second * (theta**2 - 1) / product
    for tied, chance in ((False, win), (True, tie)):
        got = losses.rao_kupper(
            jnp.array([0.3]),
            jnp.array([-0.4]),
            jnp.array([tied]),
            jnp.ones(1, bool),
            threshold=0.6,
        )
        np.testing.assert_allclose(got.total, -log(chance), rtol=1e-5)


def test_davidson_matches_its_formula_in_odds():
    first, second, nu = exp(0.3), exp(-0.4), exp(0.6)
    whole = first + second + nu * (first * second) ** 0.5
    for tied, part in ((False, first), (True, nu * (first * second) ** 0.5)):
        got = losses.davidson(
            jnp.array([0.3]),
            jnp.array([-0.4]),
            jnp.array([tied]),
            jnp.ones(1, bool),
            tie_reward=0.6,
        )
        np.testing.assert_allclose(got.total, -log(part / whole), rtol=1e-5)


def test_davidson_of_pairs_that_are_not_tied_is_bradley_terry():
    one, gap = jnp.ones(1, bool), jnp.array([1.3])
    loss = lambda better, worse: losses.davidson(
        better, worse, ~one, one, tie_reward=0.4
    )
    log_odds = loss(0 * gap, gap).total - loss(gap, 0 * gap).total
    np.testing.assert_allclose(log_odds, 1.3, rtol=1e-6)
