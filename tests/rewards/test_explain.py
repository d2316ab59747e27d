import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.errors import InputError
from morl.rewards import (
    calibrate,
    from_yaml,
    objective,
    objectives,
    rules,
    smooth_chebyshev,
    where,
    worst_case,
)
from morl.rewards.batch import text_batch
from morl.rewards.callables import callable_reward
from morl.rewards.explain import explain, explain_batch
from morl.rewards.scoring import score_sources

helpful, harmless, honest = objectives("helpful", "harmless", "honest")
ALL = jnp.ones((1, 3), bool)


def explained(composition, *rows, present=None, **settings):
    rewards = jnp.asarray(rows, jnp.float32)
    here = jnp.ones(rewards.shape, bool) if present is None else jnp.asarray(present)
    return explain(composition, rewards, here, **settings)


def contributions(response):
    return [part.contribution for part in response.parts]


def total(response):
    shares = [p.contribution for p in (*response.parts, *response.penalties)]
    return math.fsum(share for share in shares if share is not None)


# ---------------------------------------------------------------------- linear
@settings(deadline=None)  # the first example compiles
@given(
    st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=3),
    st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3),
)
def test_in_a_sum_contributions_are_weight_times_value_and_add_up(weights, values):
    sum_of_three = 1.0 * helpful + 1.0 * harmless + 1.0 * honest
    found = explained(sum_of_three, values, weights=jnp.asarray(weights))
    (response,) = found.responses
    by_hand = [w * v for w, v in zip(weights, values, strict=True)]
    np.testing.assert_allclose(contributions(response), by_hand, atol=1e-6)
    np.testing.assert_allclose(total(response), response.utility, atol=1e-4)
    assert found.exact and abs(response.remainder) < 1e-4


def test_the_utility_explained_is_the_utility_of_the_composition(key):
    reward = (0.5 * helpful + 0.3 * harmless - 0.2 * honest + 1.5).subject_to(
        harmless >= 0.2, multiplier=3.0
    )
    rewards = jax.random.normal(key, (6, 3))
    present = jax.random.bernoulli(key, 0.7, (6, 3))
    utility, known = reward.utility(rewards, present)
    found = explain(reward, rewards, present)
    for row, response in enumerate(found.responses):
        assert (response.utility is not None) == bool(known[row])
        if response.utility is not None:
            np.testing.assert_allclose(response.utility, utility[row], rtol=1e-6)
            np.testing.assert_allclose(total(response) + 1.5, utility[row], atol=1e-5)
            np.testing.assert_allclose(response.remainder, 1.5, atol=1e-5)


def test_a_penalty_is_multiplier_times_violation_in_raw_units():
    reward = (helpful + harmless).subject_to(harmless >= 0.5, multiplier=4.0)
    held, broken = explained(reward, [1.0, 0.75], [1.0, 0.25]).responses
    assert held.penalties[0].contribution == 0 and held.admissible
    assert broken.penalties[0].violation == 0.25
    assert broken.penalties[0].contribution == -1.0 and not broken.admissible
    assert broken.penalties[0].condition == "harmless >= 0.5"


def test_an_absent_objective_gives_its_weight_away_and_is_shown_as_absent():
    reward = 0.5 * helpful + 0.3 * harmless + 0.2 * honest
    here = [[True, False, True]]
    (response,) = explained(reward, [1.0, jnp.nan, 2.0], present=here).responses
    first, absent, last = response.parts
    assert (absent.raw, absent.value, absent.contribution) == (None, None, None)
    # The weights keep their sum of 1: 0.5 / 0.7 and 0.2 / 0.7.
    np.testing.assert_allclose([first.weight, last.weight], [5 / 7, 2 / 7], rtol=1e-6)
    np.testing.assert_allclose(response.utility, 5 / 7 + 4 / 7, rtol=1e-6)
    np.testing.assert_allclose(total(response), response.utility, rtol=1e-6)


def test_an_absent_utility_has_neither_weights_nor_contributions():
    reward = (helpful + harmless).if_absent("propagate")
    (response,) = explained(reward, [1.0, jnp.nan], present=[[True, False]]).responses
    assert response.utility is None and response.remainder is None
    assert contributions(response) == [None, None]
    assert response.parts[0].raw == 1 and response.parts[0].weight is None


def test_a_minimised_reward_shows_its_raw_value_and_counts_with_its_sign_changed():
    toxic = objective("toxic", range=(0, 1), direction="minimize")
    (response,) = explained(helpful + 2.0 * toxic, [1.0, 0.25]).responses
    part = response.parts[1]
    assert (part.raw, part.value, part.contribution) == (0.25, -0.25, -0.5)


def test_a_shut_gate_shows_the_floor_as_the_value():
    gated = helpful.when(harmless >= 0.0, otherwise=-2.0) + 1.0 * harmless
    open_gate, shut = explained(gated, [1.0, 0.5], [1.0, -0.5]).responses
    assert [open_gate.parts[0].raw, open_gate.parts[0].value] == [1, 1]
    assert [shut.parts[0].raw, shut.parts[0].value] == [1, -2]
    np.testing.assert_allclose(total(shut), -2.5)


def test_in_a_branch_the_side_taken_is_exact():
    reward = where(harmless >= 0.0, 2.0 * helpful, 3.0 * harmless)
    good, bad = explained(reward, [1.0, 0.5], [1.0, -0.5]).responses
    assert contributions(good) == [2, 0] and contributions(bad) == [0, -1.5]
    assert explained(reward, [1.0, 0.5]).exact


# ------------------------------------------------------------------ non-linear
def test_outside_of_sums_contributions_are_gradients_and_the_rest_is_shown():
    rewards = np.array([[0.2, 0.7, 0.4]], np.float32)
    weights = {helpful: 0.5, harmless: 0.3, honest: 0.2}
    reward = smooth_chebyshev(weights, temperature=0.3, ideal={r: 1.0 for r in weights})
    found = explain(reward, rewards, ALL)
    (response,) = found.responses
    assert not found.exact and "gradient" in found.method
    # -tau log sum exp(w (1 - r) / tau), differentiated by hand.
    shortfall = [w * (1 - r) for w, r in zip(weights.values(), rewards[0], strict=True)]
    size = [math.exp(s / 0.3) for s in shortfall]
    slopes = [w * e / sum(size) for w, e in zip(weights.values(), size, strict=True)]
    np.testing.assert_allclose([p.weight for p in response.parts], slopes, rtol=1e-5)
    by_hand = [s * r for s, r in zip(slopes, rewards[0], strict=True)]
    np.testing.assert_allclose(contributions(response), by_hand, rtol=1e-5)
    expected = -0.3 * math.log(sum(size))
    np.testing.assert_allclose(response.utility, expected, rtol=1e-5)
    np.testing.assert_allclose(response.remainder, expected - sum(by_hand), rtol=1e-4)
    assert "remainder" in str(found)


def test_in_the_worst_case_only_the_worst_reward_contributes():
    reward = worst_case({helpful: 1.0, harmless: 1.0, honest: 1.0})
    (response,) = explained(reward, [0.5, -0.25, 2.0]).responses
    assert contributions(response) == [0, -0.25, 0] and response.utility == -0.25


# -------------------------------------------------------------------- sources
def judge(prompt, response):
    return (0.5, f"[bold]{prompt}[/bold]: fine") if response != "bad" else None


def test_sources_of_every_kind_fill_the_matrix_in_the_order_of_the_names():
    reward = (
        callable_reward("judge", judge)
        + 0.5 * helpful
        - 0.1 * rules.length("word")
        + rules.answer()
    )
    batch = text_batch(["q"] * 3, ["a b", "bad", "42"], references=["b", None, "42"])
    scores = score_sources(reward, batch, {"helpful": [1.0, None, np.nan]})
    assert scores.names == reward.names
    column = {name: scores.rewards[:, i] for i, name in enumerate(scores.names)}
    nan = math.nan
    np.testing.assert_array_equal(column["helpful"], [1, nan, nan])
    np.testing.assert_array_equal(column["judge"], [0.5, nan, 0.5])
    np.testing.assert_array_equal(column["length"], [2, 1, 1])
    np.testing.assert_array_equal(column["answer"], [0, nan, 1])
    np.testing.assert_array_equal(scores.present, ~np.isnan(scores.rewards))
    assert scores.failures == {"judge": {"None": 1}}
    assert scores.critiques[0][scores.names.index("judge")].endswith("fine")
    assert scores.explanations[2][scores.names.index("answer")] == "'42' is correct"


def test_each_source_is_asked_once_even_where_its_reward_is_used_three_times():
    calls = []

    def counted(prompt, response):
        calls.append(prompt)
        return float(len(response))

    size = callable_reward("size", counted)
    reward = (helpful.when(size >= 1.0, otherwise=0.0) + 1.0 * size).subject_to(
        size <= 10.0
    )
    scores = score_sources(reward, text_batch(["q"], ["abc"]), {"helpful": [1.0]})
    assert calls == ["q"] and scores.rewards.tolist() == [[1, 3]]


def test_a_given_column_takes_the_place_of_a_source():
    reward = helpful - rules.length()  # in tokens, but the batch has none
    batch = text_batch(["q"], ["a"])
    scores = score_sources(reward, batch, {"helpful": [1.0], "length": jnp.ones(1)})
    assert scores.rewards.tolist() == [[1, 1]] and scores.explanations[0][1] == "given"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, r"helpful: has no source; pass its values as columns"),
        (
            {"helpful": [1.0, 2.0]},
            r"columns\.helpful: has shape \(2,\), expected \(1,\)",
        ),
        ({"helpful": ["x"]}, r"columns\.helpful: found list, expected numbers"),
        ({"helpfull": [1.0]}, r"unknown reward 'helpfull', did you mean 'helpful'"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns, message):
    with pytest.raises(InputError, match=message):
        score_sources(helpful + harmless, text_batch(["q"], ["a"]), columns)


def test_an_empty_batch_has_an_empty_matrix():
    scores = score_sources(
        helpful - rules.length("word"), text_batch([], []), {"helpful": []}
    )
    assert scores.rewards.shape == (0, 2) and scores.explanations == ()


def test_sources_with_functions_are_saved_by_name_and_need_the_function_again():
    reward = helpful + callable_reward("judge", judge, timeout=5.0, version="2")
    text = reward.to_yaml()
    assert from_yaml(text, sources={"judge": judge}) == reward
    with pytest.raises(InputError, match=r"function 'judge'"):
        from_yaml(text)


# ------------------------------------------------------------------ presenting
def test_tables_show_every_component_absent_ones_and_brackets_as_they_are():
    reward = (callable_reward("judge", judge) + 0.5 * helpful).subject_to(
        helpful >= 0.0
    )
    batch = text_batch(["q"] * 2, ["good [x]", "bad"])
    text = str(explain_batch(reward, batch, {"helpful": [-1.0, 2.0]}))
    assert "Response 1: good [x]" in text
    assert "[bold]q[/bold]: fine" in text
    assert "short by +1" in text and "violates a constraint" in text
    assert "absent: returned None" in text
    assert text.splitlines()[-1].startswith("contribution = weight x value")
    assert max(map(len, text.splitlines())) <= 100


def test_json_holds_null_for_what_is_absent_and_survives_a_round_trip():
    batch = text_batch(["q"], ["bad"])
    found = explain_batch(
        callable_reward("judge", judge) + helpful, batch, {"helpful": [1.0]}
    )
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    response = read["responses"][0]
    part = {p["name"]: p for p in response["parts"]}
    assert part["judge"]["raw"] is None and part["helpful"]["raw"] == 1
    assert response["utility"] is None and response["text"] == "bad"
    assert read["exact"] is True


def test_a_calibrated_composition_shows_raw_and_calibrated_values():
    reference = jnp.asarray([[[0.0], [2.0]], [[5.0], [9.0]]])
    units = calibrate(reference, jnp.ones((2, 2, 1), bool), names=("helpful",))
    reward = (2.0 * helpful).calibrated(units)
    found = explain_batch(
        reward, text_batch(["q"] * 2, ["a", "b"]), {"helpful": [3.0, 7.0]}, group=2
    )
    # Centred on the group's mean of 5; pooled variance (2 + 8) / 2, by hand.
    expected = np.array([-2.0, 2.0]) / math.sqrt(5)
    parts = [response.parts[0] for response in found.responses]
    assert [part.raw for part in parts] == [3, 7]
    np.testing.assert_allclose([p.calibrated for p in parts], expected, rtol=1e-6)
    np.testing.assert_allclose([p.contribution for p in parts], 2 * expected, rtol=1e-6)
    assert "calibrated" in str(found)


def test_groups_that_do_not_fit_are_refused():
    batch = text_batch(["q"] * 3, ["a", "b", "c"])
    with pytest.raises(InputError, match=r"group: 3 responses .* groups of 2"):
        explain_batch(helpful + harmless, batch, group=2)
    with pytest.raises(InputError, match=r"last axis to be the 2 rewards"):
        explain(helpful + harmless, jnp.zeros((1, 3)), jnp.ones((1, 3), bool))
