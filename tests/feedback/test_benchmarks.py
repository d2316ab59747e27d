"""RewardBench 1 and 2 and RM-Bench, on small files of each format."""

import gzip
import json
import sys
from types import ModuleType

import pytest

from morl.errors import InputError
from morl.feedback import (
    Pair,
    read_reward_bench,
    read_reward_bench_2,
    read_reward_bench_2_hub,
    read_reward_bench_hub,
    read_rm_bench,
    read_rm_bench_hub,
)
from morl.feedback.reward_bench import SECTIONS, tie_key

PAIR = {
    "prompt": "Tea?",
    "chosen": "Yes.",
    "chosen_model": "a",
    "rejected": "No.",
    "rejected_model": "b",
    "subset": "alpacaeval-easy",
    "id": 7,
}
BEST = {
    "id": "tied:4",
    "prompt": "Name a colour.",
    "chosen": ["Red", "Blue"],
    "rejected": ["Up", "Down", "Left"],
    "num_correct": 2,
    "subset": "Ties",
}
STYLED = {
    "id": "chat_1",
    "prompt": "Tea?",
    "chosen": ["y", "yes", "**yes**"],
    "rejected": ["n", "no", "**no**"],
    "domain": "safety-refuse",
}


def as_json(path, rows):
    path.write_text(json.dumps(rows))


def as_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def as_gzipped_lines(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()))


def texts(record):
    return [turns[0].content for turns in record.responses]


@pytest.mark.parametrize("write", [as_json, as_lines, as_gzipped_lines])
@pytest.mark.parametrize(
    ("read", "row", "name"),
    [
        (read_reward_bench, PAIR, "filtered"),
        (read_reward_bench_2, BEST, "test"),
        (read_rm_bench, STYLED, "total_dataset"),
    ],
)
def test_a_benchmark_is_read_from_each_form_of_json(tmp_path, write, read, row, name):
    end = {as_json: "json", as_lines: "jsonl", as_gzipped_lines: "jsonl.gz"}[write]
    path = tmp_path / f"{name}.{end}"
    write(path, [row, row])
    records = read(path)
    assert len(records) == 2
    assert read(tmp_path) == records


def test_a_row_of_rewardbench_is_one_pair_of_its_subset(tmp_path):
    as_json(tmp_path / "a.json", [PAIR])
    (record,) = read_reward_bench(tmp_path / "a.json")
    assert texts(record) == ["Yes.", "No."]
    assert record.labels["preferred"].pairs == (Pair(0, 1),)
    assert (record.subset, record.id) == ("alpacaeval-easy", "7")


def test_rewardbench_may_hold_turns_in_place_of_texts(tmp_path):
    turn = lambda role, text: {"role": role, "content": text}
    prompt = [turn("user", "a"), turn("assistant", "b"), turn("user", "c")]
    sides = {
        key: [*prompt, turn("assistant", PAIR[key])] for key in ("chosen", "rejected")
    }
    as_json(tmp_path / "a.json", [PAIR | {"prompt": prompt} | sides])
    (record,) = read_reward_bench(tmp_path / "a.json")
    assert [message.content for message in record.prompt] == ["a", "b", "c"]
    assert texts(record) == ["Yes.", "No."]


def test_a_pair_of_equal_answers_is_reported(tmp_path):
    reports = []
    as_json(tmp_path / "a.json", [PAIR, PAIR | {"rejected": "Yes."}])
    assert len(read_reward_bench(tmp_path / "a.json", report=reports.append)) == 1
    assert [skipped.rows for skipped in reports] == [(2,)]


def test_each_right_answer_of_rewardbench_2_is_better_than_each_wrong_one(tmp_path):
    as_json(tmp_path / "a.json", [BEST])
    (record,) = read_reward_bench_2(tmp_path / "a.json")
    assert texts(record) == ["Red", "Blue", "Up", "Down", "Left"]
    assert record.labels["preferred"].pairs == tuple(
        Pair(better, worse) for better in (0, 1) for worse in (2, 3, 4)
    )
    assert tie_key(record.id) == ("tied", 4)


def test_rm_bench_has_the_right_answer_in_each_style_first(tmp_path):
    as_json(tmp_path / "a.json", [STYLED])
    (record,) = read_rm_bench(tmp_path / "a.json")
    assert texts(record) == ["y", "yes", "**yes**", "n", "no", "**no**"]
    assert len(record.labels["preferred"].pairs) == 9
    assert record.subset == "safety-refuse"


@pytest.mark.parametrize(
    ("read", "row", "key", "message"),
    [
        (read_reward_bench, [], "", r"found \[\], expected an object"),
        (read_reward_bench, PAIR | {"prompt": 3}, "prompt", "found 3, expected text"),
        (read_reward_bench, PAIR | {"prompt": []}, "prompt", "found no turns"),
        (
            read_reward_bench,
            PAIR | {"prompt": [{"role": "me", "content": "a"}]},
            "prompt[0]",
            "found 'me', expected one of system",
        ),
        (read_reward_bench, PAIR | {"chosen": None}, "chosen", "found None"),
        (read_reward_bench, PAIR | {"subset": ""}, "subset", "found ''"),
        (read_reward_bench_2, BEST | {"rejected": []}, "rejected", "one or more texts"),
        (read_reward_bench_2, BEST | {"chosen": [1]}, "chosen", "one or more texts"),
        (read_rm_bench, STYLED | {"domain": 3}, "domain", "found 3, expected text"),
        (
            read_rm_bench,
            STYLED | {"rejected": ["n", "no"]},
            "rejected",
            "found 2 texts, expected 3: concise, detailed, detailed, markdown",
        ),
    ],
)
def test_a_malformed_row_of_a_benchmark_is_named(tmp_path, read, row, key, message):
    good = {read_reward_bench: PAIR, read_reward_bench_2: BEST, read_rm_bench: STYLED}
    path = tmp_path / "a.json"
    as_json(path, [good[read], row])
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert caught.value.where == f"{path}: row 2" + (f": {key}" if key else "")


@pytest.mark.parametrize("id", ["3", "ref", "ref:x", "other:3", "tied:-1"])
def test_an_id_that_matches_no_prompts_is_refused(id):
    with pytest.raises(InputError, match="expected ref:N or tied:N"):
        tie_key(id)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "filtered-00000-of-00001.parquet"
    path.write_bytes(b"PAR1 and more")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"needs pyarrow.*pip install 'morl\[hub\]'"):
        read_reward_bench(tmp_path)


def test_parquet_is_read_by_pyarrow(tmp_path, monkeypatch):
    class Table:
        def to_pylist(self):
            return [PAIR]

    fake = ModuleType("pyarrow.parquet")
    fake.read_table = lambda name: Table() if name.endswith("x.parquet") else None
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", fake)
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    (record,) = read_reward_bench(path)
    assert record.subset == "alpacaeval-easy"


@pytest.mark.parametrize(
    ("read", "row", "asked"),
    [
        (read_reward_bench_hub, PAIR, ("allenai/reward-bench", "filtered")),
        (read_reward_bench_2_hub, BEST, ("allenai/reward-bench-2", "test")),
        (read_rm_bench_hub, STYLED, ("THU-KEG/RM-Bench", "train")),
    ],
)
def test_the_hub_is_asked_for_the_published_part(monkeypatch, read, row, asked):
    seen = []

    def load_dataset(name, *, split):
        seen.append((name, split))
        return [row]

    fake = ModuleType("datasets")
    fake.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert len(read()) == 1
    assert seen == [asked]


def test_the_sections_weigh_their_prompts_and_code_as_much_as_mathematics():
    # The 2,985 prompts of its paper: mathematics has 447 of them, and weighs 984.
    counts = [sum(subsets.values()) for subsets in SECTIONS.values()]
    assert sum(counts) - 984 + 447 == 2985
    reasoning = SECTIONS["Reasoning"]
    assert reasoning["math-prm"] == sum(reasoning.values()) - reasoning["math-prm"]
