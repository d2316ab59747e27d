import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.errors import InputError
from morl.pareto import (
    ExactFront,
    Front,
    FrontPoint,
    Hypervolume,
    Normalisation,
    Provenance,
    front_from_json,
    front_text,
    front_to_json,
    read_front,
    write_front,
)

POINT = FrontPoint(
    method="tilt beta=0.5",
    weights=(0.25, 0.75),
    rewards=(0.1, -0.2),
    interval=((0.0, 0.2), (-0.3, -0.1)),
    selector_rewards=(0.4, 0.5),
    kl=0.7,
    seed=3,
    dominated=True,
    length=61.5,
    beta=0.5,
    n=8,
    label="a <b>",
    ties=(1,),
)
BASE = FrontPoint("reference", (0.0, 0.0), (0.0, 0.0), role="base", ties=(0,))
FRONT = Front(
    objectives=("helpful", "harmless"),
    reference=(-1.0, -1.0),
    points=(POINT, BASE),
    hypervolume={"tilt beta=0.5": Hypervolume(0.88, (0.7, 1.0))},
    exact=ExactFront((replace(POINT, ties=()),), 2.0, 1.0, {"tilt beta=0.5": -0.12}),
    units=("gold", "gold"),
    normalisation=Normalisation((0.0, 0.0), (1.0, 1.0)),
    provenance=Provenance(config_hash="ab", seeds=(3,), sizes={"prompts": 64}),
)

RELIED = [
    "method",
    "weights",
    "rewards",
    "interval",
    "selector_rewards",
    "kl",
    "seed",
    "dominated",
]


def altered(keys, value):
    """The front's JSON with one value put in place of another."""
    content = json.loads(front_text(FRONT))
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return content


def test_a_front_reads_back_equal(tmp_path):
    write_front(tmp_path / "deep" / "front.json", FRONT)
    assert read_front(tmp_path / "deep" / "front.json") == FRONT


def test_the_text_holds_what_the_json_holds_one_point_a_line():
    text = front_text(FRONT)
    assert json.loads(text) == json.loads(json.dumps(front_to_json(FRONT)))
    lines = [line for line in text.splitlines() if '"method"' in line]
    assert len(lines) == len(FRONT.points) + len(FRONT.exact.points)


def test_the_fields_that_others_rely_on_have_their_names():
    content = json.loads(front_text(FRONT))
    assert content["objectives"] == ["helpful", "harmless"]
    assert set(RELIED) <= set(content["points"][0])
    assert content["hypervolume"]["tilt beta=0.5"] == {
        "value": 0.88,
        "interval": [0.7, 1.0],
    }
    keys = {"points", "hypervolume", "base_hypervolume", "share_closed"}
    assert set(content["exact"]) == keys
    assert "exact" not in front_to_json(replace(FRONT, exact=None))


def test_a_point_needs_only_what_others_rely_on():
    content = json.loads(front_text(replace(FRONT, exact=None)))
    for key in ("units", "normalisation", "provenance"):
        del content[key]
    content["points"] = [{k: content["points"][1][k] for k in RELIED}]
    assert front_from_json(content).points == (replace(BASE, role="sweep", ties=()),)


@pytest.mark.parametrize("key", sorted(json.loads(front_text(FRONT))["points"][0]))
def test_a_missing_key_of_a_point_is_named_or_has_a_default(key):
    content = json.loads(front_text(FRONT))
    del content["points"][0][key]
    if key in RELIED:
        with pytest.raises(InputError, match=rf"^points\[0\]\.{key}: missing key"):
            front_from_json(content)
    else:
        assert front_from_json(content).points[0].rewards == POINT.rewards


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["surprise"], 1, r"surprise: unknown key, expected one of objectives"),
        (["points", 0, "reward"], [1], r"points\[0\]\.reward: unknown key"),
        (["exact", "share"], {}, r"exact\.share: unknown key"),
        (["provenance", "host"], "x", r"provenance\.host: unknown key"),
        (["points"], {}, r"points: found \{\}, expected a list"),
        (["points", 1], 7, r"points\[1\]: found 7, expected an object"),
        (["points", 0, "kl"], "low", r"points\[0\]\.kl: found 'low', expected a num"),
        (["points", 0, "kl"], float("nan"), r"points\[0\]\.kl: found nan, .* finite"),
        (["points", 0, "seed"], 1.5, r"seed: found 1\.5, expected a whole number"),
        (["points", 0, "seed"], True, r"seed: found True, expected a whole number"),
        (["points", 0, "dominated"], 0, r"dominated: found 0, expected true or false"),
        (["points", 0, "method"], None, r"method: found None, expected a string"),
        (["points", 0, "rewards", 1], None, r"rewards\[1\]: found None, .* a number"),
        (["points", 0, "rewards", 1], float("inf"), r"rewards\[1\]: found inf"),
        (["points", 0, "rewards"], [1.0], r"points\[0\]\.rewards: has 1 entries"),
        (["points", 0, "weights"], [1, 2, 3], r"points\[0\]\.weights: has 3 entries"),
        (["points", 0, "interval"], [[0, 1]], r"points\[0\]\.interval: has 1 entries"),
        (["points", 0, "interval", 0], [1, 0], r"interval\[0\]: found .*low <= high"),
        (["points", 0, "interval", 0], [1], r"interval\[0\]: found .*\[low, high\]"),
        (["points", 0, "selector_rewards"], [1], r"selector_rewards: has 1 entries"),
        (["points", 0, "role"], "boss", r"points\[0\]\.role: found 'boss'"),
        (["points", 0, "ties"], [0], r"points\[0\]\.ties: found \(0,\)"),
        (["points", 0, "ties"], [2], r"points\[0\]\.ties: found \(2,\)"),
        (["objectives"], ["a", "a"], r"objectives: found \('a', 'a'\), .* distinct"),
        (["objectives"], [], r"objectives: found \(\), expected distinct"),
        (["reference"], [0], r"reference: has 1 entries, objectives are"),
        (["units"], ["x"], r"units: has 1 entries"),
        (["normalisation", "best"], [1], r"normalisation\.best: has 1 entries"),
        (["hypervolume", "m"], {"value": 1}, r"hypervolume\.m\.interval: missing key"),
        (
            ["hypervolume", "m"],
            {"value": -1, "interval": None},
            r"hypervolume\.m\.value: found -1\.0, expected >= 0",
        ),
        (["exact", "hypervolume"], None, r"exact\.hypervolume: found None"),
        (["exact", "points", 0, "rewards"], [], r"exact\.points\[0\]\.rewards: has 0"),
        (["exact", "share_closed", "m"], float("nan"), r"share_closed\.m: found nan"),
    ],
)
def test_a_wrong_value_is_refused_by_its_place(keys, value, message):
    with pytest.raises(InputError, match=message):
        front_from_json(altered(keys, value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("", "not valid JSON"),
        (front_text(FRONT)[:-40], "not valid JSON"),
        ("[]", r"found \[\], expected an object"),
        ('{"objectives": ["a"]}', "reference: missing key"),
        (front_text(FRONT).replace("0.7,", "NaN,", 1), "expected a finite number"),
    ],
)
def test_a_file_that_is_no_front_is_refused_by_its_name(tmp_path, text, message):
    path = tmp_path / "front.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_front(path)
    assert str(error.value).startswith(str(path))


def test_nan_is_refused_before_it_could_be_written():
    with pytest.raises(InputError, match=r"points\[0\]\.rewards\[0\]: found nan"):
        replace(FRONT, points=(replace(POINT, rewards=(np.nan, 0.0), ties=()),))


def test_reading_leaves_the_content_alone():
    content = json.loads(front_text(FRONT))
    before = copy.deepcopy(content)
    front_from_json(content)
    assert content == before


def test_a_front_knows_its_parts():
    control = replace(POINT, method="noise best-of-n", role="control", ties=())
    expert = replace(POINT, method="expert", role="expert", ties=())
    front = replace(FRONT, points=(*FRONT.points, control, expert))
    assert front.methods == ("tilt beta=0.5",)
    assert front.controls == ("noise best-of-n",)
    assert front.base == BASE
    assert front.experts == (expert,)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def contents(draw):
    """The content of a valid ``front.json``."""
    k = draw(st.integers(1, 4))
    vector = st.lists(numbers, min_size=k, max_size=k)
    bounds = st.lists(numbers, min_size=2, max_size=2).map(sorted)
    point = st.fixed_dictionaries(
        {
            "method": st.text(),
            "weights": vector,
            "rewards": vector,
            "interval": st.none() | st.lists(bounds, min_size=k, max_size=k),
            "selector_rewards": st.none() | vector,
            "kl": st.none() | numbers,
            "seed": st.integers(),
            "dominated": st.booleans(),
        },
        optional={
            "n": st.none() | st.integers(),
            "label": st.text(),
            "role": st.sampled_from(["base", "expert", "sweep", "control"]),
        },
    )
    volume = st.fixed_dictionaries(
        {"value": st.floats(0, 1e9), "interval": st.none() | bounds}
    )
    return {
        "objectives": [f"{i}" for i in range(k)],
        "reference": draw(vector),
        "points": draw(st.lists(point, max_size=3)),
        "hypervolume": draw(st.dictionaries(st.text(), volume, max_size=2)),
    }


@settings(deadline=None, max_examples=60)
@given(contents())
def test_any_front_survives_its_file(content):
    front = front_from_json(content)
    assert front_from_json(json.loads(front_text(front))) == front
