import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from morl.feedback import Span, step_values, token_values

# "Hi, wörld": two special tokens without characters around five real ones.
OFFSETS = np.array([[0, 0], [0, 2], [2, 3], [3, 5], [5, 7], [7, 9], [0, 0]])


@settings(deadline=None)
@given(st.integers(0, 8), st.integers(1, 9), st.floats(-3, 3, width=32))
def test_a_token_has_the_score_of_the_span_that_shares_a_character(start, size, score):
    span = Span(start, min(start + size, 9), score)
    found = token_values([span], OFFSETS)
    marked = set(range(span.start, span.end))
    expected = [bool(marked & set(range(a, b))) for a, b in OFFSETS.tolist()]
    assert found.present.tolist() == expected
    assert np.all(found.values[found.present] == np.float32(score))
    assert np.all(found.values[~found.present] == 0)


def test_a_step_scores_its_last_token_alone():
    steps = [Span(0, 3, 1.0), Span(3, 9, -1.0)]
    found = step_values(steps, OFFSETS)
    assert np.flatnonzero(found.present).tolist() == [2, 5]
    assert found.values[[2, 5]].tolist() == [1.0, -1.0]


def test_spans_of_another_message_are_passed_over():
    spans = [Span(0, 9, 1.0, message=1)]
    assert not token_values(spans, OFFSETS).present.any()
    assert not step_values(spans, OFFSETS).present.any()
    assert token_values(spans, OFFSETS, message=1).present.sum() == 5


def test_where_spans_overlap_the_later_one_holds():
    spans = [Span(0, 9, 1.0), Span(3, 5, -1.0)]
    assert token_values(spans, OFFSETS).values.tolist() == [0, 1, 1, -1, 1, 1, 0]


def test_no_tokens_have_no_values():
    empty = np.zeros((0, 2), int)
    assert token_values([Span(0, 1, 1.0)], empty).values.shape == (0,)
    assert step_values([Span(0, 1, 1.0)], empty).present.shape == (0,)
