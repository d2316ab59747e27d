"""What compositions mean: values against arithmetic retyped here, and laws by name."""

from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orbax.checkpoint import v1 as ocp

import morl
from morl.rewards import RULE, Reward

helpful, harmless, honest = morl.objectives("helpful", "harmless", "honest")
length = Reward("length", unit="token", declares=RULE)
ALL = jnp.ones(4, bool)
RAW = jnp.array([1.0, 2.0, 3.0, 100.0])

linear_reward = 0.5 * helpful + 0.3 * harmless + 0.2 * honest - 0.01 * length
fair_reward = (
    morl.smooth_chebyshev(
        {helpful: 0.5, harmless: 0.3, honest: 0.2}, temperature=0.5, ideal=4.0
    )
    - 0.01 * length
)
COMPOSITIONS = {
    "linear": linear_reward,
    "chebyshev": morl.chebyshev(
        {helpful: 0.5, harmless: 0.3, honest: 0.2},
        ideal={helpful: 4.0, harmless: 5.0, "honest": 3.0},
    )
    - 0.01 * length,
    "smooth_chebyshev": fair_reward,
    "worst_case": morl.worst_case([helpful, harmless, honest]) - 0.01 * length,
    "constrained": linear_reward.subject_to(harmless >= 1.5, multiplier=2.0),
    "gated": 0.5 * helpful.when(harmless >= 1.5, otherwise=-1.0)
    + 0.3 * harmless
    + 0.2 * honest
    - 0.01 * length,
    "branched": morl.where(harmless >= 1.5, linear_reward, -1.0),
    "transformed": 0.5 * helpful.through(morl.transforms.tanh(2.0))
    + 0.3 * harmless
    + 0.2 * honest.through(morl.transforms.standardize())
    - 0.01 * length,
}
every_composition = pytest.mark.parametrize(
    "composition", COMPOSITIONS.values(), ids=COMPOSITIONS.keys()
)


def learnt(composition, rewards, present):
    return composition.apply(rewards, present, composition.init_state()).state


# The contract of every composition ---------------------------------------------------


@every_composition
def test_sixty_six_weightings_compile_once(composition, key):
    traces = []

    @jax.jit
    def utility(composition, rewards, present, weights, state):
        traces.append(1)
        return composition.utility(rewards, present, weights, state=state)

    rewards = jax.random.normal(key, (8, 4))
    present = jnp.ones((8, 4), bool)
    state = learnt(composition, rewards, present)
    lattice = [(i, j, 10 - i - j) for i in range(11) for j in range(11 - i)]
    assert len(lattice) == 66
    for weights in lattice:
        utility(composition, rewards, present, jnp.array(weights) / 10, state)
    assert len(traces) == 1


@every_composition
def test_changing_any_number_in_it_recompiles_nothing(composition):
    traces = []

    @jax.jit
    def utility(composition, state):
        traces.append(1)
        return composition.utility(RAW[None], ALL[None], state=state)

    state = learnt(composition, RAW[None], ALL[None])
    for factor in (1.0, 1.1, 0.7):
        utility(jax.tree.map(lambda leaf, f=factor: leaf * f, composition), state)
    assert len(traces) == 1


@every_composition
def test_a_batch_gives_what_its_rows_give(composition, key):
    rewards = 2 * jax.random.normal(key, (3, 4, 4))
    present = jax.random.bernoulli(key, 0.8, (3, 4, 4))
    weights = jax.random.uniform(key, (3, 4, 3))
    state = learnt(composition, rewards, present)
    utility, here = composition.utility(rewards, present, weights, state=state)
    assert utility.shape == here.shape == (3, 4)
    for b in range(3):
        for g in range(4):
            one, one_here = composition.utility(
                rewards[b, g], present[b, g], weights[b, g], state=state
            )
            assert one_here == here[b, g]
            np.testing.assert_allclose(one, utility[b, g], rtol=1e-5, atol=1e-6)


@every_composition
def test_absent_entries_may_hold_nan(composition, key):
    rewards = jax.random.normal(key, (32, 4))
    present = jax.random.bernoulli(key, 0.6, (32, 4))
    holes = jnp.where(present, rewards, jnp.nan)
    filled = jnp.where(present, rewards, 7.0)
    state = learnt(composition, filled, present)
    first = composition.apply(holes, present, state)
    second = composition.apply(filled, present, state)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert jnp.isfinite(first.utility).all()
    assert jnp.isfinite(first.rewards).all()

    def total(rewards):
        return composition.utility(rewards, present, state=state)[0].sum()

    assert jnp.isfinite(jax.grad(total)(holes)).all()


@every_composition
def test_the_parts_agree_with_the_whole(composition, key):
    rewards = jax.random.normal(key, (16, 4))
    present = jax.random.bernoulli(key, 0.8, (16, 4))
    outcome = composition.apply(rewards, present, composition.init_state())
    after, state = composition.transform(rewards, present, composition.init_state())
    np.testing.assert_array_equal(after, outcome.rewards)
    jax.tree.map(np.testing.assert_array_equal, state, outcome.state)
    utility, here = composition.utility(rewards, present, state=state)
    np.testing.assert_allclose(utility, outcome.utility, rtol=1e-6)
    np.testing.assert_array_equal(here, outcome.present)
    allowed = composition.admissible(rewards, present)
    np.testing.assert_array_equal(allowed, outcome.admissible)


@every_composition
def test_its_own_coefficients_as_weights_change_nothing(composition):
    state = learnt(composition, RAW[None], ALL[None])
    own = composition.weights_at()
    given, _ = composition.utility(RAW, ALL, own, state=state)
    kept, _ = composition.utility(RAW, ALL, state=state)
    np.testing.assert_allclose(given, kept, rtol=1e-6)


@every_composition
def test_a_flattened_composition_is_equal_and_hashes_equal(composition):
    leaves, shape = jax.tree.flatten(composition)
    again = jax.tree.unflatten(shape, leaves)
    assert again == composition
    assert hash(again) == hash(composition)
    changed = jax.tree.unflatten(shape, [leaves[0] + 0.5, *leaves[1:]])
    assert changed != composition


# Names and order ---------------------------------------------------------------------


def test_objectives_come_first_in_order_of_first_use():
    composition = (-0.01 * length + 0.3 * harmless + 0.5 * helpful).subject_to(
        honest >= 0
    )
    assert composition.names == ("harmless", "helpful", "honest", "length")
    assert composition.objectives == ("harmless", "helpful")


def test_a_rule_keeps_its_coefficient_unless_it_is_declared_an_objective():
    ruled = 0.5 * helpful - 0.01 * length
    steered = 0.5 * helpful - 0.01 * length.steer()
    assert ruled.objectives == ("helpful",)
    assert steered.objectives == ("helpful", "length")
    raw, here = jnp.array([1.0, 10.0]), jnp.ones(2, bool)
    utility, _ = ruled.utility(raw, here, jnp.array([2.0]))
    np.testing.assert_allclose(utility, 2.0 * 1 - 0.01 * 10, rtol=1e-6)
    utility, _ = steered.utility(raw, here, jnp.array([2.0, 0.5]))
    np.testing.assert_allclose(utility, 2.0 * 1 + 0.5 * 10, rtol=1e-6)


# Algebra -----------------------------------------------------------------------------


def test_a_linear_composition_is_its_arithmetic():
    utility, here = linear_reward.utility(RAW, ALL)
    np.testing.assert_allclose(utility, 0.5 + 0.6 + 0.6 - 1.0, rtol=1e-6)
    assert here
    utility, _ = linear_reward.utility(RAW, ALL, jnp.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(utility, 3.0 - 1.0, rtol=1e-6)


numbers = st.floats(-4, 4, allow_nan=False, width=32)


@settings(deadline=None)
@given(a=numbers, b=numbers, c=numbers, x=numbers, y=numbers)
def test_operators_obey_the_algebra_of_numbers(a, b, c, x, y):
    composition = a * (helpful + b * harmless) - helpful / 2 + c - (1 - harmless)
    utility, _ = composition.utility(jnp.array([x, y]), jnp.ones(2, bool))
    expected = a * (x + b * y) - x / 2 + c - (1 - y)
    np.testing.assert_allclose(utility, expected, rtol=1e-4, atol=1e-3)


def test_coefficients_of_one_reward_are_added_up():
    assert 0.25 * helpful + 0.25 * helpful == 0.5 * helpful
    assert 2 * (0.25 * helpful) == 0.5 * helpful
    assert -(-1.0 * helpful) == helpful.composed()


def test_the_sum_of_a_list_is_the_sum_of_its_rewards():
    assert sum([helpful, harmless]) == helpful + harmless
    assert helpful - 0 == helpful.composed()


def test_weights_may_be_a_plain_list():
    utility, _ = linear_reward.utility(RAW, ALL, [2.0, 0.0, 0.0])
    np.testing.assert_allclose(utility, 2.0 * 1 - 0.01 * 100, rtol=1e-6)


def test_numbers_of_numpy_and_jax_multiply_like_floats():
    assert np.float32(0.5) * helpful == 0.5 * helpful
    assert jnp.asarray(0.5) * helpful == 0.5 * helpful
    assert np.float64(0.5) * (2 * helpful) == helpful.composed()


def test_a_factor_in_front_of_a_scalarizer_is_no_weight():
    doubled = 2 * morl.linear({helpful: 0.5, harmless: 0.5})
    utility, _ = doubled.utility(jnp.ones(2), jnp.ones(2, bool), jnp.array([1.0, 0.0]))
    assert utility == 2.0


def test_augmented_chebyshev_can_be_written_and_steered():
    parts = {helpful: 0.5, harmless: 0.5}
    composition = morl.chebyshev(parts, ideal=1.0) + 0.1 * morl.linear(parts)
    raw, here = jnp.array([0.2, 0.6]), jnp.ones(2, bool)
    for w in ((0.5, 0.5), (0.9, 0.1), (0.0, 1.0)):
        utility, _ = composition.utility(raw, here, jnp.array(w))
        hard = min(w[0] * (0.2 - 1), w[1] * (0.6 - 1))
        expected = hard + 0.1 * (w[0] * 0.2 + w[1] * 0.6)
        np.testing.assert_allclose(utility, expected, rtol=1e-6)


def test_scalarizers_nest():
    inner = morl.worst_case([helpful, harmless])
    outer = morl.linear({inner: 2.0, honest: 1.0})
    raw, here = jnp.array([3.0, 1.0, 5.0]), jnp.ones(3, bool)
    utility, _ = outer.utility(raw, here)
    assert utility == 2.0 * 1.0 + 5.0


def test_smooth_chebyshev_is_its_formula():
    utility, _ = fair_reward.utility(RAW, ALL)
    terms = [0.5 * (4 - 1), 0.3 * (4 - 2), 0.2 * (4 - 3)]
    expected = -0.5 * log(sum(exp(t / 0.5) for t in terms)) - 1.0
    np.testing.assert_allclose(utility, expected, rtol=1e-6)


def test_the_ideal_is_the_best_declared_value_where_none_is_given():
    a = morl.objective("a", range=(0, 2))
    b = morl.objective("b", range=(-1, 0.5), direction="minimize")
    composition = morl.chebyshev({a: 0.5, b: 0.5})
    utility, _ = composition.utility(jnp.array([1.5, 0.0]), jnp.ones(2, bool))
    # b is minimised: it enters as -b, and its best is 1.
    expected = min(0.5 * (1.5 - 2), 0.5 * (-0.0 - 1))
    np.testing.assert_allclose(utility, expected, rtol=1e-6)


def test_the_ideal_passes_through_bounded_transforms():
    a = morl.objective("a", range=(0, 2)).through(morl.transforms.clip(-1, 1))
    b = harmless.through(morl.transforms.tanh())
    composition = morl.chebyshev({a: 1.0, b: 1.0})
    utility, _ = composition.utility(jnp.array([0.5, 100.0]), jnp.ones(2, bool))
    np.testing.assert_allclose(utility, 0.5 - 1)


def test_any_function_can_be_the_scalarizer():
    def product(rewards, weights, *, present, floor):
        del present
        return jnp.prod(jnp.maximum(rewards, floor) ** weights)

    composition = morl.scalarized(
        product, {helpful: 0.5, harmless: 0.5}, settings={"floor": 0.01}
    )
    raw, here = jnp.array([4.0, 9.0]), jnp.ones(2, bool)
    utility, _ = composition.utility(raw, here)
    np.testing.assert_allclose(utility, 6.0, rtol=1e-6)


# Direction ---------------------------------------------------------------------------


def test_less_of_a_minimised_quantity_gives_more_utility_and_thresholds_stay_raw():
    toxicity = morl.objective("toxicity", range=(0, 1), direction="minimize")
    composition = (0.5 * toxicity).subject_to(toxicity <= 0.4, multiplier=10.0)
    here = jnp.ones(1, bool)
    clean, _ = composition.utility(jnp.array([0.3]), here)
    np.testing.assert_allclose(clean, -0.15, rtol=1e-6)
    dirty, _ = composition.utility(jnp.array([0.6]), here)
    np.testing.assert_allclose(dirty, -0.3 - 10 * 0.2, rtol=1e-6)


def test_the_floor_of_a_minimised_reward_is_its_largest_value():
    toxicity = morl.objective("toxicity", range=(0, 1), direction="minimize")
    gated = toxicity.when(harmless >= 0.5)
    utility, _ = gated.utility(jnp.array([0.1, 0.2]), jnp.ones(2, bool))
    assert utility == -1.0


# Gates and constraints ---------------------------------------------------------------


@pytest.mark.parametrize(("harm", "expected"), [(0.6, 2.0), (0.5, 2.0), (0.4, -1.0)])
def test_a_gate_gives_the_reward_or_its_floor(harm, expected):
    gated = helpful.when(harmless >= 0.5, otherwise=-1.0)
    utility, _ = gated.utility(jnp.array([2.0, harm]), jnp.ones(2, bool))
    assert utility == expected


def test_a_gate_falls_to_the_declared_minimum_where_no_floor_is_given():
    scored = morl.objective("scored", range=(-3, 3))
    gated = scored.when(harmless >= 0.5)
    utility, _ = gated.utility(jnp.array([2.0, 0.0]), jnp.ones(2, bool))
    assert utility == -3.0


def test_gates_read_raw_units_whatever_the_transforms():
    # Standardised, harmless is -1 or 1; raw, both rows pass the gate.
    gated = helpful.when(harmless >= 10, otherwise=-5.0)
    composition = gated + harmless.through(morl.transforms.group_standardize())
    raw = jnp.array([[1.0, 11.0], [2.0, 13.0]])
    outcome = composition.apply(raw, jnp.ones((2, 2), bool))
    np.testing.assert_allclose(outcome.utility, [1.0 - 1.0, 2.0 + 1.0], atol=1e-6)


def test_the_floor_passes_through_the_transforms():
    gated = helpful.when(harmless >= 0.5, otherwise=-4.0)
    clipped = gated.through(morl.transforms.clip(-1, 1))
    utility, _ = clipped.utility(jnp.array([2.0, 0.0]), jnp.ones(2, bool))
    assert utility == -1.0


def test_a_constraint_subtracts_its_violation_in_raw_units():
    safe = helpful.subject_to(harmless >= 0.5, honest <= 1.0, multiplier=3.0)
    raw = jnp.array([[1.0, 0.2, 0.0], [1.0, 0.7, 1.5], [1.0, 0.5, 1.0]])
    outcome = safe.apply(raw, jnp.ones((3, 3), bool))
    np.testing.assert_allclose(
        outcome.utility, [1 - 3 * 0.3, 1 - 3 * 0.5, 1.0], rtol=1e-6
    )
    assert outcome.admissible.tolist() == [False, False, True]


def test_constraints_read_raw_units_whatever_the_transforms():
    squashed = harmless.through(morl.transforms.tanh(0.01))
    safe = (helpful + 0 * squashed).subject_to(harmless >= 5.0)
    utility, _ = safe.utility(jnp.array([1.0, 4.0]), jnp.ones(2, bool))
    np.testing.assert_allclose(utility, 0.0, atol=1e-6)


def test_scaling_a_constrained_composition_scales_its_multipliers():
    safe = helpful.subject_to(harmless >= 0.5, multiplier=3.0)
    raw, here = jnp.array([1.0, 0.2]), jnp.ones(2, bool)
    whole, _ = safe.utility(raw, here)
    half, _ = (0.5 * safe).utility(raw, here)
    np.testing.assert_allclose(half, whole / 2, rtol=1e-6)


# Kleene's tables for "and" and "or", None being unknown.
KLEENE = [
    (True, True, True, True),
    (True, False, False, True),
    (True, None, None, True),
    (False, False, False, False),
    (False, None, False, None),
    (None, None, None, None),
]


@pytest.mark.parametrize(("first", "second", "both", "either"), KLEENE)
def test_conditions_join_in_three_valued_logic(first, second, both, either):
    raw = jnp.array([2.0 if v else 0.0 for v in (first, second)])
    here = jnp.array([v is not None for v in (first, second)])
    for one, other in ((helpful, harmless), (harmless, helpful)):
        for joined, expected in (
            ((one >= 1) & (other >= 1), both),
            ((one >= 1) | (other >= 1), either),
        ):
            branch = morl.where(joined, 1.0, -1.0)
            order = branch.names
            values = {"helpful": raw[0], "harmless": raw[1]}
            seen = {"helpful": here[0], "harmless": here[1]}
            utility, known = branch.utility(
                jnp.stack([values[n] for n in order]),
                jnp.stack([seen[n] for n in order]),
            )
            assert bool(known) == (expected is not None)
            if expected is not None:
                assert utility == (1.0 if expected else -1.0)


# Absent rewards ----------------------------------------------------------------------


def test_renormalize_gives_the_weight_of_the_absent_to_the_present():
    here = ALL.at[0].set(False)
    utility, known = linear_reward.utility(RAW, here)
    expected = (0.3 * 2 + 0.2 * 3) / 0.5 - 0.01 * 100
    np.testing.assert_allclose(utility, expected, rtol=1e-6)
    assert known


def test_renormalize_with_weights_given_at_call_time():
    here = ALL.at[0].set(False)
    utility, _ = linear_reward.utility(RAW, here, jnp.array([0.8, 0.1, 0.1]))
    np.testing.assert_allclose(utility, (0.1 * 2 + 0.1 * 3) / 0.2 - 1.0, rtol=1e-6)


def test_nothing_stands_in_for_a_rule_that_is_absent():
    _, known = linear_reward.utility(RAW, ALL.at[3].set(False))
    assert not known


SCALARIZERS = {
    "chebyshev": lambda parts: morl.chebyshev(parts, ideal=5.0),
    "smooth_chebyshev": lambda parts: morl.smooth_chebyshev(parts, ideal=5.0),
    "worst_case": morl.worst_case,
    "linear": morl.linear,
}


@pytest.mark.parametrize("name", SCALARIZERS)
def test_in_a_scalarizer_objectives_stand_in_for_each_other_and_for_nothing_else(name):
    build = SCALARIZERS[name]
    whole = build({helpful: 0.5, harmless: 0.3, length: 0.2, 0.5 * honest + 1.0: 0.1})
    index = {name: place for place, name in enumerate(whole.names)}
    raw = jnp.array([1.0, 2.0, 3.0, 4.0])
    without = lambda name: whole.utility(raw, ALL.at[index[name]].set(False))
    utility, known = without("helpful")
    assert known
    # The weights keep their total: 0.5 goes to the others in proportion.
    rest = build(
        {harmless: 0.3 * 1.1 / 0.6, length: 0.2 * 1.1 / 0.6, nested(): 1.1 / 6}
    )
    order = [index[name] for name in rest.names]
    expected, _ = rest.utility(raw[jnp.array(order)], jnp.ones(len(order), bool))
    np.testing.assert_allclose(utility, expected, rtol=1e-5)
    assert not without("length")[1]
    assert not without("honest")[1]


def nested():
    return 0.5 * honest + 1.0


@pytest.mark.parametrize("name", SCALARIZERS)
def test_a_scalarizer_of_rules_alone_is_absent_with_any_of_them(name):
    words = Reward("words", declares=RULE)
    whole = SCALARIZERS[name]({length: 0.5, words: 0.5})
    raw = jnp.array([1.0, 2.0])
    assert whole.utility(raw, jnp.ones(2, bool))[1]
    assert not whole.utility(raw, jnp.array([False, True]))[1]


def test_all_objectives_absent_is_no_utility_and_never_zero():
    utility, known = linear_reward.utility(RAW, jnp.array([False] * 3 + [True]))
    assert not known
    assert jnp.isfinite(utility)


def test_all_the_weight_on_an_absent_objective_is_no_utility():
    _, known = linear_reward.utility(
        RAW, ALL.at[0].set(False), jnp.array([1.0, 0.0, 0.0])
    )
    assert not known


@pytest.mark.parametrize("name", ["linear", "chebyshev", "smooth_chebyshev"])
def test_propagate_makes_the_utility_absent(name):
    strict = COMPOSITIONS[name].if_absent("propagate")
    assert strict.utility(RAW, ALL)[1]
    for index in range(4):
        assert not strict.utility(RAW, ALL.at[index].set(False))[1]


def test_propagate_does_not_miss_what_has_no_weight():
    strict = linear_reward.if_absent("propagate")
    here = ALL.at[0].set(False)
    utility, known = strict.utility(RAW, here, jnp.array([0.0, 0.5, 0.5]))
    assert known
    np.testing.assert_allclose(utility, 0.5 * 2 + 0.5 * 3 - 1.0, rtol=1e-6)


def test_a_gate_that_cannot_be_decided_makes_its_reward_absent():
    gated = helpful.when(harmless >= 0.5, otherwise=-1.0)
    outcome = gated.apply(jnp.array([2.0, 0.9]), jnp.array([True, False]))
    assert not outcome.present
    assert outcome.rewards_present.tolist() == [False, False]


def test_a_gate_known_to_be_shut_needs_no_reward():
    gated = helpful.when(harmless >= 0.5, otherwise=-1.0)
    utility, known = gated.utility(jnp.array([2.0, 0.1]), jnp.array([False, True]))
    assert known
    assert utility == -1.0


def test_a_constraint_that_cannot_be_checked_is_not_taken_to_hold():
    safe = helpful.subject_to(harmless >= 0.5)
    outcome = safe.apply(jnp.array([2.0, 0.9]), jnp.array([True, False]))
    assert not outcome.present
    assert not outcome.admissible


# Transforms inside -------------------------------------------------------------------


def test_statistics_are_those_of_all_batches_seen(key):
    composition = helpful.through(morl.transforms.standardize()) + 0 * harmless
    batches = 3 + 5 * jax.random.normal(key, (4, 32, 2))
    here = jnp.ones((32, 2), bool)

    def step(state, batch):
        outcome = composition.apply(batch, here, state)
        return outcome.state, outcome.utility

    state, utilities = jax.lax.scan(step, composition.init_state(), batches)
    seen = np.asarray(batches[..., 0], float)
    expected = (seen[-1] - seen.mean()) / seen.std()
    np.testing.assert_allclose(utilities[-1], expected, rtol=1e-4, atol=1e-5)
    frozen, _ = composition.utility(batches[-1], here, state=state)
    np.testing.assert_allclose(frozen, utilities[-1], rtol=1e-6)


def test_state_saved_and_restored_goes_on_as_if_it_had_not_been(tmp_path, key):
    learning = (
        helpful.through(
            morl.transforms.standardize(), morl.transforms.running_quantile(size=5)
        )
        + harmless.through(morl.transforms.running_min_max())
        + honest.through(morl.transforms.group_standardize())
    )
    batches = jax.random.normal(key, (3, 8, 3))
    here = jnp.ones((8, 3), bool)
    state = learning.init_state()
    for batch in batches[:2]:
        state = learning.apply(batch, here, state).state
    ocp.save(str(tmp_path / "state"), state)
    restored = ocp.load(str(tmp_path / "state"), learning.init_state())
    straight = learning.apply(batches[2], here, state)
    resumed = learning.apply(batches[2], here, restored)
    jax.tree.map(np.testing.assert_array_equal, straight, resumed)


def test_bfloat16_rewards_are_summed_in_float32():
    # Beside 1, half of bfloat16's rounding is lost however often it is added.
    many = morl.linear({morl.objective(f"r{i}"): 1.0 for i in range(9)})
    raw = jnp.full(9, 2.0**-9, jnp.bfloat16).at[0].set(1)
    utility, _ = many.utility(raw, jnp.ones(9, bool))
    assert utility.dtype == jnp.float32
    assert utility == 1 + 2.0**-6


def test_utility_is_sharded_like_its_batch():
    mesh = jax.make_mesh((8,), ("b",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.NamedSharding(mesh, jax.P("b"))
    rewards = jax.random.normal(jax.random.key(3), (16, 4))
    present = jnp.ones((16, 4), bool)
    composition = COMPOSITIONS["transformed"]
    state = composition.init_state()
    alone = composition.apply(rewards, present, state)
    sharded = composition.apply(
        jax.device_put(rewards, spread), jax.device_put(present, spread), state
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        alone,
        sharded,
    )


def test_arrays_of_numpy_are_taken_as_they_are():
    raw, here = np.asarray(RAW), np.ones(4, bool)
    weights = np.array([0.5, 0.3, 0.2], np.float32)
    utility, known = linear_reward.utility(raw, here, weights)
    np.testing.assert_allclose(utility, 0.7, rtol=1e-6)
    assert known
    assert linear_reward.admissible(raw, here)
