"""The one record of feedback: a prompt, its responses, and labels per objective."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from morl.feedback.faults import (
    Fault,
    critique_faults,
    list_faults,
    message_faults,
    pair_faults,
    raise_first,
    ranking_faults,
    score_faults,
    shown,
    span_faults,
    under,
)
from morl.types import Json


@dataclass(frozen=True)
class Message:
    """One turn of a chat.

    Attributes:
      role: Who speaks: system, developer, user, assistant or tool.
      content: The text of the turn; may be empty.
      name: The name of the speaker or of the tool, where one is given.
      tool_calls: Calls that an assistant makes, as JSON objects.
      tool_call_id: The call that a tool turn answers.

    Raises:
      InputError: A field does not hold what it should; the message names it.

    Examples:
      >>> Message("robot", "hello")
      Traceback (most recent call last):
      ...
      morl.errors.InputError: role: found 'robot', expected one of system, developer,
      user, assistant, tool
    """

    role: str
    content: str
    name: str | None = None
    tool_calls: tuple[Json, ...] = ()
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        """Refuses what the attributes cannot be."""
        raise_first(
            message_faults(
                self.role, self.content, self.name, self.tool_calls, self.tool_call_id
            )
        )


@dataclass(frozen=True)
class Pair:
    """One response was preferred to another.

    Attributes:
      better: Index of the preferred response.
      worse: Index of the other.
      strength: How clear the preference is, above 0: the weight of the pair in a loss,
        or its margin. 1 where nobody said.
    """

    better: int
    worse: int
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Refuses what the attributes cannot be."""
        raise_first(pair_faults(self.better, self.worse, self.strength))


@dataclass(frozen=True)
class Span:
    """A score for part of a response, in characters: it holds for every tokenizer.

    Attributes:
      start: First character (Unicode code point) of the message, from 0.
      end: One past the last character.
      score: The score of this part; larger is better.
      message: Which message of the response.
    """

    start: int
    end: int
    score: float
    message: int = 0

    def __post_init__(self) -> None:
        """Refuses what the attributes cannot be."""
        raise_first(span_faults(self.start, self.end, self.score, self.message))


Spans = tuple[tuple[Span, ...] | None, ...]


@dataclass(frozen=True)
class Labels:
    """What is known about the responses under one objective; every part optional.

    Attributes:
      scores: One number a response, larger is better; None for a response without one.
      pairs: Preferences between two responses. Raters may contradict each other.
      ranking: Groups of responses, best group first; those in one group are tied;
        responses may be missing.
      token_scores: One tuple of spans a response: each token of a span has its score.
      step_scores: One tuple of spans a response: each span is a step of reasoning, and
        its score belongs to the step as a whole.
      critiques: One text a response, or None.

    Raises:
      InputError: A part does not hold what it should; the message names it.

    Examples:
      >>> Labels(scores=(1.0, None), ranking=((0,), (0, 1)))
      Traceback (most recent call last):
      ...
      morl.errors.InputError: ranking[1][0]: found 0, expected each response at most
      once
    """

    scores: tuple[float | None, ...] | None = None
    pairs: tuple[Pair, ...] = ()
    ranking: tuple[tuple[int, ...], ...] = ()
    token_scores: Spans | None = None
    step_scores: Spans | None = None
    critiques: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        """Refuses what the attributes cannot be."""
        raise_first(label_faults(self))


@dataclass(frozen=True)
class Record:
    """A prompt, its responses, and what is known about them under each objective.

    An objective that is not in ``labels`` is unlabelled: absent, not zero.

    Attributes:
      prompt: The turns that every response continues; at least one.
      responses: Each a tuple of turns with at least one by the assistant; a plain
        answer is one turn, a dialogue that went on is several.
      labels: Objective to its labels.
      source: The data set that the record comes from.
      id: Which row of it.
      subset: Which part of the data set, where it has parts that are judged apart.

    Raises:
      InputError: A field does not hold what it should, or a label points at a response
        or a character that is not there; the message names the key.

    Examples:
      >>> record = Record(
      ...     prompt=(Message("user", "Is the earth flat?"),),
      ...     responses=((Message("assistant", "No."),),),
      ...     labels={"honest": Labels(pairs=(Pair(better=0, worse=2),))},
      ... )
      Traceback (most recent call last):
      ...
      morl.errors.InputError: labels.honest.pairs[0].worse: found 2, expected an index
      below 1, the number of responses
    """

    prompt: tuple[Message, ...]
    responses: tuple[tuple[Message, ...], ...]
    labels: Mapping[str, Labels] = field(default_factory=dict)
    source: str = ""
    id: str = ""
    subset: str = ""

    def __post_init__(self) -> None:
        """Refuses what the attributes cannot be."""
        raise_first(record_faults(self))


def plain_record(
    prompt: str,
    responses: Sequence[str],
    labels: Mapping[str, Labels] | None = None,
    *,
    source: str = "",
    id: str = "",
    subset: str = "",
) -> Record:
    """A record of plain strings: one user turn, and one assistant turn a response.

    Args:
      prompt: What the user says.
      responses: What the assistant may answer.
      labels: Objective to its labels.
      source: The data set that the record comes from.
      id: Which row of it.
      subset: Which part of the data set.

    Examples:
      >>> plain_record("Hello?", ["Hi."]).responses[0][0]
      Message(role='assistant', content='Hi.', name=None, tool_calls=(),
              tool_call_id=None)
    """
    return Record(
        prompt=(Message("user", prompt),),
        responses=tuple((Message("assistant", text),) for text in responses),
        labels=dict(labels or {}),
        source=source,
        id=id,
        subset=subset,
    )


def label_faults(labels: Labels) -> Iterator[Fault]:
    """What is wrong with labels, before it is known which responses they are about."""
    yield from score_faults(labels.scores)
    yield from _instances("pairs", labels.pairs, Pair)
    yield from ranking_faults(labels.ranking)
    for key, values in _span_lists(labels):
        yield from list_faults(key, values, "lists of spans or null")
        for place, spans in enumerate(values if isinstance(values, tuple) else ()):
            if spans is not None:
                yield from _instances(f"{key}[{place}]", spans, Span)
    yield from critique_faults(labels.critiques)


def record_faults(record: Record) -> Iterator[Fault]:
    """What is wrong with a record whose messages and labels are sound by themselves."""
    yield from _instances("prompt", record.prompt, Message)
    if not record.prompt:
        yield Fault("prompt", "no messages", "at least one")
    if not isinstance(record.responses, tuple):
        yield Fault("responses", shown(record.responses), "a tuple of responses")
        return
    for place, response in enumerate(record.responses):
        wrong = list(_instances(f"responses[{place}]", response, Message))
        yield from wrong or response_faults(place, response)
    if not isinstance(record.labels, Mapping):
        yield Fault("labels", shown(record.labels), "a mapping of objective to Labels")
        return
    for objective, labels in record.labels.items():
        yield from objective_faults(objective)
        if isinstance(labels, Labels):
            faults = fit_faults(labels, record.responses)
            yield from under(f"labels.{objective}", faults)
        else:
            yield Fault(f"labels.{objective}", shown(labels), "Labels")
    named = (("source", record.source), ("id", record.id), ("subset", record.subset))
    for key, value in named:
        if not isinstance(value, str):
            yield Fault(key, shown(value), "text")


def response_faults(place: int, response: Sequence[Message]) -> Iterator[Fault]:
    """What is wrong with the turns of one response."""
    if not any(message.role == "assistant" for message in response):
        roles = ", ".join(message.role for message in response) or "no messages"
        yield Fault(f"responses[{place}]", roles, "at least one turn by the assistant")


def objective_faults(objective: Any) -> Iterator[Fault]:
    """What is wrong with the name of an objective."""
    if not isinstance(objective, str) or not objective.strip():
        yield Fault("labels", shown(objective), "the name of an objective")


def fit_faults(
    labels: Labels, responses: Sequence[Sequence[Message] | None]
) -> Iterator[Fault]:
    """Labels that do not fit the responses they are about.

    Args:
      labels: Sound by themselves.
      responses: Their turns; None for a response that cannot be read, whose spans are
        then not looked at.
    """
    count = len(responses)
    for key, values in (
        ("scores", labels.scores),
        *_span_lists(labels),
        ("critiques", labels.critiques),
    ):
        if values is not None and len(values) != count:
            expected = f"{count}, the number of responses"
            yield Fault(key, f"{len(values)} entries", expected)
    indices = [
        (f"pairs[{place}].{key}", index)
        for place, pair in enumerate(labels.pairs)
        for key, index in (("better", pair.better), ("worse", pair.worse))
    ] + [
        (f"ranking[{place}][{inner}]", index)
        for place, group in enumerate(labels.ranking)
        for inner, index in enumerate(group)
    ]
    for key, index in indices:
        if index >= count:
            expected = f"an index below {count}, the number of responses"
            yield Fault(key, shown(index), expected)
    for key, values in _span_lists(labels):
        # Lists of unequal length were reported above; look at what they share.
        for place, (spans, response) in enumerate(
            zip(values or (), responses, strict=False)
        ):
            if spans is not None and response is not None:
                faults = _span_fit_faults(spans, response)
                yield from under(f"{key}[{place}]", faults)


def _span_fit_faults(
    spans: Sequence[Span], response: Sequence[Message]
) -> Iterator[Fault]:
    for place, span in enumerate(spans):
        if span.message >= len(response):
            expected = f"an index below {len(response)}, the number of messages"
            yield Fault(f"[{place}].message", shown(span.message), expected)
        elif span.end > len(response[span.message].content):
            length = len(response[span.message].content)
            expected = f"at most {length}, the length of the message"
            yield Fault(f"[{place}].end", shown(span.end), expected)


def _span_lists(labels: Labels) -> tuple[tuple[str, Spans | None], ...]:
    return (
        ("token_scores", labels.token_scores),
        ("step_scores", labels.step_scores),
    )


def _instances(key: str, values: Any, kind: type) -> Iterator[Fault]:
    """Faults of a value that should be a tuple of one kind of thing."""
    if not isinstance(values, tuple):
        yield Fault(key, shown(values), f"a tuple of {kind.__name__}")
        return
    for place, value in enumerate(values):
        if not isinstance(value, kind):
            yield Fault(f"{key}[{place}]", shown(value), kind.__name__)
