"""Labels on parts of a response, from characters to the tokens of any tokenizer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from morl.feedback.records import Span


class TokenValues(NamedTuple):
    """A value for some of the tokens of a message.

    Attributes:
      values: The value of each token, ``[t]``; carries no meaning where absent.
      present: Which tokens have one, ``[t]``.
    """

    values: Float[np.ndarray, " t"]
    present: Bool[np.ndarray, " t"]


def token_values(
    spans: Sequence[Span], offsets: Int[np.ndarray, "t 2"], *, message: int = 0
) -> TokenValues:
    """Token labels: each token that a span touches has the score of the span.

    Where spans overlap the later one in the list holds.

    Args:
      spans: Of one response.
      offsets: First character of each token in the message, and one past its last, as
        tokenizers give them, ``[t, 2]``. Tokens without characters have no value.
      message: Which message of the response the offsets are about.

    Examples:
      >>> offsets = np.array([[0, 3], [3, 7], [7, 8]])
      >>> token_values([Span(4, 7, -1.0)], offsets)
      TokenValues(values=array([ 0., -1.,  0.], dtype=float32),
                  present=array([False,  True, False]))
    """
    values = np.zeros(len(offsets), np.float32)
    present = np.zeros(len(offsets), bool)
    for span in spans:
        if span.message == message:
            inside = _touched(span, offsets)
            values[inside], present[inside] = span.score, True
    return TokenValues(values, present)


def step_values(
    spans: Sequence[Span], offsets: Int[np.ndarray, "t 2"], *, message: int = 0
) -> TokenValues:
    """Step labels: the last token that a step touches has the score of the step.

    Args:
      spans: Of one response, one a step.
      offsets: As in :func:`token_values`.
      message: Which message of the response the offsets are about.

    Examples:
      >>> offsets = np.array([[0, 3], [3, 7], [7, 8]])
      >>> step_values([Span(0, 7, 1.0)], offsets).present
      array([False,  True, False])
    """
    values = np.zeros(len(offsets), np.float32)
    present = np.zeros(len(offsets), bool)
    for span in spans:
        inside = np.flatnonzero(_touched(span, offsets))
        if span.message == message and inside.size:
            values[inside[-1]], present[inside[-1]] = span.score, True
    return TokenValues(values, present)


def _touched(span: Span, offsets: Int[np.ndarray, "t 2"]) -> Bool[np.ndarray, " t"]:
    starts, ends = offsets[:, 0], offsets[:, 1]
    return (starts < span.end) & (ends > span.start) & (ends > starts)
