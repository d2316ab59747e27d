"""Batches of feedback for reward models: rows of tokens or features, and their labels.

Labels point into their own row, so a batch splits over devices along its rows alone.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from morl.errors import InputError
from morl.feedback import Record, opening_key
from morl.models.chat import EncodedRecord
from morl.training.features import PackedBatch, pack
from morl.training.labels import LabelReader, pairs_or_scores
from morl.types import Names


class Pairs(NamedTuple):
    """Preferences between responses of one row.

    Attributes:
      better: Number of the preferred response in its row, from 0.
      worse: Number of the other.
      strength: Strength of the preference; 0 of a tie.
      mask: Which objective each is for; nothing where there is none.
    """

    better: Int[Array | np.ndarray, "*n b p"]
    worse: Int[Array | np.ndarray, "*n b p"]
    strength: Float[Array | np.ndarray, "*n b p"]
    mask: Bool[Array | np.ndarray, "*n b p k"]


class Scores(NamedTuple):
    """Scores of the responses of a row.

    Attributes:
      values: Score of each response; carries no meaning off the mask.
      mask: Which objectives score it.
    """

    values: Float[Array | np.ndarray, "*n b r k"]
    mask: Bool[Array | np.ndarray, "*n b r k"]


class Ranks(NamedTuple):
    """Ranked lists: one a row and objective.

    Attributes:
      values: Rank of each response, 0 for the best; equal ones are tied.
      mask: Which objectives rank it.
    """

    values: Int[Array | np.ndarray, "*n b r k"]
    mask: Bool[Array | np.ndarray, "*n b r k"]


class TokenRows(NamedTuple):
    """Rows of a prompt and all its responses, as tokens.

    Attributes:
      packed: The rows.
      ends: Place of each response's last token; 0 where there is no response.
      prompt_ends: Place of the last token of the prompt.
    """

    packed: PackedBatch
    ends: Int[Array | np.ndarray, "*n b r"]
    prompt_ends: Int[Array | np.ndarray, "*n b"]


class FeatureRows(NamedTuple):
    """Rows of a prompt and all its responses, as features computed before.

    Attributes:
      responses: What stands for each response.
      prompts: What stands for the prompt.
    """

    responses: Float[Array | np.ndarray, "*n b r d"]
    prompts: Float[Array | np.ndarray, "*n b d"]


class RewardBatch(NamedTuple):
    """Rows and everything that is known about their responses.

    Attributes:
      rows: Tokens, or features.
      numbers: Number of each row in the data set: what random draws for it are made
        of, so that they do not depend on where it is computed.
      lengths: Tokens that the assistant wrote in each response; 0 where there is none.
      pairs: Preferences; None where a data set has none, likewise below.
      scores: Scores of responses.
      ranks: Ranked lists.
    """

    rows: TokenRows | FeatureRows
    numbers: Int[Array | np.ndarray, "*n b"]
    lengths: Int[Array | np.ndarray, "*n b r"]
    pairs: Pairs | None
    scores: Scores | None
    ranks: Ranks | None = None


class Example(NamedTuple):
    """One record as a row: its tokens, and its labels by objective.

    Attributes:
      record: Tokens of the prompt and of the responses that a label is about.
      pairs: Better, worse, objective and strength of each preference.
      scores: Response, objective and score.
      where: What it is called in a message.
      ranks: Response, objective and rank.
      opening: What records share that a split keeps together, as of
        :func:`morl.feedback.opening_key`.
    """

    record: EncodedRecord
    pairs: tuple[tuple[int, int, int, float], ...]
    scores: tuple[tuple[int, int, float], ...]
    where: str
    ranks: tuple[tuple[int, int, int], ...] = ()
    opening: str = ""


class Widths(NamedTuple):
    """How many responses and pairs a row has room for, in all batches of a run.

    Attributes:
      responses: Most responses of a row.
      pairs: Most preferences of a row; 0 where there are none at all.
      scored: Whether any response has a score.
      ranked: Whether any has a rank.
    """

    responses: int
    pairs: int
    scored: bool
    ranked: bool = False


def make_example(
    record: Record,
    encoded: EncodedRecord,
    objectives: Names,
    readers: Sequence[LabelReader] | None = None,
) -> Example | None:
    """A record as a row, with the responses that its labels are about.

    Args:
      record: The feedback.
      encoded: The same as tokens.
      objectives: What it may be labelled for; other labels are passed over.
      readers: What each objective learns from, of :mod:`morl.training.labels`;
        :func:`morl.training.labels.pairs_or_scores` without them.

    Returns:
      The row; None where no objective has a label here.

    Raises:
      InputError: A response that is labelled has no token.
    """
    chosen = readers or (pairs_or_scores,) * len(objectives)
    found = [read(record, name) for read, name in zip(chosen, objectives, strict=True)]
    each = list(enumerate(found))
    pairs = [(b, w, number, s) for number, one in each for b, w, s in one.pairs]
    scores = [(i, number, s) for number, one in each for i, s in one.scores]
    ranks = [(i, number, rank) for number, one in each for i, rank in one.ranks]
    used = sorted(
        {i for better, worse, *_ in pairs for i in (better, worse)}
        | {i for i, *_ in (*scores, *ranks)}
    )
    if not used:
        return None
    where = f"{record.source} {record.id}".strip() or "record"
    for place in used:
        if not len(encoded.responses[place]):
            raise InputError(
                f"responses[{place}] has no token, expected text to score", where=where
            )
    new = {old: place for place, old in enumerate(used)}
    kept = encoded._replace(
        responses=tuple(encoded.responses[i] for i in used),
        own=tuple(encoded.own[i] for i in used),
    )
    return Example(
        kept,
        tuple((new[b], new[w], number, s) for b, w, number, s in pairs),
        tuple((new[i], number, score) for i, number, score in scores),
        where,
        tuple((new[i], number, rank) for i, number, rank in ranks),
        opening_key(record),
    )


def widths(examples: Iterable[Example]) -> Widths:
    """Room for the largest of the rows."""
    some = tuple(examples)
    return Widths(
        max(len(e.record.responses) for e in some),
        max(len(e.pairs) for e in some),
        any(e.scores for e in some),
        any(e.ranks for e in some),
    )


def label_counts(
    examples: Sequence[Example], num_objectives: int
) -> Int[np.ndarray, " k"]:
    """How many pairs, scores and ranked responses each objective has."""
    counts = np.zeros(num_objectives, int)
    for example in examples:
        for *_, number, _ in (*example.pairs, *example.scores, *example.ranks):
            counts[number] += 1
    return counts


def token_batch(
    examples: Sequence[Example],
    numbers: Int[np.ndarray, " b"],
    *,
    length: int,
    room: Widths,
    num_objectives: int,
) -> RewardBatch:
    """Rows of ``length`` tokens with their labels.

    Args:
      examples: One a row.
      numbers: Number of each in its data set.
      length: Tokens of a row.
      room: Responses and pairs of a row.
      num_objectives: Width of the masks.

    Raises:
      InputError: A row has more tokens than ``length``.
    """
    ends = np.zeros((len(examples), room.responses), np.int32)
    prompt_ends = np.zeros(len(examples), np.int32)
    for row, example in enumerate(examples):
        sizes = [len(response) for response in example.record.responses]
        start = len(example.record.prompt)
        ends[row, : len(sizes)] = start + np.cumsum(sizes) - 1
        prompt_ends[row] = max(start - 1, 0)
    rows = TokenRows(pack([e.record for e in examples], length), ends, prompt_ends)
    return labelled(rows, examples, numbers, room=room, num_objectives=num_objectives)


def labelled(
    rows: TokenRows | FeatureRows,
    examples: Sequence[Example],
    numbers: Int[np.ndarray, " b"],
    *,
    room: Widths,
    num_objectives: int,
) -> RewardBatch:
    """Rows beside the labels of their examples."""
    count, k = len(examples), num_objectives
    pairs = Pairs(
        np.zeros((count, room.pairs), np.int32),
        np.zeros((count, room.pairs), np.int32),
        np.ones((count, room.pairs), np.float32),
        np.zeros((count, room.pairs, k), bool),
    )
    each = (count, room.responses, k)
    scores = Scores(np.zeros(each, np.float32), np.zeros(each, bool))
    ranks = Ranks(np.zeros(each, np.int32), np.zeros(each, bool))
    lengths = np.zeros((count, room.responses), np.int32)
    for row, example in enumerate(examples):
        sizes = [int(own.sum()) for own in example.record.own]
        lengths[row, : len(sizes)] = sizes
        for place, (better, worse, number, strength) in enumerate(example.pairs):
            pairs.better[row, place], pairs.worse[row, place] = better, worse
            pairs.strength[row, place] = strength
            pairs.mask[row, place, number] = True
        for response, number, score in example.scores:
            scores.values[row, response, number] = score
            scores.mask[row, response, number] = True
        for response, number, rank in example.ranks:
            ranks.values[row, response, number] = rank
            ranks.mask[row, response, number] = True
    return RewardBatch(
        rows,
        np.asarray(numbers, np.int32),
        lengths,
        pairs if room.pairs else None,
        scores if room.scored else None,
        ranks if room.ranked else None,
    )
