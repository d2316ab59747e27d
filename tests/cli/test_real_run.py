"""A small slice of the example's run: the real model on the real data."""

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from morl.pareto import read_front

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "hh_smollm2.yaml"
COMMAND = [sys.executable, "-c", "from morl.cli.main import main; main()"]
OBJECTIVES = ["helpful", "harmless", "honest"]
# Minutes become seconds: short texts, few of them. Nothing else is changed.
SMALL = {
    "--heads.max-pairs": 24,
    "--heads.folds": 2,
    "--heads.max-tokens": 80,
    "--heads.response-tokens": 24,
    "--candidates.num-prompts": 6,
    "--candidates.num-samples": 3,
    "--candidates.max-new-tokens": 16,
    "--candidates.max-prompt-tokens": 96,
    "--front.divisions": 3,
    "--front.noise-draws": 4,
    "--front.resamples": 50,
}


def morl(*argv):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    ran = subprocess.run(
        [*COMMAND, *map(str, argv)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def out(data, tmp_path_factory):
    """The results of a run."""
    folder = tmp_path_factory.mktemp("real")
    model = morl("fetch", "smollm2").strip()
    places = ["--data", data, "--out", folder / "out", "--cache", folder / "cache"]
    small = chain.from_iterable(SMALL.items())
    said = morl("front", EXAMPLE, "--model", model, *places, *small)
    assert "[8/8] report" in said
    return folder / "out"


def test_the_front_has_the_fields_that_others_rely_on(out):
    front = json.loads((out / "front.json").read_text())
    assert front["objectives"] == OBJECTIVES
    assert len(front["reference"]) == 3
    for point in front["points"]:
        assert len(point["weights"]) == len(point["rewards"]) == 3
        assert all(low <= high for low, high in point["interval"])
        assert {"method", "selector_rewards", "kl", "seed", "dominated"} <= set(point)
    assert front["provenance"]["sizes"] == {
        "prompts": 6,
        "candidates": 3,
        "weightings": 10,
        "noise draws": 4,
        "resamples": 50,
    }
    assert len(front["provenance"]["data"]) == 4
    for volume in front["hypervolume"].values():
        low, high = volume["interval"]
        assert 0 <= low <= high


def test_every_method_has_its_noise_control_at_every_weighting(out):
    front = read_front(out / "front.json")
    swept = {"best-of-n", "tilt beta=0.1", "tilt beta=0.5", "tilt beta=2"}
    weightings = {}
    for point in front.points:
        if point.role != "base":
            weightings.setdefault(point.method, set()).add(point.weights)
    families = swept | {f"noise {method}" for method in swept}
    assert families <= weightings.keys()
    assert families == front.hypervolume.keys()
    # Ten points of the lattice; its centre is one of them.
    assert {len(weightings[method]) for method in families} == {10}


def test_selection_by_one_head_goes_furthest_by_that_head(out):
    points = read_front(out / "front.json").points
    selections = [point for point in points if point.method == "best-of-n"]
    experts = [point for point in selections if point.role == "expert"]
    assert [point.weights.index(1) for point in experts] == [0, 1, 2]
    for place, expert in enumerate(experts):
        own = expert.selector_rewards[place]
        assert own == max(point.selector_rewards[place] for point in selections)
        # The best of three, in deviations: 0.8 is expected of independent normal ones.
        assert own > 0.3


def test_the_metrics_have_a_row_for_every_source_and_the_outside_test(out):
    metrics = json.loads((out / "metrics.json").read_text())
    rows = [(row["objective"], row["data"].split()[0]) for row in metrics["heads"]]
    assert rows == [
        ("helpful", "hh-helpful"),
        ("harmless", "hh-harmless"),
        ("honest", "truthfulqa"),
        ("honest", "halueval"),
    ]
    for row in metrics["heads"]:
        assert row["pairs"] == 24
        for name in ("accuracy", "length_baseline", "response_only"):
            assert 0 <= row[name] <= 1
        low, high = row["interval"]
        assert low <= row["accuracy"] <= high
    outside = {(row["objective"], row["data"]): row for row in metrics["outside"]}
    assert {outside[name, "all pairs"]["pairs"] for name in OBJECTIVES} == {221}


def test_what_people_look_at_is_there(out):
    lines = (out / "candidates.jsonl").read_text().splitlines()
    assert len(lines) == 6
    assert (out / "heads" / "heads.json").exists()
    assert "<html" in (out / "report.html").read_text()
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"front.png", "front.svg", "reward_kl.png"} <= figures


REWARD_MODEL = EXAMPLE.with_name("reward_model.yaml")


def test_a_reward_model_is_trained_on_the_real_data(data, tmp_path):
    model = morl("fetch", "smollm2").strip()
    places = ["--data", data, "--out", tmp_path / "out", "--cache", tmp_path / "cache"]
    small = ["--text.max-records", 8, "--text.max-tokens", 80]
    small += ["--text.response-tokens", 24, "--loop.num-steps", 40]
    said = morl("fit", REWARD_MODEL, "--model", model, *places, *small)
    assert "[5/5] saving" in said
    lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    losses = [
        [s[f"loss/{name}"] for s in steps if f"loss/{name}" in s] for name in OBJECTIVES
    ]
    # A head on 576 features learns a handful of pairs by heart.
    assert all(of_one[-1] < 0.69 for of_one in losses)
    assert (tmp_path / "out" / "heads" / "heads.json").exists()
