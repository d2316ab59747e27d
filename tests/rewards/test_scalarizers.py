"""Every named scalarizer as a composition: values, printing, saving, steering."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

import morl
from morl import scalarize, schedules
from morl.rewards import RULE, Reward, UncalibratedWarning
from morl.rewards.spec import SCALARIZERS

helpful, harmless, honest = morl.objectives("helpful", "harmless", "honest")
head = morl.objective("head", scale="per-prompt")
length = Reward("length", declares=RULE)
WEIGHTS = {helpful: 0.5, harmless: 0.3, honest: 0.2}
RAW, ALL = jnp.array([0.4, 0.1, 0.7]), jnp.ones(3, bool)
Z = {helpful: 1.0, "harmless": 2.0, honest: 1.5}
LOW = {helpful: 0.0, "harmless": -1.0, honest: 1 / 3}
GIVEN = {
    "linear": {},
    "chebyshev": {"ideal": Z},
    "augmented_chebyshev": {"ideal": Z, "rho": 0.07},
    "smooth_chebyshev": {"ideal": Z, "temperature": 0.3},
    "penalty_boundary": {"ideal": Z, "penalty": 1.7},
    "lp_distance": {"ideal": Z, "p": 3.5},
    "exponential": {"sharpness": 2.5},
    "log_sum_exp": {"temperature": -0.3},
    "nash_product": {"disagreement": LOW},
    "worst_case": {},
    "cvar": {"alpha": 0.3},
    "owa": {},
    "generalized_gini": {},
    "lexicographic": {"threshold": Z, "floor": LOW, "resolution": 0.1},
    "cosmos": {"reference": LOW, "penalty": 0.7},
    "hypervolume_scalarization": {"reference": LOW},
}
every_scalarizer = pytest.mark.parametrize("name", GIVEN)
nonlinear = pytest.mark.parametrize("name", [n for n in GIVEN if n != "linear"])


def build(name, parts=None, points=None):
    """The scalarizer of that name; ``points`` replaces every point by one number."""
    given = GIVEN[name]
    if points is not None:
        number = lambda key: 0.0 if key == "floor" else points
        given = {k: number(k) if isinstance(v, dict) else v for k, v in given.items()}
    return vars(morl)[name](WEIGHTS if parts is None else parts, **given)


def arguments(name):
    """What the function itself takes for the same."""
    vector = lambda point: jnp.array([*point.values()])
    given = GIVEN[name].items()
    return {key: vector(v) if isinstance(v, dict) else v for key, v in given}


def test_every_scalarizer_of_the_table_can_be_composed():
    assert set(GIVEN) == set(SCALARIZERS)
    for name, entry in SCALARIZERS.items():
        assert entry.function is vars(scalarize)[name]


@every_scalarizer
def test_it_is_the_function_on_the_rewards(name):
    utility, known = build(name).utility(RAW, ALL)
    weights = jnp.array([*WEIGHTS.values()])
    expected = vars(scalarize)[name](RAW, weights, **arguments(name))
    assert known
    np.testing.assert_allclose(utility, expected, rtol=1e-6)


@every_scalarizer
def test_weights_at_call_time_replace_its_own_and_compile_nothing_again(name):
    composition, traces = build(name), []

    @jax.jit
    def utility(composition, weights):
        traces.append(1)
        return composition.utility(RAW, ALL, weights)[0]

    for weights in ([0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]):
        expected = vars(scalarize)[name](RAW, jnp.array(weights), **arguments(name))
        found = utility(composition, jnp.array(weights))
        np.testing.assert_allclose(found, expected, rtol=2e-6)
    utility(jax.tree.map(lambda leaf: leaf * 1.1, composition), jnp.array(weights))
    assert len(traces) == 1


@every_scalarizer
def test_reading_what_was_written_gives_an_equal_composition(name):
    composition = (2 * build(name) - 0.01 * length).subject_to(harmless >= 0)
    again = morl.from_yaml(composition.to_yaml())
    assert again == composition
    assert hash(again) == hash(composition)
    assert again.spec_hash == composition.spec_hash
    assert str(again) == str(composition)


@every_scalarizer
def test_it_prints_its_weights_settings_and_points(name):
    text = repr(build(name))
    assert text.startswith(f"Composition({name}({{helpful: 0.5, harmless: 0.3, ")
    for key, value in GIVEN[name].items():
        shown = "{helpful: " if isinstance(value, dict) else f"{value}"
        assert f", {key}={shown}" in text


@nonlinear
def test_uncalibrated_heads_warn(name):
    parts = {head: 0.5, helpful: 0.5}
    with pytest.warns(UncalibratedWarning, match="head.*calibrate"):
        build(name, parts, points=1.0).utility(jnp.zeros(2), jnp.ones(2, bool))


@nonlinear
def test_calibrated_heads_do_not_warn(name):
    scores = jax.random.normal(jax.random.key(0), (4, 8, 1))
    calibration = morl.calibrate(scores, jnp.ones((4, 8, 1), bool), names=("head",))
    whole = build(name, {head: 0.5, helpful: 0.5}, points=1.0).calibrated(calibration)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert whole.utility(jnp.zeros(2), jnp.ones(2, bool))[1]


@nonlinear
def test_negative_weights_are_refused_when_written_read_and_called(name):
    with pytest.raises(morl.InputError, match=r"helpful.*-0.5, expected at least 0"):
        build(name, {helpful: -0.5, harmless: 1.0}, points=1.0)
    whole = build(name)
    text = whole.to_yaml().replace("weight: 0.3", "weight: -0.3")
    with pytest.raises(morl.InputError, match=r"-0.3, expected at least 0"):
        morl.from_yaml(text)
    with pytest.raises(morl.InputError, match="weight of honest is -1"):
        whole.utility(RAW, ALL, jnp.array([1.0, 1.0, -1.0]))


@every_scalarizer
def test_an_absent_objective_is_left_out_and_may_hold_nan(name):
    present = jnp.array([True, False, True])
    holes = jnp.array([0.4, jnp.nan, 0.7])
    utility, known = build(name).utility(holes, present)
    expected = vars(scalarize)[name](
        holes, jnp.array([0.5, 0.3, 0.2]), present=present, **arguments(name)
    )
    assert known
    np.testing.assert_allclose(utility, expected, rtol=1e-6)
    assert not build(name).if_absent("propagate").utility(holes, present)[1]


@pytest.mark.parametrize("name", ["owa", "generalized_gini"])
def test_a_rank_without_weight_does_not_excuse_the_part_beside_it(name):
    whole = build(name, {helpful: 1.0, length: 0.0})
    assert whole.utility(jnp.zeros(2), jnp.ones(2, bool))[1]
    assert not whole.utility(jnp.zeros(2), jnp.array([True, False]))[1]
    alone = build(name, {helpful: 0.0, harmless: 1.0})
    utility, known = alone.utility(jnp.array([3.0, 0.0]), jnp.array([True, False]))
    assert known
    assert utility == 3.0


OUTSIDE = {
    "augmented_chebyshev": ("rho", -0.1, "at least 0"),
    "smooth_chebyshev": ("temperature", 0.0, "above 0"),
    "penalty_boundary": ("penalty", -1.0, "at least 0"),
    "lp_distance": ("p", 0.5, "at least 1"),
    "exponential": ("sharpness", 0.0, "above 0"),
    "log_sum_exp": ("temperature", 0.0, "below 0 or above 0"),
    "cvar": ("alpha", 1.5, "above 0 and at most 1"),
    "lexicographic": ("resolution", 0.5, "above 0 and below 0.5"),
    "cosmos": ("penalty", -1.0, "at least 0"),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_settings_out_of_range_are_refused_when_written_and_read(name):
    key, value, words = OUTSIDE[name]
    with pytest.raises(morl.InputError, match=f"found {value:g}, expected {words}"):
        vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: value})
    data = yaml.safe_load(build(name).to_yaml())
    data["utility"][key] = value
    with pytest.raises(morl.InputError, match=words) as caught:
        morl.from_yaml(yaml.safe_dump(data))
    assert caught.value.where == f"utility.{key}"


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_schedule_that_leaves_the_range_is_refused(name):
    key, value, words = OUTSIDE[name]
    inside = GIVEN[name][key]
    ramp = schedules.linear(inside, value - 1e-3 if value < 1 else value, steps=10)
    if name == "log_sum_exp":
        ramp = schedules.piecewise((5,), (-1.0, 1.0))
    if name == "lexicographic":
        ramp = 5 * schedules.linear(0.05, 0.1, steps=10) * helpful
        ramp = ramp.root.coefficients[0]
    with pytest.raises(morl.InputError, match=f"a schedule from .*, expected {words}"):
        vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: ramp})


@pytest.mark.parametrize("name", OUTSIDE)
def test_settings_follow_schedules_that_are_saved_with_them(name):
    key, start = OUTSIDE[name][0], GIVEN[name][OUTSIDE[name][0]]
    ramp = schedules.linear(start, 0.9 * start, steps=10)
    if name == "lp_distance":
        ramp = schedules.piecewise((10,), (start, 0.9 * start))
    composition = vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: ramp})
    again = morl.from_yaml(composition.to_yaml())
    assert again == composition
    with pytest.raises(morl.InputError, match=r"at\(step\)"):
        composition.utility(RAW, ALL)
    for step, factor in ((0, 1.0), (10, 0.9)):
        plain = vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: factor * start})
        expected, _ = plain.utility(RAW, ALL)
        utility, _ = again.at(step).utility(RAW, ALL)
        np.testing.assert_allclose(utility, expected, rtol=1e-6)


def test_a_temperature_is_cooled_without_compiling_again():
    temperature = schedules.geometric(1.0, 0.01, steps=100)
    fair = morl.smooth_chebyshev(WEIGHTS, ideal=1.0, temperature=temperature)
    hard, _ = morl.chebyshev(WEIGHTS, ideal=1.0).utility(RAW, ALL)
    traces = []

    @jax.jit
    def utility(composition, step):
        traces.append(1)
        return composition.at(step).utility(RAW, ALL)[0]

    gaps = [float(hard - utility(fair, jnp.asarray(s))) for s in (0, 25, 50, 100)]
    assert len(traces) == 1
    assert gaps == sorted(gaps, reverse=True)
    for gap, tau in zip(gaps, (1.0, 10**-0.5, 0.1, 0.01), strict=True):
        assert -1e-6 <= gap <= tau * np.log(3) + 1e-6


def test_a_geometric_schedule_in_a_specification_reads_by_hand():
    text = """
    rewards: {helpful: {}, harmless: {}}
    utility:
      smooth_chebyshev:
      - {reward: helpful, weight: 0.5, ideal: 1.0}
      - {reward: harmless, weight: 0.5, ideal: 1.0}
      temperature: {geometric: {start: 1.0, end: 0.01, steps: 100}}
    """
    same = morl.smooth_chebyshev(
        {helpful: 0.5, harmless: 0.5},
        ideal=1.0,
        temperature=schedules.geometric(1.0, 0.01, steps=100),
    )
    assert morl.from_yaml(text) == same


POINTED = [name for name in GIVEN if SCALARIZERS[name].points]


@pytest.mark.parametrize("name", POINTED)
def test_a_point_needs_a_number_for_every_part(name):
    key = SCALARIZERS[name].points[0]
    with pytest.raises(morl.InputError, match="needs a number for honest") as caught:
        vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: {helpful: 0.5, harmless: 0.6}})
    assert caught.value.where == key
    with pytest.raises(morl.InputError, match="did you mean 'honest'"):
        vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: {"honnest": 0.5}})
    data = yaml.safe_load(build(name).to_yaml())
    del data["utility"][name][1][key]
    with pytest.raises(morl.InputError, match=f"'{key}' is missing") as caught:
        morl.from_yaml(yaml.safe_dump(data))
    assert caught.value.where == f"utility.{name}[1]"


@pytest.mark.parametrize("name", POINTED)
def test_a_mapping_is_read_by_name_and_not_in_its_order(name):
    key = SCALARIZERS[name].points[0]
    turned = dict(reversed(GIVEN[name][key].items()))
    assert vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: turned}) == build(name)


@pytest.mark.parametrize("name", POINTED)
def test_one_number_stands_for_all_parts(name):
    key = SCALARIZERS[name].points[0]
    whole = vars(morl)[name](WEIGHTS, **GIVEN[name] | {key: 0.9})
    assert whole.root.points[key] == (0.9, 0.9, 0.9)


def test_a_threshold_at_its_floor_is_refused_when_written_and_read():
    words = "threshold above the floor"
    with pytest.raises(morl.InputError, match=words):
        morl.lexicographic(WEIGHTS, threshold=0.0, floor=0.0)
    text = build("lexicographic").to_yaml().replace("threshold: 1.0", "threshold: -1.0")
    with pytest.raises(morl.InputError, match=words) as caught:
        morl.from_yaml(text)
    assert caught.value.where == "utility.lexicographic"
