import pickle

import jaxtyping
import numpy as np
import pytest

from morl.errors import InputError
from morl.feedback import Labels, Message, Pair, Record, Span, plain_record

ASK = (Message("user", "Is tea hot?"),)
TWO = ((Message("assistant", "Yes."),), (Message("assistant", "No."),))


@pytest.fixture
def unchecked(monkeypatch):
    """Without the type checks of the tests, which would refuse some values first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: Message("human", "hi"), "role"),
        (lambda: Message("user", None), "content"),
        (lambda: Message("user", "hi", name=3), "name"),
        (lambda: Message("user", "hi", tool_calls=({"id": "a"},)), "tool_calls"),
        (lambda: Message("assistant", "", tool_calls=("a",)), "tool_calls[0]"),
        (lambda: Message("assistant", "", tool_calls=({"a": NAN},)), "tool_calls[0]"),
        (lambda: Message("assistant", "", tool_calls=({1: 2},)), "tool_calls[0]"),
        (lambda: Message("user", "hi", tool_call_id="a"), "tool_call_id"),
        (lambda: Pair(-1, 0), "better"),
        (lambda: Pair(True, 0), "better"),
        (lambda: Pair(0, 1.0), "worse"),
        (lambda: Pair(1, 1), "worse"),
        (lambda: Pair(0, 1, 0.0), "strength"),
        (lambda: Pair(0, 1, INF), "strength"),
        (lambda: Span(3, 3, 1.0), "end"),
        (lambda: Span(0, 3, NAN), "score"),
        (lambda: Span(0, 3, 1.0, message=-1), "message"),
        (lambda: Labels(scores=(1.0, NAN)), "scores[1]"),
        (lambda: Labels(scores=(10**400,)), "scores[0]"),
        (lambda: Labels(scores="12"), "scores"),
        (lambda: Labels(pairs=((0, 1),)), "pairs[0]"),
        (lambda: Labels(ranking=((0,), ())), "ranking[1]"),
        (lambda: Labels(ranking=((0, 1), (1,))), "ranking[1][0]"),
        (lambda: Labels(token_scores=(((0, 1, 2.0),),)), "token_scores[0][0]"),
        (lambda: Labels(critiques=(None, 5)), "critiques[1]"),
        (lambda: Record((), TWO), "prompt"),
        (lambda: Record("Is tea hot?", TWO), "prompt"),
        (lambda: Record(ASK, ("Yes.",)), "responses[0]"),
        (lambda: Record(ASK, ((),)), "responses[0]"),
        (lambda: Record(ASK, (ASK,)), "responses[0]"),
        (lambda: Record(ASK, TWO, {"": Labels()}), "labels"),
        (lambda: Record(ASK, TWO, {"a": (1.0, 2.0)}), "labels.a"),
        (lambda: Record(ASK, TWO, {"a": Labels(scores=(1.0,))}), "labels.a.scores"),
        (
            lambda: Record(ASK, TWO, {"a": Labels(pairs=(Pair(0, 1), Pair(2, 0)))}),
            "labels.a.pairs[1].better",
        ),
        (
            lambda: Record(ASK, TWO, {"a": Labels(ranking=((0,), (5,)))}),
            "labels.a.ranking[1][0]",
        ),
        (
            lambda: Record(
                ASK, TWO, {"a": Labels(token_scores=((Span(0, 5, 1.0),), None))}
            ),
            "labels.a.token_scores[0][0].end",
        ),
        (
            lambda: Record(
                ASK, TWO, {"a": Labels(step_scores=(None, (Span(0, 1, 1.0, 1),)))}
            ),
            "labels.a.step_scores[1][0].message",
        ),
        (lambda: Record(ASK, TWO, id=7), "id"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_is_refused_by_the_name_of_its_key(build, key):
    with pytest.raises(InputError, match=r"found .*, expected ") as caught:
        build()
    assert caught.value.where == key


def test_a_span_may_reach_exactly_to_the_end_of_its_message():
    labels = {"a": Labels(token_scores=((Span(0, 4, 1.0),), None))}
    assert Record(ASK, TWO, labels).labels == labels


def test_a_record_may_be_a_prompt_alone():
    assert plain_record("Is tea hot?", []).responses == ()


def test_a_plain_record_is_one_turn_each():
    assert plain_record("Is tea hot?", ["Yes.", "No."]) == Record(ASK, TWO)


def test_a_numpy_number_is_a_score_when_it_is_a_float():
    assert Labels(scores=(np.float64(0.5),)).scores == (0.5,)


def test_raters_may_contradict_each_other():
    both = (Pair(0, 1), Pair(1, 0))
    assert Record(ASK, TWO, {"a": Labels(pairs=both)}).labels["a"].pairs == both


def test_a_record_can_be_sent_to_another_process():
    record = Record(ASK, TWO, {"a": Labels(scores=(1.0, None))}, "s", "1")
    assert pickle.loads(pickle.dumps(record)) == record


@pytest.mark.usefixtures("unchecked")
def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(InputError) as caught:
        Message("user", ["x" * 10**6] * 1000)
    assert len(str(caught.value)) < 200
