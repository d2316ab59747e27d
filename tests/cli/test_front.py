"""What `morl front` refuses before any work, and what its flags may say."""

import shutil

import pytest

from morl.cli.arguments import parse_with_config
from morl.cli.front import FrontConfig
from morl.feedback import Labels, Pair, plain_record, write_jsonl
from morl.rewards import objective, rules, schedule, transforms

CONFIG = """
model: model
sources: [{reader: jsonl, path: feedback.jsonl}, {reader: xstest, path: b}]
objectives: [helpful, harmless]
"""
STEERED = """
morl: 1
rewards:
  helpful: {}
  harmless: {}
  short: {source: {kind: length, unit: word}, objective: true}
utility: {sum: {helpful: 0.5, harmless: 0.4, short: -0.1}}
"""
JUDGED = """
morl: 1
rewards:
  helpful: {}
  polite: {source: {kind: callable, fn: {source: polite}}}
utility: {sum: {helpful: 0.5, polite: 0.5}}
"""
SOURCED = """
morl: 1
rewards:
  helpful: {{}}
  {0}
utility: {{sum: {{helpful: 0.5, {1}: 0.5}}}}
"""
IMPLICIT = SOURCED.format("tuned: {source: {kind: implicit, beta: 0.1}}", "tuned")
ANSWER = SOURCED.format("right: {source: {kind: answer}}", "right")
helpful, short = objective("helpful"), rules.length(unit="word")
SCHEDULED = (0.5 * helpful - schedule.linear(0.0, 1.0, steps=10) * short).to_yaml()
LEARNING = (1.0 * helpful.through(transforms.standardize())).to_yaml()
HONEST = "{morl: 1, rewards: {honest: {}}, utility: {sum: {honest: 1.0}}}"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a configuration and a little feedback, where commands run."""
    monkeypatch.chdir(tmp_path)
    records = [
        plain_record(f"{n}?", ["yes", "no"], {"helpful": Labels(pairs=(Pair(0, 1),))})
        for n in range(3)
    ]
    write_jsonl("feedback.jsonl", records)
    (tmp_path / "config.yaml").write_text(
        CONFIG.replace(", {reader: xstest, path: b}", "")
    )
    return tmp_path


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry run", "run"])
@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (STEERED, "short: declared an objective, but heads judge"),
        (HONEST, "honest: no source and no head"),
        (JUDGED, "--functions FILE.py"),
        ("rewards: [", "is not YAML"),
        (IMPLICIT, "tuned: needs log-probabilities"),
        (ANSWER, "right: needs reference answers"),
        (SCHEDULED, "scheduled over steps"),
        (LEARNING, "transforms of helpful learn"),
    ],
    ids=["rule", "head", "function", "YAML", "implicit", "answer", "schedule", "state"],
)
def test_a_reward_that_cannot_be_traced_is_refused_before_any_work(
    refused, place, spec, complaint, dry
):
    (place / "reward.yaml").write_text(spec)
    said = refused("front", "config.yaml", "--reward", "reward.yaml", *dry)
    assert "reward.yaml" in said
    assert complaint in said


def test_a_reward_may_name_a_function_of_a_python_file(command, place):
    (place / "reward.yaml").write_text(JUDGED)
    (place / "mine.py").write_text("def polite(prompt, response): return 1.0\n")
    argv = ["--reward", "reward.yaml", "--functions", "mine.py", "--dry-run"]
    ran = command("front", "config.yaml", *argv)
    assert ran.code == 0, ran
    assert "functions: mine.py" in ran.out
    assert not (place / "runs").exists()


def test_a_source_of_the_file_may_be_overridden_by_its_place(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    argv = [str(path), "--sources.0.path", "other.jsonl"]
    made = parse_with_config(FrontConfig, argv, prog="morl front")
    assert [source.path for source in made.sources] == ["other.jsonl", "b"]


@pytest.fixture
def little(place):
    """The folder with feedback enough for heads, too little for answered prompts."""
    records = [
        plain_record(
            f"{n}?",
            ["yes", "no"],
            {name: Labels(pairs=(Pair(0, 1),)) for name in ("helpful", "harmless")},
        )
        for n in range(12)  # a tenth of few is none
    ]
    write_jsonl("feedback.jsonl", records)
    return place


@pytest.mark.slow
def test_heads_find_the_model_that_a_run_was_given_by_path(command, little, fitted):
    model = little / "mine"
    shutil.copytree(fitted.model, model)
    ran = command("fit", "config.yaml", "--model", "mine", "--cache", "cache")
    assert ran.code == 0, ran
    (little / "spec.yaml").write_text((1.0 * helpful).to_yaml())
    argv = ["score", "spec.yaml", "--heads", "runs/front/heads", "--cache", "none"]
    argv += ["--prompt", "q", "--text", "a"]
    assert command(*argv).code == 0
    model.rename(little / "moved")
    said = command(*argv).err
    assert f"it was at {model}" in said
    assert "add --model NAME" in said


@pytest.mark.slow
@pytest.mark.usefixtures("little")
def test_too_little_feedback_for_held_out_prompts_says_so(command, fitted):
    ran = command("front", "config.yaml", "--model", fitted.model, "--cache", "cache")
    assert ran.code == 2
    assert "no prompt is held out" in ran.err


def test_what_a_run_would_refuse_a_dry_run_refuses(refused, place):
    twice = CONFIG.replace("harmless", "helpful")
    (place / "twice.yaml").write_text(twice)
    said = refused("front", "twice.yaml", "--dry-run")
    assert "objectives: found helpful, helpful, expected each once" in said
    (place / "none.yaml").write_text(CONFIG.replace("[helpful, harmless]", "[]"))
    assert "objectives: found none" in refused("front", "none.yaml", "--dry-run")
    (place / "empty.yaml").write_text("model: model\nsources: []\n")
    assert "sources: found none" in refused("front", "empty.yaml", "--dry-run")


@pytest.mark.parametrize(
    "text",
    [
        "out: 2020-13-45",
        "a: " + "[" * 3000,
        "sources: &x [*x]",
        "sources: &x {a: *x}",
    ],
    ids=["no date", "deep", "a list in itself", "a mapping in itself"],
)
def test_yaml_that_breaks_its_parser_is_one_line(refused, place, text):
    (place / "broken.yaml").write_text(text)
    assert "broken.yaml" in refused("front", "broken.yaml")
    assert "broken.yaml" in refused("score", "broken.yaml", "--text", "a")


def test_brackets_in_names_are_printed_as_they_are(command):
    ran = command("quickstart", "--out", "a[/b][red]", "--dry-run")
    assert ran.code == 0
    assert "a[/b][red]/{front.json" in ran.out
