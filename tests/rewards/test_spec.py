"""Specifications: exact round trips, and errors that name what is wrong and where."""

import dataclasses
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import morl
from morl import schedules, transforms
from morl.rewards import Declarations, Reward, rules, spec
from morl.rewards.callables import callable_reward

helpful = morl.objective("helpful", unit="points", range=(-2, 3))
harmless = morl.objective("harmless", scale="per-prompt")
toxicity = morl.objective("toxicity", range=(0, 1), direction="minimize")
critic = morl.objective(
    "critic",
    declares=Declarations("hybrid", "non-numerical", "implicit", "multi-aspect"),
)
length = rules.length(unit="word")


def judge(prompt, response):
    return float(len(prompt) < len(response))


def product(rewards, weights, *, present, ideal=None, floor):
    del weights, present, ideal
    return jnp.prod(jnp.maximum(rewards, floor))


def calibration(names):
    generator = np.random.default_rng(0)
    scores = jnp.asarray(generator.normal(size=(9, 8, len(names))), jnp.float32)
    return morl.calibrate(
        scores, jnp.ones(scores.shape, bool), names=names, centre=0.85, keep=names[1:]
    )


every_transform = (
    transforms.clip(-0.1, 0.7),
    transforms.tanh(1 / 3),
    transforms.min_max(-1e-30, 1e30),
    transforms.running_min_max(axis_name="devices"),
    transforms.standardize(eps=1e-6),
    transforms.group_standardize(ddof=1),
    transforms.quantile(np.linspace(-1, 1, 7) / 3),
    transforms.running_quantile(size=17),
    transforms.log_sigmoid(0.1),
)
COMPOSITIONS = {
    "alone": helpful.composed(),
    "linear": 0.1 * helpful + 1 / 3 * toxicity - 1e-7 * length + 0.7,
    "declarations": critic + helpful,
    "rule as objective": 0.5 * helpful + 0.5 * length.steer(),
    "rules": helpful
    + rules.regex(r"^\s*(?i:please)\b: \"x\" # no comment", name="polite")
    - 0.1 * rules.lexicon({"idiot": 1.0, "fool": 0.5}, name="rude")
    + rules.distinct(3)
    - rules.repetition(4)
    + rules.answer(),
    "callable": helpful + 0.5 * callable_reward("judge", judge, timeout=7.5),
    "transforms": helpful.through(*every_transform) + toxicity,
    "gates": helpful.when(harmless >= 0.2, (toxicity <= 0.5) | (critic >= 1e-9))
    + toxicity.when(helpful >= -1, otherwise=0.5),
    "constraints": (0.5 * helpful).subject_to(
        harmless >= 0.1 + 0.2, toxicity <= 0.5, multiplier=2.5
    ),
    "chebyshev": morl.chebyshev({helpful: 0.5, harmless: 0.5}, ideal={harmless: 1 / 3}),
    "smooth": 2 * morl.smooth_chebyshev({helpful: 0.1, toxicity: 0.9}, temperature=0.07)
    - 0.01 * length,
    "worst case": morl.worst_case([helpful, toxicity]) + morl.linear({critic: 0.1}),
    "nested": morl.linear(
        {morl.worst_case([helpful, toxicity]): 0.5, 0.1 * critic + 0.2 * length: 2.0}
    ),
    "branch": morl.where(
        (harmless >= 0.2) & (helpful >= 0), helpful, 0.5 * toxicity - 1
    ),
    "custom": morl.scalarized(
        product, {helpful: 1.0, toxicity: 2.0}, settings={"floor": 0.1}
    ),
    "custom with ideal": morl.scalarized(
        product, {helpful: 1.0}, ideal=(None,), settings={"floor": 0.1}
    ),
    "schedules": schedules.linear(0.1, 0.3, steps=100) * helpful
    + 0.5 * toxicity
    + schedules.piecewise((1, 5), (0.1, 0.2, 0.3)) * critic
    - 2 * (schedules.cosine(1, 0, steps=7, begin=2) * length),
    "sum of schedules": schedules.linear(0.1, 0.3, steps=100) * helpful + 0.5 * helpful,
    "propagate": (helpful + toxicity).if_absent("propagate"),
    "calibrated": (helpful + harmless)
    .subject_to(harmless >= morl.percentile(60), helpful >= morl.percentile(5.5))
    .calibrated(calibration(("harmless", "helpful"))),
}
SOURCES = {"judge": judge, "product": product}
every_composition = pytest.mark.parametrize(
    "composition", COMPOSITIONS.values(), ids=COMPOSITIONS.keys()
)


@every_composition
def test_reading_what_was_written_gives_an_equal_composition(composition):
    text = composition.to_yaml()
    again = morl.from_yaml(text, sources=SOURCES)
    assert again == composition
    assert hash(again) == hash(composition)
    assert again.to_yaml() == text
    assert again.spec_hash == composition.spec_hash
    assert again.names == composition.names
    assert again.rewards == composition.rewards
    assert str(again) == str(composition)


@every_composition
def test_a_text_cut_anywhere_is_a_clear_error_or_a_composition(composition):
    text = composition.to_yaml()
    for cut in range(0, len(text), max(len(text) // 60, 1)):
        try:
            morl.from_yaml(text[:cut], sources=SOURCES)
        except morl.InputError as error:
            assert str(error)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(a=numbers, b=numbers, t=numbers, q=st.floats(0, 100))
def test_every_float_survives_to_the_last_bit(a, b, t, q):
    composition = (a * helpful + b * toxicity).subject_to(
        toxicity <= t, helpful >= morl.percentile(q)
    )
    again = morl.from_yaml(composition.to_yaml())
    assert again == composition
    assert again.constraints[1].condition.threshold.q == q


def test_different_numbers_give_different_hashes():
    first, second = 0.5 * helpful + toxicity, 0.5000001 * helpful + toxicity
    assert first.spec_hash != second.spec_hash


def test_the_hash_is_the_same_in_another_process():
    program = (
        "import morl\n"
        "a, b = morl.objectives('a', 'b')\n"
        "print((0.5 * a + 0.3 * b).subject_to(b >= 0.2).spec_hash)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "JAX_PLATFORMS": "cpu"},
    )
    a, b = morl.objectives("a", "b")
    assert run.stdout.strip() == (0.5 * a + 0.3 * b).subject_to(b >= 0.2).spec_hash


def test_a_function_is_named_and_never_stored():
    text = COMPOSITIONS["callable"].to_yaml()
    assert "source: judge" in text
    assert "def " not in text
    assert "0x" not in text


def test_what_people_write_by_hand_may_be_short():
    text = """
    rewards:
      helpful: {range: [0, 1]}
      harmless:
      length: {source: {kind: length, unit: word}}
    utility:
      smooth_chebyshev: {helpful: 0.5, harmless: 5e-1}
      temperature: 1e-1
    subject_to:
    - harmless >= 0.2
    - length <= 300
    """
    a, b = morl.objective("helpful", range=(0, 1)), morl.objective("harmless")
    short = morl.from_yaml(text)
    assert short.names == ("helpful", "harmless", "length")
    assert short.objectives == ("helpful", "harmless")
    assert short.reward("length").declares.basis == "rule-based"
    same = morl.smooth_chebyshev({a: 0.5, b: 0.5}, temperature=0.1)
    assert short.root == same.root
    assert [str(c.condition) for c in short.constraints] == [
        "harmless >= 0.2",
        "length <= 300",
    ]


# Errors ------------------------------------------------------------------------------

BASE = {
    "morl": 1,
    "rewards": {"helpful": {}, "harmless": {}},
    "utility": {
        "sum": [
            {"reward": "helpful", "weight": 0.5},
            {"reward": "harmless", "weight": 0.5},
        ]
    },
}


def refused(data, *words, where=None, sources=None):
    text = data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False)
    with pytest.raises(morl.InputError) as caught:
        morl.from_yaml(text, sources=sources)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    if where is not None:
        assert caught.value.where == where, caught.value.where


def changed(**entries):
    return BASE | entries


def test_the_base_of_these_tests_is_right():
    assert morl.from_yaml(yaml.safe_dump(BASE)).names == ("helpful", "harmless")


CASES = {
    "nothing": ("", ("mapping",), "specification"),
    "text": ("a word", ("'a word'", "mapping"), "specification"),
    "no YAML": ("a: [1", ("is not YAML",), "specification:1"),
    "doubled name": (
        "rewards:\n  a: {}\n  b: {}\n  a: {}\nutility: {reward: a}",
        ("'a' is given twice",),
        "specification line 4",
    ),
    "no utility": ({"rewards": {"a": {}}}, ("'utility' is missing",), "specification"),
    "no rewards": (changed(rewards={}), ("mapping from names",), "rewards"),
    "other version": (changed(morl=2), ("found 2, expected 1",), "morl"),
    "unknown key": (
        changed(utilty=1),
        ("unknown key 'utilty', did you mean 'utility'",),
        "specification",
    ),
    "unknown key of a reward": (
        changed(rewards={"helpful": {"rnge": [0, 1]}, "harmless": {}}),
        ("'rnge'", "'range'"),
        "rewards.helpful",
    ),
    "unknown reward in the utility": (
        changed(utility={"sum": {"helpfull": 1.0}}),
        ("unknown reward 'helpfull', did you mean 'helpful'",),
        "utility.sum[0]",
    ),
    "constraint on an unknown objective": (
        changed(subject_to=["harmles >= 0.2"]),
        ("unknown reward 'harmles', did you mean 'harmless'",),
        "subject_to[0].condition",
    ),
    "NaN weight": (
        changed(utility={"sum": {"helpful": float("nan")}}),
        ("found nan", "finite"),
        "utility.sum[0].weight",
    ),
    "weight that is text": (
        changed(utility={"sum": {"helpful": "much"}}),
        ("'much'", "number"),
        "utility.sum[0].weight",
    ),
    "weight that is a truth": (
        changed(utility={"sum": {"helpful": True}}),
        ("True", "number"),
        "utility.sum[0].weight",
    ),
    "range of three": (
        changed(rewards={"helpful": {"range": [0, 1, 2]}, "harmless": {}}),
        ("[low, high]",),
        "rewards.helpful.range",
    ),
    "unknown basis": (
        changed(rewards={"helpful": {"basis": "magic"}, "harmless": {}}),
        ("magic", "rule-based"),
        "basis",
    ),
    "unknown rule": (
        changed(rewards={"helpful": {}, "harmless": {"source": {"kind": "lenght"}}}),
        ("'lenght', did you mean 'length'",),
        "rewards.harmless.source.kind",
    ),
    "unknown setting of a rule": (
        changed(
            rewards={"helpful": {}, "harmless": {"source": {"kind": "length", "n": 1}}}
        ),
        ("unknown key 'n'",),
        "rewards.harmless.source",
    ),
    "missing setting of a rule": (
        changed(rewards={"helpful": {}, "harmless": {"source": {"kind": "regex"}}}),
        ("'pattern' is missing",),
        "rewards.harmless.source",
    ),
    "wrong setting of a rule": (
        changed(
            rewards={
                "helpful": {},
                "harmless": {"source": {"kind": "length", "unit": "line"}},
            }
        ),
        ("line", "token"),
        "rewards.harmless.source",
    ),
    "unknown transform": (
        changed(rewards={"helpful": {"through": ["clipp"]}, "harmless": {}}),
        ("unknown transform 'clipp', did you mean 'clip'",),
        "rewards.helpful.through[0]",
    ),
    "missing setting of a transform": (
        changed(rewards={"helpful": {"through": ["clip"]}, "harmless": {}}),
        ("low",),
        "rewards.helpful.through[0].clip",
    ),
    "wrong setting of a transform": (
        changed(
            rewards={
                "helpful": {"through": [{"clip": {"low": 2, "high": 1}}]},
                "harmless": {},
            }
        ),
        ("not below",),
        "rewards.helpful.through[0].clip",
    ),
    "gate without a floor": (
        changed(rewards={"helpful": {"when": "harmless >= 0"}, "harmless": {}}),
        ("otherwise",),
        "rewards.helpful.when",
    ),
    "floor without a gate": (
        changed(rewards={"helpful": {"otherwise": 0}, "harmless": {}}),
        ("without when",),
        "rewards.helpful.otherwise",
    ),
    "comparison that is none": (
        changed(subject_to=["harmless > 0.2"]),
        ("'harmless > 0.2'", "comparison"),
        "subject_to[0].condition",
    ),
    "percentile that is not closed": (
        changed(subject_to=["harmless >= percentile(60"]),
        ("comparison",),
        "subject_to[0].condition",
    ),
    "percentile out of range": (
        changed(subject_to=["harmless >= percentile(160)"]),
        ("160", "0 to 100"),
        "percentile",
    ),
    "alternatives as a constraint": (
        changed(subject_to=[{"condition": {"any": ["harmless >= 0", "helpful >= 0"]}}]),
        ("one comparison",),
        "subject_to[0]",
    ),
    "negative multiplier": (
        changed(subject_to=[{"condition": "harmless >= 0", "multiplier": -1}]),
        ("-1", "at least 0"),
        "subject_to[0].multiplier",
    ),
    "negative Chebyshev weight": (
        changed(utility={"chebyshev": {"helpful": -1, "harmless": 1}}),
        ("-1", "at least 0"),
        "utility.chebyshev weight",
    ),
    "no temperature": (
        changed(utility={"smooth_chebyshev": {"helpful": 1, "harmless": 1}}),
        ("'temperature' is missing",),
        "utility",
    ),
    "cold temperature": (
        changed(
            utility={
                "smooth_chebyshev": {"helpful": 1, "harmless": 1},
                "temperature": 0,
            }
        ),
        ("above 0",),
        "utility.temperature",
    ),
    "unknown scalarizer": (
        changed(utility={"chebychev": {"helpful": 1}}),
        ("'chebychev', did you mean 'chebyshev'",),
        "utility",
    ),
    "a reward twice": (
        changed(
            utility={
                "sum": [{"reward": "helpful"}, {"reward": "helpful"}],
            }
        ),
        ("helpful is given twice",),
        "utility.sum",
    ),
    "nothing to sum": (changed(utility={"sum": []}), ("empty",), "utility.sum"),
    "a reward that nothing uses": (
        changed(utility={"reward": "helpful"}),
        ("nothing uses it",),
        "rewards.harmless",
    ),
    "a transform that nothing uses": (
        changed(
            rewards={"helpful": {}, "harmless": {"through": ["standardize"]}},
            utility={"reward": "helpful"},
            subject_to=["harmless >= 0"],
        ),
        ("does not use it",),
        "rewards.harmless",
    ),
    "unknown choice for the absent": (
        changed(absent="zero"),
        ("zero", "renormalize"),
        "absent",
    ),
    "unknown schedule": (
        changed(utility={"sum": {"helpful": {"linaer": {}}, "harmless": 1}}),
        ("unknown schedule 'linaer', did you mean 'linear'",),
        "utility.sum[0].weight",
    ),
}


@pytest.mark.parametrize(("data", "words", "where"), CASES.values(), ids=CASES.keys())
def test_what_is_wrong_is_named_with_its_place(data, words, where):
    refused(data, *words, where=where)


def sourced(**source):
    return changed(rewards={"helpful": {"source": source}, "harmless": {}})


def through(transform):
    return changed(rewards={"helpful": {"through": [transform]}, "harmless": {}})


def weighed(schedule):
    return changed(utility={"sum": {"helpful": schedule, "harmless": 1}})


SETTINGS = {
    "text for a number": (
        sourced(kind="implicit", beta="much"),
        ("found 'much', expected a number",),
        "rewards.helpful.source.beta",
    ),
    "a share for a count": (
        sourced(kind="distinct", n=2.5),
        ("found 2.5, expected a whole number",),
        "rewards.helpful.source.n",
    ),
    "a list for a text": (
        sourced(kind="regex", pattern=["x"]),
        ("found ['x'], expected text",),
        "rewards.helpful.source.pattern",
    ),
    "a text for a list": (
        sourced(kind="answer", places="number"),
        ("found 'number', expected a list",),
        "rewards.helpful.source.places",
    ),
    "a term without its weight": (
        sourced(kind="lexicon", terms=[["maybe"]]),
        ("found ['maybe'], expected a list of 2",),
        "rewards.helpful.source.terms[0]",
    ),
    "a weight that is no number": (
        sourced(kind="lexicon", terms={"maybe": "often"}),
        ("found 'often', expected a number",),
        "rewards.helpful.source.terms[0]",
    ),
    "a text for a function": (
        sourced(kind="callable", fn="judge"),
        ("found 'judge', expected a mapping",),
        "rewards.helpful.source.fn",
    ),
    "a function without a name": (
        sourced(kind="callable", fn={}),
        ("'source' is missing",),
        "rewards.helpful.source.fn",
    ),
    "a size that is none": (
        through({"running_quantile": {"size": 10.5}}),
        ("found 10.5, expected a whole number",),
        "rewards.helpful.through[0].running_quantile.size",
    ),
    "true for a count": (
        through({"group_standardize": {"ddof": True}}),
        ("found True, expected a whole number",),
        "rewards.helpful.through[0].group_standardize.ddof",
    ),
    "a number for a name": (
        through({"standardize": {"axis_name": 3}}),
        ("found 3, expected text",),
        "rewards.helpful.through[0].standardize.axis_name",
    ),
    "a lone step": (
        weighed({"piecewise": {"boundaries": 1, "values": [0, 1]}}),
        ("found 1, expected a list",),
        "utility.sum[0].weight.piecewise.boundaries",
    ),
    "a factor too many": (
        weighed({"mixed": {"parts": [1.0], "factors": [1, 2]}}),
        ("1 parts and 2 factors",),
        "utility.sum[0].weight.mixed",
    ),
    "no condition at all": (
        changed(
            utility={
                "where": {"all": []},
                "then": {"reward": "helpful"},
                "otherwise": {"reward": "harmless"},
            }
        ),
        ("at least one condition",),
        "utility.where.all",
    ),
}


@pytest.mark.parametrize(
    ("data", "words", "where"), SETTINGS.values(), ids=SETTINGS.keys()
)
def test_a_setting_of_another_kind_is_named_with_its_place(data, words, where):
    refused(data, *words, where=where)


WHOLE_NUMBERS = {
    "lexicon": {"terms": [["maybe", 1], ["perhaps", -2]], "count": "terms"},
    "regex": {"pattern": "x", "timeout": 2},
    "answer": {"relative": 0, "absolute": 1},
    "implicit": {"beta": 1},
    "callable": {"fn": {"source": "judge"}, "timeout": 30},
    "batched": {"fn": {"source": "judge"}, "timeout": 600, "backoff": 1},
}


@pytest.mark.parametrize("kind", WHOLE_NUMBERS)
def test_whole_numbers_are_taken_where_settings_are_real(kind):
    entry = {"source": {"kind": kind, **WHOLE_NUMBERS[kind]}}
    data = {"rewards": {"r": entry}, "utility": {"reward": "r"}}
    sources = {"judge": judge}
    found = morl.from_yaml(yaml.safe_dump(data), sources=sources)
    source = found.reward("r").source
    real = [
        vars(source).get(key) for key in ("timeout", "beta", "relative", "absolute")
    ]
    real += [weight for _, weight in vars(source).get("terms", ())]
    assert all(number is None or isinstance(number, float) for number in real)
    assert morl.from_yaml(found.to_yaml(), sources=sources) == found


def test_yaml_numbers_without_a_point_are_numbers():
    text = "rewards: {r: {source: {kind: implicit, beta: 1e-1}}}\nutility: {reward: r}"
    assert morl.from_yaml(text).reward("r").source.beta == 0.1


def test_an_implicit_reward_compares_within_a_prompt_unless_told_otherwise():
    text = "rewards: {r: {source: {kind: implicit, beta: 0.1}%s}}\nutility: {reward: r}"
    usual = morl.from_yaml(text % "")
    assert usual.reward("r").scale == "per-prompt"
    absolute = morl.from_yaml(text % ", scale: absolute")
    for found in (usual, absolute):
        assert morl.from_yaml(found.to_yaml()) == found


def test_the_terms_of_a_lexicon_may_be_a_mapping_as_in_python():
    text = """
    rewards:
      hedges: {source: {kind: lexicon, terms: {maybe: 1, i think: -2}}}
    utility: {reward: hedges}
    """
    source = morl.from_yaml(text).reward("hedges").source
    assert (
        source == rules.lexicon({"maybe": 1.0, "i think": -2.0}, name="hedges").source
    )


def test_a_missing_source_is_an_error():
    text = COMPOSITIONS["callable"].to_yaml()
    refused(text, "'judge'", "sources=", where="rewards.judge.source.fn")
    refused(text, "Given: other", sources={"other": judge})
    refused(COMPOSITIONS["custom"].to_yaml(), "'product'", where="utility")


def test_a_calibration_with_wrong_counts_is_refused():
    data = yaml.safe_load(COMPOSITIONS["calibrated"].to_yaml())
    data["calibration"]["percentiles"]["helpful"].pop()
    refused(data, "100", "101", where="calibration.percentiles.helpful")
    data = yaml.safe_load(COMPOSITIONS["calibrated"].to_yaml())
    data["calibration"]["scale"].append(1.0)
    refused(data, "found 3 numbers, expected 2", where="calibration.scale")


def test_what_has_no_name_cannot_be_saved():
    nameless = morl.scalarized(lambda r, *_, **__: r[0], {helpful: 1.0})
    with pytest.raises(morl.InputError, match="def"):
        nameless.to_yaml()

    @dataclasses.dataclass(frozen=True)
    class Other:
        name: str = "other"

    with pytest.raises(morl.InputError, match="Other"):
        (helpful + Reward("other", source=Other())).to_yaml()


def test_the_table_of_names_lists_settings_that_read_back():
    for table in (spec.TRANSFORMS, spec.SCHEDULES):
        for name, entry in table.items():
            assert entry.make.__name__ == name
            assert dataclasses.is_dataclass(entry.settings)
    for name, entry in spec.SCALARIZERS.items():
        assert entry.function.__name__ == name


def nodes(data, path=()):
    """Where every part of nested data is."""
    yield path
    if isinstance(data, dict | list):
        inner = data.items() if isinstance(data, dict) else enumerate(data)
        for key, value in inner:
            yield from nodes(value, (*path, key))


def exchanged(data, path, value):
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = exchanged(data[path[0]], path[1:], value)
    return copy


GARBAGE = [["x"], {"x": 1}, None, 10**400, "x"]
GARBLED = {
    **COMPOSITIONS,
    "callable": 0.5 * helpful + 0.1 * callable_reward("judge", judge),
    "regex": helpful - 0.1 * rules.regex("a+"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GARBLED)
def test_garbage_anywhere_in_a_specification_is_refused_and_nothing_else(name):
    sources = {"judge": judge, "product": product}
    whole = yaml.safe_load(GARBLED[name].to_yaml())
    for path in nodes(whole):
        for value in GARBAGE:
            text = yaml.safe_dump(exchanged(whole, path, value))
            try:
                morl.from_yaml(text, sources=sources)
            except morl.InputError:
                continue
