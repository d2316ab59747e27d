"""``morl evaluate`` on a tiny model, and what it refuses."""

import json

import pytest

from morl.cli.evaluate import parse_source
from morl.cli.sources import DataSource
from morl.cli.suites import SUITES
from morl.errors import InputError
from morl.feedback import Labels, Pair, plain_record, write_jsonl

COMPLY = Labels(scores=(1.0, 0.0))


@pytest.fixture
def data(tmp_path):
    """Feedback for two objectives, another domain, and prompts as XSTest has them."""
    folder = tmp_path / "data"
    labels = {"helpful": Labels(pairs=(Pair(0, 1),))}
    mine = [
        plain_record(
            f"Question {n}?", [f"Yes, {n}. It is so.", "No."], labels, source="mine"
        )
        for n in range(6)
    ]
    safety = [
        plain_record(
            f"How do I end process {n}?",
            ["Like this.", "I will not say."],
            {"helpful": COMPLY},
            source="xstest-safe",
            subset="homonyms",
        )
        for n in range(3)
    ]
    other = [
        plain_record(f"{n}?", ["Sure.", "Never, ever."], labels, source="other")
        for n in range(4)
    ]
    write_jsonl(folder / "mine.jsonl", [*mine, *safety])
    write_jsonl(folder / "other.jsonl", other)
    return folder


@pytest.fixture
def argv(fitted, data, tmp_path):
    return [
        "evaluate",
        fitted.heads,
        *("--model", fitted.model),
        *("--data", data, "--on", "jsonl:mine.jsonl"),
        *("--out", tmp_path / "out", "--cache", tmp_path / "cache"),
    ]


def test_a_suite_is_run_and_written(command, argv, tmp_path):
    ran = command(*argv, "--suite", "accuracy")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [each["suite"] for each in found["findings"]] == ["accuracy"]
    assert "accuracy: Which pairs does the reward order" in ran.out
    assert (tmp_path / "out" / "figures" / "accuracy.png").exists()


@pytest.mark.slow
def test_every_suite_is_run_and_written(command, argv, tmp_path, fitted):
    more = ["--against", "jsonl:other.jsonl", "--gold", fitted.heads]
    ran = command(*argv, *more, "--suite", *SUITES)
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [each["suite"] for each in found["findings"]] == list(SUITES)
    assert found["facts"]["feedback"].endswith("13 records with 26 responses")
    for name in SUITES:
        assert f"{name}: " in ran.out
        assert list((tmp_path / "out" / "figures").glob(f"{name}*.png"))
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "<h2>Best of n</h2>" in page


@pytest.mark.slow
def test_a_seed_gives_the_same_numbers(command, argv, tmp_path):
    told = []
    for _ in range(2):
        assert command(*argv, "--suite", "accuracy", "robustness").code == 0
        found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
        told.append(found["findings"])
    assert told[0] == told[1]


def test_a_dry_run_reads_feedback_and_writes_nothing(command, argv, tmp_path):
    ran = command(*argv, "--suite", "accuracy", "--limit", "4", "--dry-run")
    assert ran.code == 0, ran.err
    assert "would score 4 records with 8 responses" in ran.out
    assert not (tmp_path / "out").exists()


def test_prompts_that_the_heads_learned_from_are_left_out(command, argv):
    seen = ["--against", "jsonl:other.jsonl", "--fitted-on", "jsonl:other.jsonl"]
    ran = command(*argv, "--suite", "accuracy", *seen[2:], "--dry-run")
    assert "9 records with 18 responses by" in ran.out
    ran = command(*argv, "--suite", "accuracy", *seen, "--dry-run")
    assert ran.code == 2
    assert "--against: jsonl:other.jsonl has no response" in ran.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], "--suite: found none, expected some of accuracy, robustness"),
        (["--suite", "speed"], "--suite: found 'speed', expected accuracy, robust"),
        (["--suite", "safety", "safety"], "--suite: found 'safety' twice"),
        (
            ["--suite", "generalisation"],
            "--suite generalisation: needs feedback of another domain than that of "
            "--on: add --against READER:PATH",
        ),
        (["--suite", "accuracy", "--on"], "--on: found none, expected feedback"),
        (["--suite", "accuracy", "--on", "nobody:a"], "--on: found 'nobody:a', expec"),
        (["--suite", "accuracy", "--on", "jsonl:a"], "a: no such file or folder"),
        (["--suite", "accuracy", "--limit", "-1"], "--limit: found -1, expected 0 or"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_loaded(
    refused, argv, change, message
):
    assert message in refused(*argv, *change)


def test_a_folder_without_heads_is_refused(refused, tmp_path):
    said = refused("evaluate", tmp_path, "--suite", "accuracy", "--on", "jsonl:a")
    assert (
        "found no heads.json, expected the folder of fitted heads or of a run" in said
    )


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hh:a/b.gz:helpful", DataSource("hh", "a/b.gz", "helpful")),
        ("jsonl:a.jsonl", DataSource("jsonl", "a.jsonl", "")),
        ("hh-hub:org/name:harmless", DataSource("hh-hub", "org/name", "harmless")),
    ],
)
def test_feedback_is_named_by_reader_path_and_objective(text, source):
    assert parse_source(text, "--on") == source


@pytest.mark.parametrize("text", ["", "hh", "hh:", ":a", "what:a"])
def test_feedback_without_a_reader_or_a_path_is_refused(text):
    with pytest.raises(InputError, match="expected READER:PATH"):
        parse_source(text, "--on")


def test_help_names_suites_and_readers(command):
    ran = command("evaluate", "--help")
    for name in (*SUITES, "reward-bench-2", "--fitted-on", "--gold"):
        assert name in ran.out
