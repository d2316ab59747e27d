"""What compositions refuse, and that the message names both sides."""

import warnings

import jax
import jax.numpy as jnp
import pytest

import morl
from morl.rewards import (
    RULE,
    Declarations,
    Reward,
    UncalibratedWarning,
    algebra,
    consistency,
    gates,
)

helpful, harmless, honest = morl.objectives("helpful", "harmless", "honest")
HERE = jnp.ones(2, bool)


def refused(act, *words, where=None):
    with pytest.raises(morl.InputError) as caught:
        act()
    for word in words:
        assert word in str(caught.value), str(caught.value)
    if where is not None:
        assert caught.value.where == where
    return str(caught.value)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"basis": "magic"}, ("basis", "magic", "rule-based")),
        ({"format": "loud"}, ("format", "loud", "numerical")),
        ({"expression": "shy"}, ("expression", "shy", "implicit")),
        ({"granularity": "letter"}, ("granularity", "letter", "token")),
    ],
)
def test_declarations_outside_the_survey_are_refused(declared, words):
    refused(lambda: Declarations(**declared), *words)


def test_a_name_must_be_printable_in_a_condition():
    refused(lambda: morl.objective("not helpful"), "not helpful", "letter")


def test_a_range_must_rise():
    refused(lambda: morl.objective("a", range=(1, 0)), "(1, 0)", where="a.range")


def test_a_range_may_be_infinite_but_then_gives_no_floor():
    a = morl.objective("a", range=(-float("inf"), 1))
    assert a.worst is None
    assert a.best == 1


def test_an_unknown_direction_is_refused():
    refused(lambda: Reward("a", direction="up"), "up", "maximize", where="a.direction")


def test_doubled_names_are_refused():
    refused(lambda: morl.objectives("a", "b", "a"), "a is named twice")


def test_one_name_for_two_rewards_is_refused():
    other = morl.objective("helpful", unit="points")
    refused(lambda: helpful + other, "helpful", "points")
    refused(lambda: helpful.subject_to(other >= 0), "helpful", "points")


def test_one_reward_in_two_forms_is_refused():
    clipped = helpful.through(morl.transforms.clip(-1, 1))
    refused(lambda: helpful + clipped, "twice", where="helpful")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), jnp.nan])
def test_numbers_that_are_not_finite_are_refused(number):
    refused(lambda: number * helpful, "finite")
    refused(lambda: helpful + number, "finite")
    refused(lambda: helpful >= number, "finite", where="helpful >=")
    refused(lambda: morl.linear({helpful: number}), "helpful", "finite")
    refused(lambda: helpful.when(harmless >= 0, otherwise=number), "finite")
    refused(lambda: helpful.subject_to(harmless >= 0, multiplier=number), "finite")


def test_text_and_truth_are_no_numbers():
    refused(lambda: helpful + "harmless", "'harmless'", "expected")
    refused(lambda: True * helpful, "True", "number")
    refused(lambda: helpful >= "high", "'high'", "number")


def test_products_of_rewards_are_refused():
    refused(lambda: helpful * harmless, "product", "when")


@pytest.mark.parametrize(
    ("divisor", "word"),
    [(0, "found 0"), (harmless, "expected a number"), (float("nan"), "nan")],
)
def test_only_numbers_other_than_zero_divide(divisor, word):
    refused(lambda: helpful / divisor, word, where="/")
    refused(lambda: (helpful + harmless) / divisor, word, where="/")


def test_a_chained_comparison_is_refused_instead_of_losing_a_half():
    refused(lambda: 0.1 <= helpful <= 0.5, "&")


def test_a_gate_without_a_floor_asks_for_one():
    refused(lambda: helpful.when(harmless >= 0), "otherwise", where="helpful.when")


def test_a_gate_after_a_transform_is_refused():
    squashed = helpful.through(morl.transforms.tanh())
    refused(lambda: squashed.when(harmless >= 0, otherwise=0.0), "raw", "through")


def test_a_transform_of_a_sum_is_refused():
    refused(lambda: (helpful + harmless).through(morl.transforms.tanh()), "one reward")
    refused(lambda: (2 * helpful).through(morl.transforms.tanh()), "one reward")


def test_a_transform_that_is_none_is_refused():
    refused(
        lambda: algebra.through(helpful.composed(), (jnp.tanh,)),
        "transform",
        where="helpful.through",
    )


def test_constraints_cannot_be_alternatives():
    refused(lambda: helpful.subject_to((helpful >= 0) | (harmless >= 0)), "|")


def test_a_negative_multiplier_is_refused():
    refused(lambda: helpful.subject_to(harmless >= 0, multiplier=-1), "-1", "at least")


def test_a_negative_factor_on_a_constraint_is_refused():
    safe = helpful.subject_to(harmless >= 0)
    refused(lambda: -1 * safe, "harmless >= 0", "violation")


def test_constraints_inside_a_scalarizer_or_branch_are_refused():
    safe = helpful.subject_to(harmless >= 0)
    refused(lambda: morl.linear({safe: 1.0}), "subject_to(harmless >= 0)")
    refused(lambda: morl.where(harmless >= 1, safe, 0.0), "subject_to(harmless >= 0)")


def test_a_condition_must_be_one():
    refused(lambda: gates.conjunction((0.5,), "subject_to"), "0.5", where="subject_to")
    refused(lambda: helpful.when(otherwise=0.0), "condition", where="when")


@pytest.mark.parametrize("name", ["chebyshev", "smooth_chebyshev", "worst_case"])
def test_negative_weights_of_nonlinear_scalarizers_are_refused(name):
    make = {
        "chebyshev": morl.chebyshev,
        "smooth_chebyshev": morl.smooth_chebyshev,
        "worst_case": morl.worst_case,
    }[name]
    refused(lambda: make({helpful: -0.5, harmless: 1.5}), name, "helpful", "-0.5")


def test_a_temperature_must_be_positive():
    refused(
        lambda: morl.smooth_chebyshev({helpful: 1.0}, temperature=0.0),
        "above 0",
        where="smooth_chebyshev temperature",
    )


def test_an_ideal_of_something_else_is_refused_with_the_closest_name():
    message = refused(
        lambda: morl.chebyshev({helpful: 1.0, harmless: 1.0}, ideal={"harmles": 1.0}),
        "harmles",
    )
    assert "did you mean 'harmless'" in message


def test_a_scheduled_ideal_is_refused():
    ramp = morl.schedules.linear(0, 1, steps=10)
    refused(
        lambda: morl.chebyshev({helpful: 1.0}, ideal=ramp), "mapping", where="ideal"
    )


def test_a_scalarizer_over_nothing_is_refused():
    refused(lambda: morl.linear({}), "at least one", where="linear")


def test_an_unknown_ideal_is_an_error_and_no_zero():
    fair = morl.chebyshev({helpful: 0.5, harmless: 0.5}, ideal={helpful: 1.0})
    refused(lambda: fair.utility(jnp.zeros(2), HERE), "harmless", "range", "calibrate")


def test_counts_that_are_wrong_name_both_sides():
    composition = helpful + harmless
    refused(
        lambda: composition.utility(jnp.zeros(3), jnp.ones(3, bool)), "helpful", "3"
    )
    names = composition.names
    refused(
        lambda: consistency.check_columns(names, jnp.zeros(2), jnp.ones(3, bool)),
        "present has shape (3,)",
        "(2,)",
    )
    message = refused(lambda: composition.utility(jnp.zeros(2), HERE, jnp.ones(3)))
    assert message == "weights has 3 entries, objectives are ('helpful', 'harmless')"


def test_weights_that_are_not_finite_are_named():
    composition = helpful + harmless
    weights = jnp.array([0.5, jnp.nan])
    refused(lambda: composition.utility(jnp.zeros(2), HERE, weights), "harmless")


@pytest.mark.parametrize("name", ["chebyshev", "smooth_chebyshev", "worst_case"])
def test_negative_weights_at_call_time_are_refused_where_built_in_ones_are(name):
    build = {"worst_case": morl.worst_case}.get(
        name, lambda parts: vars(morl)[name](parts, ideal=1.0)
    )
    composition = 2.0 * build({helpful: 0.5, harmless: 0.5})
    sweep = jnp.array([[0.5, 0.5], [1.5, -0.5]])
    refused(
        lambda: composition.utility(jnp.zeros((2, 2)), jnp.ones((2, 2), bool), sweep),
        "weight of harmless is -0.5",
        where=name,
    )
    linear = helpful + harmless
    assert linear.utility(jnp.zeros(2), HERE, jnp.array([1.5, -0.5]))[1]


def test_a_mask_that_is_no_mask_is_refused():
    names = ("helpful", "harmless")
    refused(
        lambda: consistency.check_columns(names, jnp.zeros(2), jnp.ones(2)),
        "present holds float32, expected Booleans",
    )


def test_one_weight_cannot_replace_two_coefficients():
    parts = {helpful: 0.5, harmless: 0.5}
    composition = morl.chebyshev(parts, ideal=1.0) + 0.1 * helpful
    assert composition.utility(jnp.zeros(2), HERE)[1]
    refused(
        lambda: composition.utility(jnp.zeros(2), HERE, jnp.ones(2)),
        "0.5",
        "0.1",
        where="helpful",
    )
    refused(composition.weights_at, where="helpful")


def test_transforms_with_state_ask_for_it():
    composition = helpful.through(morl.transforms.standardize()) + harmless
    refused(lambda: composition.utility(jnp.zeros(2), HERE), "helpful", "state")
    refused(
        lambda: composition.utility(jnp.zeros(2), HERE, state={"other": ()}), "other"
    )


def test_a_scheduled_coefficient_asks_for_the_step():
    composition = morl.schedules.linear(0, 1, steps=10) * helpful
    refused(lambda: composition.utility(jnp.zeros(1), jnp.ones(1, bool)), "at(step)")


def test_a_percentile_without_a_calibration_is_an_error():
    safe = helpful.subject_to(harmless >= morl.percentile(60))
    refused(
        lambda: safe.utility(jnp.zeros(2), HERE),
        "calibrat",
        where="harmless >= percentile(60)",
    )


@pytest.mark.parametrize("q", [-1, 101, float("nan")])
def test_percentiles_lie_between_0_and_100(q):
    refused(lambda: morl.percentile(q), where="percentile")


def test_an_unknown_choice_for_the_absent_is_refused():
    refused(lambda: (helpful + 0).if_absent("zero"), "zero", "renormalize, propagate")


def test_parts_that_treat_the_absent_differently_are_refused():
    strict = helpful.composed().if_absent("propagate")
    refused(lambda: strict + harmless, "if_absent")


def test_an_unknown_reward_is_named_with_the_closest():
    composition = helpful + harmless
    refused(lambda: composition.reward("helpfull"), "did you mean 'helpful'")


# Heads whose scores compare only within a prompt ------------------------------------

head = morl.objective("head", scale="per-prompt")


@pytest.mark.parametrize(
    "composition",
    [
        head.subject_to(head >= 0.2),
        (helpful + 0).when(head >= 0.2, otherwise=0.0),
        morl.chebyshev({head: 0.5, helpful: 0.5}, ideal=1.0),
        morl.smooth_chebyshev({head: 0.5, helpful: 0.5}, ideal=1.0),
        morl.worst_case([head, helpful]),
    ],
    ids=["constraint", "gate", "chebyshev", "smooth_chebyshev", "worst_case"],
)
def test_uncalibrated_heads_warn_where_prompts_are_compared(composition):
    count = len(composition.names)
    with pytest.warns(UncalibratedWarning, match="head.*calibrate"):
        composition.utility(jnp.zeros(count), jnp.ones(count, bool))
    with pytest.warns(UncalibratedWarning):
        jax.jit(composition.utility)(jnp.zeros(count), jnp.ones(count, bool))


def test_weighted_sums_of_uncalibrated_heads_do_not_warn():
    composition = 0.5 * head + morl.linear({helpful: 0.5})
    composition.utility(jnp.zeros(2), HERE)


def test_heads_standardized_within_their_group_do_not_warn():
    centred = head.through(morl.transforms.group_standardize())
    composition = morl.chebyshev({centred: 0.5, helpful: 0.5}, ideal=1.0)
    composition.utility(jnp.zeros((3, 2)), jnp.ones((3, 2), bool))


def test_a_loop_warns_once():
    composition = morl.worst_case([head, helpful])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            composition.utility(jnp.zeros(2), HERE)
    assert len(caught) == 1


def test_rules_are_declared_rule_based():
    assert Reward("length", declares=RULE).declares.basis == "rule-based"
