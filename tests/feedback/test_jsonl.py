import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.errors import InputError
from morl.feedback import (
    Labels,
    Message,
    Pair,
    Problem,
    Record,
    Span,
    check_jsonl,
    plain_record,
    read_jsonl,
    stream_jsonl,
    write_jsonl,
)

# Half of a surrogate pair is legal in a Python string, and in JSON as an escape.
TEXTS = st.text(st.characters(), max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner),
    max_leaves=4,
)


@st.composite
def assistants(draw):
    calls = draw(st.lists(st.dictionaries(TEXTS, JSON, max_size=2), max_size=1))
    name = draw(st.none() | TEXTS)
    return Message("assistant", draw(TEXTS), name, tuple(calls))


@st.composite
def others(draw):
    role = draw(st.sampled_from(["system", "developer", "user", "tool"]))
    call = draw(st.none() | TEXTS) if role == "tool" else None
    return Message(role, draw(TEXTS), draw(st.none() | TEXTS), (), call)


@st.composite
def span_lists(draw, responses):
    lists = []
    for turns in responses:
        places = [n for n, turn in enumerate(turns) if turn.content]
        if not places or draw(st.booleans()):
            lists.append(draw(st.sampled_from([None, ()])))
            continue
        place = draw(st.sampled_from(places))
        end = draw(st.integers(1, len(turns[place].content)))
        span = Span(draw(st.integers(0, end - 1)), end, draw(FINITE), place)
        lists.append((span,))
    return tuple(lists)


@st.composite
def labels_of(draw, responses):
    count = len(responses)
    indices = list(range(count))
    entries = lambda value: st.none() | st.tuples(*[st.none() | value] * count)
    pair = st.permutations(indices).map(lambda order: order[:2])
    strength = st.floats(1e-6, 1e6)
    pairs = draw(st.lists(st.tuples(pair, strength), max_size=2 * (count > 1)))
    groups = draw(st.permutations(indices).map(lambda order: order[: count // 2 + 1]))
    return Labels(
        scores=draw(entries(FINITE)),
        pairs=tuple(Pair(*ends, weight) for ends, weight in pairs),
        ranking=draw(st.sampled_from([(), (tuple(groups),) if groups else ()])),
        token_scores=draw(st.none() | span_lists(responses)),
        step_scores=draw(st.none() | span_lists(responses)),
        critiques=draw(entries(TEXTS)),
    )


@st.composite
def records(draw):
    turns = st.lists(others() | assistants(), max_size=2)
    prompt = (*draw(turns), draw(others() | assistants()))
    answer = st.tuples(turns, assistants()).map(lambda parts: (*parts[0], parts[1]))
    responses = tuple(draw(st.lists(answer, max_size=3)))
    names = draw(st.lists(st.sampled_from(["helpful", "é", "a.b"]), unique=True))
    labels = {name: draw(labels_of(responses)) for name in names}
    return Record(prompt, responses, labels, draw(TEXTS), draw(TEXTS))


# The run-time type checks of the tests draw the entries they look at from `random`.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@settings(deadline=None, max_examples=100)
@given(st.lists(records(), max_size=3), st.sampled_from(["a.jsonl", "a.jsonl.gz"]))
def test_what_was_written_reads_back_equal(tmp_path_factory, written, name):
    path = tmp_path_factory.mktemp("feedback") / name
    assert write_jsonl(path, written) == len(written)
    assert read_jsonl(path) == written
    assert check_jsonl(path) == []


def test_equal_records_give_equal_bytes(tmp_path):
    some = [plain_record("a", ["b"]), plain_record("c", ["d", "e"])]
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_jsonl(tmp_path / name, some)
    first, second = (tmp_path / n for n in ("a.jsonl.gz", "b.jsonl.gz"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[4:8] == bytes(4)  # the time in a gzip header, RFC 1952
    assert gzip.decompress(first.read_bytes()).count(b"\n") == 2


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    def broken():
        yield plain_record("new", [])
        raise RuntimeError

    path = tmp_path / "a.jsonl"
    write_jsonl(path, [plain_record("old", [])])
    with pytest.raises(RuntimeError):
        write_jsonl(path, broken())
    assert read_jsonl(path) == [plain_record("old", [])]
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_plain_strings_are_one_turn(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "Tea?", "responses": ["Yes.", "No."]}')
    assert read_jsonl(path) == [plain_record("Tea?", ["Yes.", "No."])]
    write_jsonl(path, read_jsonl(path))
    assert path.read_text() == '{"prompt": "Tea?", "responses": ["Yes.", "No."]}\n'


def test_a_silent_turn_that_calls_a_tool_may_have_null_as_its_text(tmp_path):
    turn = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"prompt": "Tea?", "responses": [[turn]]}))
    (record,) = read_jsonl(path)
    assert record.responses[0][0].content == ""


def test_integers_and_a_byte_order_mark_and_blank_lines_are_taken(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"prompt": "a", "responses": ["b"], "labels": {"x": {"scores": [1]}}}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(row).encode() + b"\r\n\r\n \n")
    (record,) = read_jsonl(path)
    assert record.labels["x"].scores == (1.0,)
    assert isinstance(record.labels["x"].scores[0], float)


FAULTY = [
    ("{", "", "a JSON object"),
    ("[]", "", "an object with prompt, responses"),
    ('{"prompt": "a", "responses": [], "prompt": "b"}', "", "a JSON object"),
    ('{"prompt": "a", "responses": [], "id": NaN}', "", "a JSON object"),
    ('{"prompt": "a"}', "responses", "this key"),
    ('{"prompt": "a", "responses": [], "label": {}}', "label", "one of prompt"),
    ('{"prompt": 3, "responses": []}', "prompt", "text, or a list of messages"),
    ('{"prompt": [], "responses": []}', "prompt", "text, or a list of messages"),
    ('{"prompt": "a", "responses": "b"}', "responses", "a list of responses"),
    ('{"prompt": "a", "responses": [null]}', "responses[0]", "text, or a list"),
    ('{"prompt": "a", "responses": [], "id": 3}', "id", "text"),
    ('{"prompt": "a", "responses": [], "subset": 3}', "subset", "text"),
    ('{"prompt": [{"role": "user"}], "responses": []}', "prompt[0].content", "this"),
    (
        '{"prompt": [{"role": "me", "content": ""}], "responses": []}',
        "prompt[0].role",
        "one of system, developer, user, assistant, tool",
    ),
    (
        '{"prompt": "a", "responses": [[{"role": "user", "content": ""}]]}',
        "responses[0]",
        "at least one turn by the assistant",
    ),
]
LABEL_FAULTS = [
    ("3", "", "an object with scores"),
    ('{"score": [1, 2]}', "score", "one of scores, pairs"),
    ('{"scores": [1]}', "scores", "2, the number of responses"),
    ('{"scores": [1, "2"]}', "scores[1]", "a finite number or null"),
    ('{"scores": [1, 1e999]}', "scores[1]", "a finite number or null"),
    ('{"scores": [1, true]}', "scores[1]", "a finite number or null"),
    ('{"pairs": [[0, 1]]}', "pairs[0]", "an object with better, worse"),
    ('{"pairs": [{"better": 0}]}', "pairs[0].worse", "this key"),
    ('{"pairs": [{"better": 0, "worse": 2}]}', "pairs[0].worse", "an index below 2"),
    (
        '{"pairs": [{"better": 0, "worse": 1, "strength": -1}]}',
        "pairs[0].strength",
        "a finite number above 0",
    ),
    ('{"ranking": [0, [1]]}', "ranking[0]", "a list of one or more indices"),
    ('{"token_scores": [[], 3]}', "token_scores[1]", "a list of spans or null"),
    (
        '{"token_scores": [[{"start": 0, "end": 9, "score": 1}], null]}',
        "token_scores[0][0].end",
        "at most 1, the length of the message",
    ),
    ('{"critiques": [null, 2]}', "critiques[1]", "text or null"),
]


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        *FAULTY,
        *[
            (
                '{"prompt": "a", "responses": ["b", "c"], "labels": {"x": '
                f"{labels}}}}}",
                "labels.x" + (f".{key}" if key else ""),
                expected,
            )
            for labels, key, expected in LABEL_FAULTS
        ],
    ],
)
def test_a_faulty_line_is_named_with_its_key(tmp_path, line, key, expected):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a", "responses": []}\n' + line + "\n")
    (problem,) = check_jsonl(path)
    assert (problem.line, problem.key) == (2, key)
    assert problem.expected.startswith(expected)
    with pytest.raises(InputError) as caught:
        read_jsonl(path)
    assert caught.value.where == f"{path}:2" + (f": {key}" if key else "")
    assert f"found {problem.found}, expected {problem.expected}" in str(caught.value)


def test_every_problem_is_reported_not_just_the_first(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"prompt": [{"rol": "user", "content": 1}], "responses": ["b", 2],'
        ' "labels": {"x": {"scores": [1], "pairs": [{"better": 0, "worse": 7},'
        ' {"better": -1, "worse": 0, "why": ""}], "ranking": 3}}, "extra": 0}\n'
        '{"prompt": "fine", "responses": []}\n'
        "nonsense\n"
    )
    assert [(problem.line, problem.key) for problem in check_jsonl(path)] == [
        (1, "extra"),
        (1, "prompt[0].rol"),
        (1, "prompt[0].role"),
        (1, "prompt[0].content"),
        (1, "responses[1]"),
        (1, "labels.x.ranking"),
        (1, "labels.x.pairs[1].why"),
        (1, "labels.x.pairs[1].better"),
        (3, ""),
    ]
    with pytest.raises(InputError, match="and 7 more; morl check lists them"):
        read_jsonl(path)


def test_a_problem_prints_as_one_line():
    problem = Problem(3, "labels.x", "7", "an object")
    assert str(problem) == "line 3: labels.x: found 7, expected an object"
    assert str(problem._replace(key="")) == "line 3: found 7, expected an object"


def test_bytes_that_are_not_utf8_are_a_problem_of_their_line(tmp_path):
    path = tmp_path / "a.jsonl"
    sound = b'{"prompt": "a", "responses": []}\n'
    path.write_bytes(sound + b'{"prompt": "\xff", "responses": []}\n' + sound)
    (problem,) = check_jsonl(path)
    assert problem.line == 2
    assert "can't decode byte 0xff" in problem.found


def test_a_truncated_gzip_file_is_a_problem_after_its_last_line(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    write_jsonl(path, [plain_record(f"{n}" * n, []) for n in range(200)])
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = check_jsonl(path)
    assert problem.expected == "a whole gzip file"
    assert 1 < problem.line <= 200
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_jsonl(path)


@pytest.mark.parametrize("read", [read_jsonl, check_jsonl])
def test_a_missing_file_is_an_error(tmp_path, read):
    with pytest.raises(InputError, match=r"nothing\.jsonl: no such file"):
        read(tmp_path / "nothing.jsonl")


def test_a_deeply_nested_line_is_a_problem_not_a_crash(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("[" * 100_000 + "\n")
    (problem,) = check_jsonl(path)
    assert problem.line == 1


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_progress_rises_to_the_size_on_disk(tmp_path, name):
    path = tmp_path / name
    write_jsonl(path, [plain_record(f"{n}", []) for n in range(500)])
    seen = []
    check_jsonl(path, progress=lambda done, total: seen.append((done, total)))
    size = path.stat().st_size
    assert len(seen) == 500
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)


def test_a_fault_of_the_progress_hook_is_not_taken_for_damage(tmp_path):
    def broken(*_):
        raise BrokenPipeError

    path = tmp_path / "a.jsonl.gz"
    write_jsonl(path, [plain_record("a", [])])
    with pytest.raises(BrokenPipeError):
        check_jsonl(path, progress=broken)


def test_a_stream_does_not_read_ahead_of_its_first_record(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a", "responses": []}\nnonsense\n')
    assert next(stream_jsonl(path)) == plain_record("a", [])


def test_the_examples_of_the_format_page_are_sound(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "feedback-format.md"
    blocks = re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(json.loads(b)) + "\n" for b in blocks))
    assert len(blocks) == 3
    assert check_jsonl(path) == []
    (_, tools, spans) = read_jsonl(path)
    assert [turn.role for turn in tools.responses[0]] == [
        "assistant",
        "tool",
        "assistant",
    ]
    (span,) = spans.labels["honest"].token_scores[0]
    assert spans.responses[0][0].content[span.start : span.end] == "Ganymede"
