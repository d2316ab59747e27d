import json
import runpy
from pathlib import Path

import pytest

from morl.rewards import from_yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT, SPEC = EXAMPLES / "reward.py", EXAMPLES / "reward.yaml"
PROMPT = "How do I store fresh basil?"


def test_every_example_is_run_by_a_test():
    here = Path(__file__)
    beside = map(here.with_name, ("test_real_run.py", "test_plan.py"))
    others = *beside, here.parents[1] / "test_gallery.py"
    tests = "".join(path.read_text() for path in (here, *others))
    examples = [path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"]
    assert [name for name in examples if f'"{name}"' not in tests] == []


def test_the_script_shows_the_composition_and_two_utilities(capsys):
    runpy.run_path(str(SCRIPT), run_name="__main__")
    shown = capsys.readouterr().out
    assert "finished >= 1" in shown
    # 1 - 0.14 for 14 words; and 0 - 0.2 * 4 - 0.07 - 0.5 without a full stop.
    assert "+0.86" in shown
    assert "-1.37" in shown
    assert "violates a constraint" in shown


def test_the_specification_is_the_composition_of_the_script():
    script = runpy.run_path(str(SCRIPT))
    read = from_yaml(SPEC.read_text(), {"grounded": script["grounded"]})
    written = script["composition"]()
    assert read.to_yaml() == written.to_yaml()


def test_the_command_of_the_specification_scores_as_the_script_does(command):
    argv = ["--functions", SCRIPT, "--prompt", PROMPT, "--text", "In water."]
    ran = command("score", SPEC, *argv, "--text", "It depends", "--json")
    responses = json.loads(ran.out)["responses"]
    assert [response["utility"] for response in responses] == pytest.approx(
        [-0.01 * 2, -0.2 * 2 - 0.01 * 2 - 0.5]
    )
    assert [response["admissible"] for response in responses] == [True, False]


def test_the_command_of_the_real_run_names_the_first_file_that_is_missing(command):
    config = EXAMPLES / "hh_smollm2.yaml"
    ran = command("front", config, "--data", "none", "--dry-run")
    assert ran.code == 2
    first = "morl front: none/hh-rlhf/helpful-base-test.jsonl.gz: no such file"
    assert ran.err.strip().startswith(first)
    assert "--data DIR" in ran.err


def test_the_command_of_the_reward_model_names_the_first_file_that_is_missing(command):
    config = EXAMPLES / "reward_model.yaml"
    ran = command("fit", config, "--data", "none", "--dry-run")
    assert ran.code == 2
    first = "morl fit: none/hh-rlhf/helpful-base-test.jsonl.gz: no such file"
    assert ran.err.strip().startswith(first)
