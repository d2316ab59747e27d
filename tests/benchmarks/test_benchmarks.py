import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from morl.errors import InputError
from morl.models import TransformerConfig

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PEERS = ROOT / ".venv-peers" / ".installed"
WITHOUT_MODEL = (
    "choosing",
    "conflict_step",
    "evolution",
    "hypervolume",
    "residuals",
    "reward_step",
    "weightings",
)
QUESTIONS = ("features", "generation", "heads")
STUDIES = ("kill_and_resume", "reward_heads")  # no peer, and options of their own
TINY = TransformerConfig(300, 32, 2, 4, 2, 8, 48)
SMALL = {
    "features": ["--rows", "2", "--length", "64", "--pairs", "2"],
    "generation": ["--batches", "2", "4", "--samples", "2", "--prompt", "16"],
    "heads": ["--heads", "4", "--rows", "2", "--length", "64", "--responses", "64"],
}
SMALL_WITHOUT_MODEL = {
    "conflict_step": ["--width", "32", "--depth", "2", "--batch", "64"],
    "weightings": [
        *("--objectives", "3", "--whole", "3", "--parameters", "1"),
        *("--batch", "8", "--peer", "4", "--singles", "4"),
    ],
}
FAKE = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "end":
        sys.exit("no memory left")
    if request["do"] == "refuse":
        print(json.dumps({"error": "ValueError: no such model"}), flush=True)
    else:
        print(json.dumps({"seconds": 0.5, "result": request["x"]}), flush=True)
"""


@pytest.fixture
def module(monkeypatch):
    """Imports a module of the benchmarks, as a script beside it does."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for name in ("harness", "peer", "checkpoint"):
        sys.modules.pop(name, None)


@pytest.fixture
def fake_peer(module):
    with module("peer").running([sys.executable, "-c", FAKE]) as peer:
        yield peer


def made_case(harness, ours, peer, name="scan fake n=2"):
    """A case of 10 tokens whose sides give their next timing at every run."""
    agreement = harness.close_enough(1e-3)
    return harness.Case(name, 10, "tokens/s", ours, peer, agreement)


def test_the_last_line_is_the_json_that_pages_and_tools_read(module, fake_peer, capsys):
    harness = module("harness")
    ours = lambda: harness.Timed(0.25, np.array([1.0, 2.0]))
    peer = lambda: fake_peer.timed("scan", {"x": [1.0, 2.0]})
    harness.run("scan", [made_case(harness, ours, peer)], 5, {"fake": "1.0"})
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found) == ["benchmark", "cases", "machine", "versions"]
    assert found["benchmark"] == "scan"
    assert found["cases"] == [
        {
            "case": "scan fake n=2",
            "ours": 40.0,
            "peer": 20.0,
            "unit": "tokens/s",
            "ratio": 2.0,
        }
    ]
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["fake"] == "1.0"
    assert {"python", "morl", "jax"} <= set(found["versions"])


def test_rates_and_ratio_are_medians_and_the_first_run_does_not_count(module):
    harness = module("harness")
    result = np.ones(1)
    ours_seconds = iter([100, 1, 2, 4, 5, 10])
    peer_seconds = iter([100, 3, 4, 4, 30, 20])
    row = harness.measure(
        made_case(
            harness,
            lambda: harness.Timed(next(ours_seconds), result),
            lambda: harness.Timed(next(peer_seconds), result),
        ),
        5,
    )
    assert row.ours == 10 / 4
    assert row.peer == 10 / 4
    assert row.ratio == 2  # of 3, 2, 1, 6, 2
    assert row.quartiles == (2, 3)


def test_each_side_goes_first_in_turn(module):
    harness = module("harness")
    order = []

    def side(name):
        def run():
            order.append(name)
            return harness.Timed(1, np.ones(1))

        return run

    harness.measure(made_case(harness, side("a"), side("b")), 5)
    assert order == ["a", "b"] + ["a", "b", "b", "a"] * 2 + ["a", "b"]


@pytest.mark.parametrize("peer", [[1.0, 2.1], [1.0, float("nan")], [1.0]])
def test_times_of_different_computations_are_refused(module, peer):
    harness = module("harness")
    case = made_case(
        harness,
        lambda: harness.Timed(1, np.array([1.0, 2.0])),
        lambda: harness.Timed(1, np.array(peer)),
    )
    with pytest.raises(harness.Disagreement):
        harness.measure(case, 5)


def test_a_later_round_that_disagrees_is_refused_too(module):
    harness = module("harness")
    results = iter([1.0, 1.0, 1.0, 2.0, 1.0, 1.0])
    case = made_case(
        harness,
        lambda: harness.Timed(1, np.array([next(results)])),
        lambda: harness.Timed(1, np.ones(1)),
    )
    with pytest.raises(harness.Disagreement, match="apart by"):
        harness.measure(case, 5)


def test_too_few_rounds_for_a_median_are_refused(module):
    with pytest.raises(InputError, match="rounds: found 4, expected 5 or more"):
        module("harness").run("scan", [], 4, {})


def test_a_peer_that_ends_is_an_error_with_its_last_words(fake_peer):
    with pytest.raises(InputError, match="no memory left"):
        fake_peer.ask("end", {})


def test_a_peer_that_refuses_is_an_error_with_its_reason(fake_peer):
    with pytest.raises(InputError, match="no such model"):
        fake_peer.ask("refuse", {})
    assert fake_peer.ask("scan", {"x": 1})["result"] == 1


def test_a_gguf_file_that_is_missing_is_named(module, tmp_path):
    with pytest.raises(InputError, match=r"absent\.gguf"):
        module("checkpoint").benchmark_model(tmp_path / "absent.gguf")


def ran(question, *arguments):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{question}.py"), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def test_every_script_is_a_known_question():
    scripts = {
        path.stem
        for path in BENCHMARKS.glob("*.py")
        if "__main__" in path.read_text().splitlines()[-2]
    }
    assert scripts == {*QUESTIONS, *WITHOUT_MODEL, *STUDIES}


@pytest.mark.parametrize("question", [*QUESTIONS, *WITHOUT_MODEL])
def test_a_script_explains_itself(question):
    done = ran(question, "--help")
    assert done.returncode == 0, done.stderr
    assert "--cores" in done.stdout
    assert ("--rounds" in done.stdout) == (question != "residuals")  # times nothing
    assert ("--model" in done.stdout) == (question in QUESTIONS)


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="needs .venv-peers: make peers")
@pytest.mark.parametrize("question", QUESTIONS)
def test_ours_and_the_peer_agree_at_a_small_size(question, module, tmp_path):
    folder = module("checkpoint").random_checkpoint(tmp_path / "tiny", TINY)
    model = ["--model", str(folder), "--rounds", "5"]
    done = ran(question, *model, *SMALL[question])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["benchmark"] == question
    assert found["versions"]["torch"]
    for case in found["cases"]:
        assert case["ours"] > 0 and case["peer"] > 0 and case["ratio"] > 0


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="needs .venv-peers: make peers")
def test_a_model_that_is_no_model_exits_with_code_2(tmp_path):
    done = ran("features", "--model", str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="needs .venv-peers: make peers")
@pytest.mark.parametrize("question", SMALL_WITHOUT_MODEL)
def test_weightings_and_their_peer_agree_at_a_small_size(question):
    done = ran(question, "--rounds", "5", *SMALL_WITHOUT_MODEL[question])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["benchmark"] == question
    assert all(case["ratio"] > 0 for case in found["cases"])


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="needs .venv-peers: make peers")
def test_a_training_step_computes_what_that_of_trl_does(module, tmp_path):
    folder = module("checkpoint").random_checkpoint(tmp_path / "tiny", TINY)
    done = ran(
        *("reward_step", "--checkpoint", str(folder), "--rounds", "5", "--profile"),
        *("--pairs", "2", "--length", "32", "--prompt", "16", "--heads", "3"),
        *("--steps", "2", "--loop-steps", "12"),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found = json.loads(next(line for line in lines if line.startswith("{")))
    assert found["benchmark"] == "reward_step"
    assert found["versions"]["trl"]
    assert len(found["cases"]) == 4
    assert all(case["ratio"] > 0 for case in found["cases"])
    assert sum(line.startswith("| the step |") for line in lines) == 1


@pytest.mark.slow
def test_residuals_are_a_line_a_weighting_and_size():
    done = ran("residuals", "--sets", "20", "--only", "min_norm", "nash")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| `")]
    assert [line.split("|")[1].strip() for line in lines] == [
        f"`{name}` K={k}" for name in ("min_norm", "nash") for k in (3, 8)
    ]
    for line in lines:
        values = [cell.split(",")[0] for cell in line.strip("|").split(" | ")[1:]]
        assert ("none" in values) == ("nash" in line)
        assert all(float(value) < 1e-4 for value in values if value != "none")
