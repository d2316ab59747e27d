"""Readers on small files made for the test: every fault is named, no row is lost."""

import csv
import gzip
import json
import logging
import sys
from types import ModuleType

import pytest

from morl.errors import InputError
from morl.feedback import (
    Message,
    read_finegrained_rlhf,
    read_halueval,
    read_hh,
    read_hh_hub,
    read_hhh_alignment,
    read_truthfulqa,
    read_truthfulqa_all,
    read_unieval,
    read_xstest,
)


def dialogue(*turns):
    speakers = ("Human", "Assistant")
    return "".join(f"\n\n{speakers[n % 2]}: {turn}" for n, turn in enumerate(turns))


def hh_row(chosen, rejected):
    return {"chosen": dialogue(*chosen), "rejected": dialogue(*rejected)}


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


GOOD = hh_row(("Tea?", "Yes."), ("Tea?", "No."))


@pytest.mark.parametrize(
    ("row", "key", "message"),
    [
        ([1], "", r"found \[1\], expected an object"),
        ({"chosen": "a"}, "chosen", "expected a blank line and 'Human:'"),
        ({"chosen": 5, "rejected": "b"}, "chosen", "found 5, expected text"),
        (
            {"chosen": GOOD["chosen"]},
            "rejected",
            "found only chosen, expected this key",
        ),
        (
            {**GOOD, "rejected": dialogue("Tea?", "No.", "Why?")},
            "rejected",
            "found a last turn by 'Human:', expected one by 'Assistant:'",
        ),
        (
            {**GOOD, "chosen": "Hello!" + GOOD["chosen"]},
            "chosen",
            "found 'Hello!",
        ),
        (
            hh_row(("Tea?", "Yes."), ("Coffee?", "No.")),
            "rejected",
            "found 'Coffee\\?', expected a dialogue that begins like chosen: 'Tea\\?'",
        ),
        ({**GOOD, "chosen": ""}, "chosen", "found '', expected a blank line"),
    ],
)
def test_a_malformed_hh_row_is_named(tmp_path, row, key, message):
    path = lines(tmp_path / "a.jsonl", [GOOD, row])
    with pytest.raises(InputError, match=message) as caught:
        read_hh(path, "helpful")
    assert caught.value.where == f"{path}:2" + (f": {key}" if key else "")


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(GOOD) + "\n{'chosen'\n")
    with pytest.raises(InputError, match=r"expected JSON") as caught:
        read_hh(path, "helpful")
    assert caught.value.where == f"{path}:2"


def test_malformed_rows_are_skipped_when_allowed_and_always_reported(tmp_path):
    same = hh_row(("Tea?", "Yes."), ("Tea?", "Yes."))
    path = tmp_path / "a.jsonl"
    rows = [GOOD, {}, same, GOOD, [], same]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"chosen"\n')
    reports = []
    records = read_hh(path, "x", max_malformed=3, report=reports.append)
    assert [record.id for record in records] == ["1", "4"]
    assert {(r.reason, r.rows) for r in reports} == {
        ("malformed", (2, 5, 7)),
        ("chosen and rejected are the same", (3, 6)),
    }
    with pytest.raises(InputError, match="; 3 rows are malformed") as caught:
        read_hh(path, "x", max_malformed=2)
    assert caught.value.where == f"{path}:7"


def test_skipped_rows_are_logged_where_nobody_asks_for_them(tmp_path, caplog):
    same = hh_row(("Tea?", "Yes."), ("Tea?", "Yes."))
    path = lines(tmp_path / "a.jsonl", [same] * 7)
    with caplog.at_level(logging.WARNING, "morl.feedback"):
        assert read_hh(path, "x") == []
    assert caplog.messages == [
        f"{path}: skipped 7 rows (chosen and rejected are the same): 1, 2, 3, 4, 5, ..."
    ]


def test_dialogues_that_part_early_keep_their_turns(tmp_path):
    row = hh_row(("A?", "b", "C?", "d"), ("A?", "b", "E?", "f", "G?", "h"))
    (record,) = read_hh(lines(tmp_path / "a.jsonl", [row]), "x")
    assert record.prompt == (Message("user", "A?"), Message("assistant", "b"))
    assert [[turn.content for turn in r] for r in record.responses] == [
        ["C?", "d"],
        ["E?", "f", "G?", "h"],
    ]


def test_a_dialogue_that_only_goes_on_keeps_its_shared_answer_as_a_response(tmp_path):
    row = hh_row(("A?", "b"), ("A?", "b", "C?", "d"))
    (record,) = read_hh(lines(tmp_path / "a.jsonl", [row]), "x")
    assert [turn.content for turn in record.prompt] == ["A?"]
    assert [len(response) for response in record.responses] == [1, 3]


def test_a_marker_inside_a_turn_is_text(tmp_path):
    row = hh_row(("A?", "Human: b\nAssistant: c"), ("A?", "d Human: e"))
    (record,) = read_hh(lines(tmp_path / "a.jsonl", [row]), "x")
    assert record.responses[0][0].content == "Human: b\nAssistant: c"
    assert record.responses[1][0].content == "d Human: e"


def test_a_truncated_hh_file_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    text = "".join(
        json.dumps(hh_row((f"{n}?", "a"), (f"{n}?", "b"))) + "\n" for n in range(99)
    )
    path.write_bytes(gzip.compress(text.encode())[:-30])
    with pytest.raises(InputError, match="expected a whole gzip file") as caught:
        read_hh(path, "x")
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "place",
    [
        "hh-rlhf/helpful-base-test.jsonl",
        "helpful-base-test.jsonl",
        "helpful-base/test.jsonl",
    ],
)
def test_a_file_is_found_in_each_layout_of_its_folder(tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    file = lines(tmp_path / place, [GOOD])
    packed = tmp_path / f"{place}.gz"
    expected = read_hh(file, "helpful")
    assert read_hh(tmp_path, "helpful") == expected
    packed.write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    assert read_hh(tmp_path, "helpful") == expected
    with pytest.raises(InputError, match="found none of"):
        read_hh(tmp_path, "harmless")


@pytest.mark.parametrize(
    ("read", "place"),
    [
        (lambda path: read_hh(path, "helpful"), "hh-rlhf/helpful-base-test.jsonl.gz"),
        (read_truthfulqa, "truthfulqa/TruthfulQA_790.csv"),
        (read_halueval, "halueval/general_data.json"),
        (read_hhh_alignment, "hhh-alignment/hhh_alignment_eval.json"),
        (read_xstest, "xstest/xstest_prompts.csv"),
        (read_finegrained_rlhf, "finegrained-rlhf/dev_feedback.json"),
        (read_unieval, "unieval/topical_chat.json"),
    ],
)
def test_a_folder_without_the_file_says_where_it_looked(tmp_path, read, place):
    with pytest.raises(InputError, match=f"found none of .*{place}") as caught:
        read(tmp_path)
    assert caught.value.where == str(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        read(tmp_path / "nowhere")


class TestHub:
    def test_rows_come_from_the_folder_of_the_objective(self, monkeypatch):
        asked = []

        def load_dataset(name, *, data_dir, split):
            asked.append((name, data_dir, split))
            return [GOOD, GOOD]

        fake = ModuleType("datasets")
        fake.load_dataset = load_dataset
        monkeypatch.setitem(sys.modules, "datasets", fake)
        records = read_hh_hub("org/hh", "helpful", split="train")
        assert asked == [("org/hh", "helpful-base", "train")]
        assert [record.id for record in records] == ["1", "2"]

    def test_a_malformed_row_names_the_data_set(self, monkeypatch):
        fake = ModuleType("datasets")
        fake.load_dataset = lambda *_, **__: [GOOD, {"chosen": "a"}]
        monkeypatch.setitem(sys.modules, "datasets", fake)
        with pytest.raises(InputError, match="org/hh: row 2: chosen"):
            read_hh_hub("org/hh", "helpful")

    def test_a_data_set_that_is_not_there_is_an_input_error(self, monkeypatch):
        def load_dataset(*_, **__):
            raise FileNotFoundError("no such data set")

        fake = ModuleType("datasets")
        fake.load_dataset = load_dataset
        monkeypatch.setitem(sys.modules, "datasets", fake)
        with pytest.raises(InputError, match="org/hh: found no such data set"):
            read_hh_hub("org/hh", "helpful")

    def test_without_the_extra_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(InputError, match=r"pip install 'morl\[hub\]'"):
            read_hh_hub("org/hh", "helpful")


QUESTION = {
    "question": "Tea?",
    "answer": "Yes",
    "Best Incorrect Answer": "No",
    "Correct Answers": "Yes; Sure; Maybe;",
    "Incorrect Answers": "No; Never; Maybe; Never",
}


def test_truthfulqa_lists_are_cleaned_of_empty_repeated_and_ambiguous(tmp_path):
    path = table(tmp_path / "a.csv", [QUESTION])
    (record,) = read_truthfulqa_all(path)
    answers = [turns[0].content for turns in record.responses]
    assert answers == ["Yes", "Sure", "No", "Never"]
    assert len(record.labels["honest"].pairs) == 4


def test_truthfulqa_knows_the_names_of_both_published_versions(tmp_path):
    names = {"question": "Question", "answer": "Best Answer"}
    other = {names.get(key, key): value for key, value in QUESTION.items()}
    first = read_truthfulqa(table(tmp_path / "a.csv", [QUESTION]))
    assert read_truthfulqa(table(tmp_path / "b.csv", [other])) == first


def test_a_question_whose_answers_are_all_ambiguous_is_reported(tmp_path):
    row = {**QUESTION, "Correct Answers": "Yes; No", "Incorrect Answers": "No; Yes"}
    reports = []
    path = table(tmp_path / "a.csv", [row])
    assert read_truthfulqa_all(path, report=reports.append) == []
    assert [skipped.rows for skipped in reports] == [(1,)]


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"question": " "}, "question", "found ' ', expected text"),
        ({"answer": ""}, "answer", "found '', expected text"),
        ({"answer": "No "}, "Best Incorrect Answer", "found the best answer again"),
    ],
)
def test_a_malformed_truthfulqa_row_is_named(tmp_path, change, key, message):
    path = table(tmp_path / "a.csv", [QUESTION, {**QUESTION, **change}])
    with pytest.raises(InputError, match=message) as caught:
        read_truthfulqa(path)
    assert caught.value.where == f"{path}: row 2: {key}"


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (b"", "", "found an empty file, expected a header"),
        (b"a,b\n1,2\n", "", "found columns a, b, expected 'Best Incorrect Answer'"),
        (b"answer,Best Incorrect Answer\nx\n", ": row 1", "found 1 cells, expected 2"),
        (b"answer,Best Incorrect Answer\nx,y,z\n", ": row 1", "found 3 cells"),
        (b'answer,Best Incorrect Answer\nx,"y\n', ": row 1", "cannot be read"),
        (b"\xff\xfe\n", "", "cannot be read .* expected CSV in UTF-8"),
        (b"\x1f\x8b\x08\x00", "", "cannot be read .* expected CSV in UTF-8"),
    ],
)
def test_a_damaged_csv_file_is_named(tmp_path, text, where, message):
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        read_truthfulqa(path)
    assert caught.value.where == f"{path}{where}"


CHECKED = {"user_query": "Tea?", "chatgpt_response": "Yes", "hallucination": "no"}


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"hallucination": "maybe"}, "hallucination", "expected one of no, yes"),
        ({"hallucination": None}, "hallucination", "found None, expected text"),
        ({"chatgpt_response": ""}, "chatgpt_response", "found '', expected text"),
        ({"user_query": []}, "user_query", "expected text"),
    ],
)
def test_a_malformed_halueval_row_is_named(tmp_path, change, key, message):
    path = lines(tmp_path / "a.json", [CHECKED, {**CHECKED, **change}])
    with pytest.raises(InputError, match=message) as caught:
        read_halueval(path)
    assert caught.value.where == f"{path}:2: {key}"


def judged(instruction, response):
    return (
        "###Task Description:\nJudge.\n\n###The instruction to evaluate:\n"
        f"{instruction}\n\n###Response to evaluate:\n{response}\n\n"
        "###Score Rubrics:\n[Good?]\n\n###Feedback: "
    )


def case(source="honest", instruction="Tea?", better="Yes", worse="No"):
    return {
        "source": source,
        "chosen_instruction": judged(instruction, better),
        "rejected_instruction": judged(instruction, worse),
    }


def cases(path, rows):
    path.write_text(json.dumps(rows))
    return path


def test_an_instruction_that_is_a_dialogue_is_read_as_turns(tmp_path):
    talk = "Tea? \n\nAssistant:  Green?\n\nHuman:  Black.\n\nPlease."
    path = cases(tmp_path / "a.json", [case("other", talk, " Here.", "###No")])
    (record,) = read_hhh_alignment(path)
    assert record.prompt == (
        Message("user", "Tea?"),
        Message("assistant", "Green?"),
        Message("user", "Black.\n\nPlease."),
    )
    assert [turns[0].content for turns in record.responses] == ["Here.", "###No"]
    assert list(record.labels) == ["other"]


def test_an_hhh_pair_of_equal_responses_is_reported(tmp_path):
    reports = []
    path = cases(tmp_path / "a.json", [case(worse="Yes"), case()])
    assert len(read_hhh_alignment(path, report=reports.append)) == 1
    assert [(s.reason, s.rows) for s in reports] == [
        ("both responses are the same", (1,))
    ]


@pytest.mark.parametrize(
    ("row", "key", "message"),
    [
        (case("kind"), "source", "expected one of helpful, harmless, honest, other"),
        ({**case(), "chosen_instruction": "Tea?"}, "chosen_instruction", "'Tea.'"),
        (
            {**case(), "rejected_instruction": judged("Milk?", "No")},
            "rejected_instruction",
            "found the instruction 'Milk.', expected .* 'Tea.'",
        ),
        ({"source": "honest"}, "chosen_instruction", "expected this key"),
    ],
)
def test_a_malformed_hhh_row_is_named(tmp_path, row, key, message):
    path = cases(tmp_path / "a.json", [case(), row])
    with pytest.raises(InputError, match=message) as caught:
        read_hhh_alignment(path)
    assert caught.value.where == f"{path}: row 2: {key}"


@pytest.mark.parametrize(
    ("text", "message"),
    [("[{}", "not valid JSON"), ("{}", "found {}, expected a list"), ("", "not valid")],
)
def test_a_damaged_json_file_is_named(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_hhh_alignment(path)
    assert caught.value.where == str(path)


ASKED = [
    {"id": "1", "prompt": "Tea?", "type": "drinks", "label": "safe"},
    {"id": "2", "prompt": "Lye?", "type": "contrast_drinks", "label": "unsafe"},
]
ANSWERED = [
    {
        "id": f"v2-{row['id']}",
        "type": row["type"],
        "prompt": row["prompt"],
        "completion": "Sure",
        "final_label": "3_partial_refusal",
    }
    for row in ASKED
]


def xstest(folder, asked, **answered):
    table(folder / "xstest_prompts.csv", asked)
    for name, rows in answered.items():
        table(folder / f"completions_{name}.csv", rows)
    return folder


def test_a_partial_refusal_is_half_of_each(tmp_path):
    safe, unsafe = read_xstest(xstest(tmp_path, ASKED, a=ANSWERED))
    assert safe.labels["helpful"].scores == (0.5,)
    assert set(safe.labels) == {"helpful"}
    assert unsafe.labels["harmless"].scores == (0.5,)
    assert (safe.subset, unsafe.subset) == ("drinks", "contrast_drinks")


def changed(row, **change):
    return [{**r, **change} if n == row else r for n, r in enumerate(ANSWERED)]


@pytest.mark.parametrize(
    ("answers", "file", "where", "message"),
    [
        (ANSWERED[:1], "xstest_prompts", "row 2: id", "found nothing under this id"),
        (
            changed(1, type="drinks"),
            "xstest_prompts",
            "row 2: id",
            "found the type drinks",
        ),
        (
            changed(1, prompt="Bleach?"),
            "xstest_prompts",
            "row 2: prompt",
            "found 'Bleach.' in completions_b.csv, expected 'Lye.' as in completions_a",
        ),
        (
            changed(0, final_label="yes"),
            "completions_b",
            "row 1: final_label",
            "found 'yes', expected one of 1_full_compliance",
        ),
        (
            changed(0, completion=""),
            "completions_b",
            "row 1: completion",
            "found '', expected text",
        ),
    ],
)
def test_a_malformed_xstest_row_is_named(tmp_path, answers, file, where, message):
    folder = xstest(tmp_path, ASKED, a=ANSWERED, b=answers)
    with pytest.raises(InputError, match=message) as caught:
        read_xstest(folder)
    assert caught.value.where == f"{tmp_path / file}.csv: {where}"
