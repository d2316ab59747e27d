import gzip
import json
import re

import pytest

from morl.feedback import Labels, Pair, plain_record, write_jsonl

SOUND = {"prompt": "q", "responses": ["a", "b c d"]}


def line(**changes):
    return json.dumps(SOUND | changes)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def sound(tmp_path):
    labels = {
        "helpful": Labels(pairs=(Pair(0, 1), Pair(1, 0))),
        "honest": Labels(scores=(1.0, None)),
    }
    records = [
        plain_record("q1", ["one two", "three"], labels, source="desk"),
        plain_record(
            "q2", ["four", "five"], {"helpful": labels["helpful"]}, source="desk"
        ),
    ]
    write_jsonl(tmp_path / "sound.jsonl", records)
    return tmp_path / "sound.jsonl"


def cells(out):
    """Rows of the tables: cells without their frames."""
    split = [re.split(r"[│┃|]", text)[1:-1] for text in out.splitlines()]
    return [[cell.strip() for cell in row] for row in split if row]


def test_a_sound_file_is_summarised_by_objective(command, sound):
    ran = command("check", sound)
    assert ran.code == 0
    assert f"{sound}: sound" in ran.out.replace("\n", "")
    # Source, objective, records, prompts, pairs, scores, median words.
    assert ["desk", "helpful", "2", "2", "4", "0", "1"] in cells(ran.out)
    assert ["desk", "honest", "1", "1", "0", "1", "1.5"] in cells(ran.out)


@pytest.mark.parametrize(
    ("bad", "row"),
    [
        (line(prompt=3), ["2", "prompt", "3", "text, or a list of messages"]),
        (
            line(labels={"helpful": {"pairs": [{"better": 0, "worse": 2}]}}),
            ["2", "labels.helpful.pairs[0].worse"],
        ),
        (line(lables={}), ["2", "lables", "an unknown key"]),
        ("{", ["2", ""]),
    ],
)
def test_a_problem_has_line_key_found_and_expected(command, tmp_path, bad, row):
    ran = command("check", write(tmp_path / "a.jsonl", line(), bad))
    assert ran.code == 1
    assert "1 problem" in ran.out
    assert row in [cell[: len(row)] for cell in cells(ran.out)]


def test_every_problem_of_every_line_is_counted_and_fifty_are_shown(command, tmp_path):
    bad = [line(prompt=number) for number in range(60)]
    ran = command("check", write(tmp_path / "a.jsonl", *bad, line(responses=0, id=1)))
    assert ran.code == 1
    assert "62 problems" in ran.out
    assert "and 12 more" in ran.out
    shown = [row for row in cells(ran.out) if row[0].isdecimal()]
    assert [row[0] for row in shown] == [str(number) for number in range(1, 51)]


def test_brackets_in_a_file_are_shown_as_they_are(command, tmp_path):
    ran = command("check", write(tmp_path / "a.jsonl", line(id=["[bold]"])))
    assert "['[bold]']" in ran.out


@pytest.mark.parametrize("cut", [10, -9])
def test_half_a_gzip_file_is_a_problem(command, tmp_path, cut):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join([line().encode()] * 50))[:cut])
    ran = command("check", path)
    assert ran.code == 1
    assert "a whole gzip file" in ran.out


def test_a_missing_file_does_not_hide_what_the_others_hold(command, sound, tmp_path):
    bad = write(tmp_path / "bad.jsonl", "{")
    ran = command("check", tmp_path / "none.jsonl", bad, sound)
    assert ran.code == 2
    assert ran.err.strip().endswith("none.jsonl: no such file")
    assert "1 problem" in ran.out
    assert ["desk", "honest"] in [row[:2] for row in cells(ran.out)]


def test_a_problem_and_a_sound_file_exit_with_1(command, sound, tmp_path):
    assert command("check", sound, write(tmp_path / "bad.jsonl", "{")).code == 1


def test_an_empty_file_is_sound_and_holds_nothing(command, tmp_path):
    (tmp_path / "a.jsonl").write_text("")
    ran = command("check", tmp_path / "a.jsonl")
    assert ran.code == 0
    assert not [row for row in cells(ran.out) if row[-1].isdecimal()]


def test_an_objective_that_was_not_expected_is_a_problem(command, sound):
    assert command("check", sound, "--objectives", "helpful", "honest").code == 0
    ran = command("check", sound, "--objectives", "helpful", "honesty")
    assert ran.code == 1
    assert "found 'honest' in 1 records, expected one of helpful, honesty" in ran.out


def test_a_file_without_a_single_label_expected_is_a_problem(command, tmp_path):
    path = write(tmp_path / "a.jsonl", line())
    ran = command("check", path, "--objectives", "helpful")
    assert ran.code == 1
    assert "no label for helpful" in ran.out


def test_the_report_holds_every_problem(command, tmp_path):
    path = write(tmp_path / "a.jsonl", *[line(prompt=3)] * 60)
    ran = command("check", path, "--out", tmp_path / "o")
    assert ran.code == 1
    (report,) = json.loads((tmp_path / "o" / "check.json").read_text())
    assert report["sound"] is False
    assert len(report["problems"]) == 60
    assert report["problems"][7] == {
        "line": 8,
        "key": "prompt",
        "found": "3",
        "expected": "text, or a list of messages",
    }


def test_a_dry_run_reads_and_writes_nothing(command, tmp_path):
    (tmp_path / "a.jsonl").write_text("not JSON")
    argv = ["check", tmp_path / "a.jsonl", "--out", tmp_path / "o", "--dry-run"]
    ran = command(*argv)
    assert ran.code == 0
    assert "would check" in ran.out
    assert not (tmp_path / "o").exists()


def test_a_dry_run_refuses_a_file_that_is_not_there(refused, tmp_path):
    said = refused("check", tmp_path / "none.jsonl", "--dry-run")
    assert said.endswith("none.jsonl: no such file")


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["dry run", "run"])
def test_a_folder_is_called_one(refused, tmp_path, dry):
    said = refused("check", tmp_path, *dry)
    assert said.endswith("is a folder, expected a file")
