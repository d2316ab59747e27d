"""Readers of several objectives on the same response, on rows made for the test."""

import json

import pytest

from morl.errors import InputError
from morl.feedback import Pair, Span, read_finegrained_rlhf, read_unieval


def written(path, rows):
    path.write_text(json.dumps(rows))
    return path


def error(kind, start, end):
    return {"error type": kind, "explanation": "", "start": start, "end": end}


def question(**change):
    answers = {f"prediction {n}": f"answer {n}" for n in (2, 3, 4)}
    feedback = {"errors": [], "missing-info": [], "corrected-prediction": ""}
    row = {"question": "Tea?", "passages": [["Tea", "Tea is hot.", "It is wet."]]}
    row |= {"prediction 1": "Yes, tea is cold.", **answers}
    return (
        row
        | {"preference": [0] * 6, "feedback": feedback | change.pop("feedback", {})}
        | change
    )


def only(path, row):
    (record,) = read_finegrained_rlhf(written(path / "a.json", [row]))
    return record


@pytest.mark.parametrize(
    ("preference", "ranking"),
    [
        ([1, 1, 1, 1, 1, 1], ((0,), (1,), (2,), (3,))),
        ([2, 2, 2, 0, 1, 1], ((1, 2), (3,), (0,))),
        ([0, 0, 0, 0, 0, 0], ((0, 1, 2, 3),)),
    ],
)
def test_six_judgements_that_rank_four_answers_are_a_ranking(
    tmp_path, preference, ranking
):
    labels = only(tmp_path, question(preference=preference)).labels["preferred"]
    assert (labels.ranking, labels.pairs) == (ranking, ())


def test_judgements_that_rank_nothing_are_pairs(tmp_path):
    # 1 ties with 2 and 2 with 3, and yet 1 is better than 3.
    row = question(preference=[0, 1, 0, 0, 0, 0])
    labels = only(tmp_path, row).labels["preferred"]
    assert (labels.ranking, labels.pairs) == ((), (Pair(0, 2),))


def test_a_part_that_is_marked_for_one_objective_is_unlabelled_under_the_other(
    tmp_path,
):
    errors = [error("Unverifiable", 5, 16), error("Redundant", 0, 4)]
    record = only(tmp_path, question(feedback={"errors": errors}))
    read = lambda name: record.labels[name].token_scores[0]
    assert read("relevance") == (Span(16, 17, 1.0), Span(0, 4, -1.0))
    assert read("factuality") == (Span(16, 17, 1.0), Span(5, 16, -1.0))


def test_spans_move_with_an_answer_whose_white_space_is_dropped(tmp_path):
    row = question(feedback={"errors": [error("Irrelevant", 7, 10)]})
    record = only(tmp_path, row | {"prediction 1": "  Yes, tea.  "})
    text = record.responses[0][0].content
    spans = record.labels["relevance"].token_scores[0]
    assert {text[s.start : s.end]: s.score for s in spans} == {
        "Yes,": 1.0,
        "tea": -1.0,
        ".": 1.0,
    }


def test_each_missing_piece_costs_completeness_one(tmp_path):
    missing = [{"error type": "Missing-Answer", "passage_id": 1, "sentence_id": [2]}]
    record = only(tmp_path, question(feedback={"missing-info": missing * 2}))
    assert record.labels["completeness"].scores == (-2.0, None, None, None)


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"question": ""}, "question", "found '', expected text"),
        ({"prediction 4": None}, "prediction 4", "found None, expected text"),
        ({"passages": ["Tea"]}, "passages[0]", "found 'Tea', expected a title"),
        ({"passages": None}, "passages", "found None, expected a list"),
        ({"preference": [1, 2]}, "preference", "expected 6 judgements"),
        (
            {"preference": [0, 1, 2, 3, 0, 0]},
            "preference[3]",
            r"found 3, expected 0 \(a tie\), 1 or 2",
        ),
        ({"preference": [True] * 6}, "preference[0]", "found True"),
        (
            {"feedback": {"errors": [error("Rude", 0, 1)]}},
            "feedback.errors[0]: error type",
            "found 'Rude', expected one of Irrelevant",
        ),
        (
            {"feedback": {"errors": [error("Irrelevant", 5, 99)]}},
            "feedback.errors[0]: end",
            "found 99, expected a character above 5, at most 17",
        ),
        (
            {"feedback": {"errors": [error("Irrelevant", -1, 2)]}},
            "feedback.errors[0]: start",
            "found -1, expected a character below 17",
        ),
        ({"feedback": {"errors": [3]}}, "feedback.errors[0]", "expected an object"),
        (
            {"feedback": {"missing-info": [{"error type": "Irrelevant"}]}},
            "feedback.missing-info[0]: error type",
            "expected one of Missing-Answer",
        ),
    ],
)
def test_a_malformed_finegrained_row_is_named(tmp_path, change, where, message):
    path = written(tmp_path / "a.json", [question(), question(**change)])
    with pytest.raises(InputError, match=message) as caught:
        read_finegrained_rlhf(path)
    assert caught.value.where == f"{path}: row 2: {where}"


def rated(source, output, **scores):
    return {"source": source, "system_output": output, "scores": scores}


def test_responses_to_one_prompt_are_one_record_wherever_they_stand(tmp_path):
    rows = [rated("a", "x", overall=1.0), rated("b", "y", overall=2.0)]
    path = written(tmp_path / "mine.json", [*rows, rated("a", "z", overall=3.0)])
    first, second = read_unieval(path)
    assert [turns[0].content for turns in first.responses] == ["x", "z"]
    assert first.labels["overall"].scores == (1.0, 3.0)
    assert (first.id, second.id, first.subset) == ("1", "2", "mine")


def test_equal_responses_are_one_with_the_mean_of_their_scores(tmp_path):
    rows = [rated("a", "x", overall=1.0), rated("a", "x ", overall=4.0)]
    (record,) = read_unieval(written(tmp_path / "a.json", rows))
    assert len(record.responses) == 1
    assert record.labels["overall"].scores == (2.5,)


def test_a_dialogue_has_its_knowledge_as_a_system_turn(tmp_path):
    row = rated("hello \n hi \n tea ? \n\n", "yes", overall=1) | {"context": "tea\n"}
    (record,) = read_unieval(written(tmp_path / "a.json", [row]))
    assert [(turn.role[0], turn.content) for turn in record.prompt] == [
        ("s", "tea"),
        ("u", "hello"),
        ("a", "hi"),
        ("u", "tea ?"),
    ]
    (record,) = read_unieval(
        written(tmp_path / "b.json", [row | {"context": "_nofact\n"}])
    )
    assert [turn.role[0] for turn in record.prompt] == ["u", "a", "u"]


@pytest.mark.parametrize(
    ("row", "where", "message"),
    [
        (7, "", "found 7, expected an object"),
        (rated("", "x", overall=1), ": source", "found '', expected text"),
        (rated("a", None, overall=1), ": system_output", "found None"),
        ({**rated("a", "x"), "scores": []}, ": scores", "expected an object of numb"),
        (rated("c", "x"), ": scores", "found {}, expected an object of numbers"),
        (rated("c", "x", overall="4"), ": scores.overall", "found '4', expected a"),
        ({**rated("c", "x", a=1), "context": 3}, ": context", "found 3, expected text"),
        (
            rated("a", "x", fluency=1),
            ": scores",
            "found fluency, expected overall as in row 1, which has the same prompt",
        ),
    ],
)
def test_a_malformed_unieval_row_is_named(tmp_path, row, where, message):
    path = written(tmp_path / "a.json", [rated("a", "x", overall=1), row])
    with pytest.raises(InputError, match=message) as caught:
        read_unieval(path)
    assert caught.value.where == f"{path}: row 2{where}"
