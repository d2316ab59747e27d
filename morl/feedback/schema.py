"""Records as JSON objects: the schema that ``docs/feedback-format.md`` explains.

What is wrong with an object is found in one pass that never stops at the first fault;
a record is built only from an object without any.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from morl.feedback.faults import (
    Fault,
    critique_faults,
    is_finite,
    is_list,
    list_faults,
    message_faults,
    pair_faults,
    ranking_faults,
    score_faults,
    shown,
    span_faults,
    under,
)
from morl.feedback.records import (
    Labels,
    Message,
    Pair,
    Record,
    Span,
    Spans,
    fit_faults,
    objective_faults,
    response_faults,
)

RECORD_KEYS = ("prompt", "responses", "labels", "source", "id", "subset")
MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")
PAIR_KEYS = ("better", "worse", "strength")
SPAN_KEYS = ("start", "end", "score", "message")
LABEL_KEYS = (
    "scores",
    "pairs",
    "ranking",
    "token_scores",
    "step_scores",
    "critiques",
)

Faults = list[Fault]


def to_json(record: Record) -> dict[str, Any]:
    """A record as a JSON object; what is absent or has its default is left out.

    Examples:
      >>> from morl.feedback import plain_record
      >>> labels = {"helpful": Labels(pairs=(Pair(1, 0),))}
      >>> to_json(plain_record("2 + 2?", ["5", "4"], labels))
      {'prompt': '2 + 2?', 'responses': ['5', '4'],
       'labels': {'helpful': {'pairs': [{'better': 1, 'worse': 0}]}}}
    """
    row: dict[str, Any] = {
        "prompt": _turns_to_json(record.prompt, "user"),
        "responses": [_turns_to_json(r, "assistant") for r in record.responses],
    }
    if record.labels:
        row["labels"] = {k: _labels_to_json(v) for k, v in record.labels.items()}
    named = {"source": record.source, "id": record.id, "subset": record.subset}
    return row | {key: name for key, name in named.items() if name}


def from_json(row: Any) -> tuple[Record | None, list[Fault]]:
    """The record that a JSON object stands for, or all that is wrong with it.

    Args:
      row: What a line of a JSONL file holds.

    Returns:
      The record and no faults, or None and at least one.

    Examples:
      >>> from_json({"prompt": "Hello?", "responses": "Hi."})[1]
      [Fault(key='responses', found="'Hi.'", expected='a list of responses')]
    """
    faults: Faults = list(_key_faults(row, RECORD_KEYS, ("prompt", "responses")))
    if not isinstance(row, Mapping):
        return None, faults
    prompt = _turns(row.get("prompt"), "user", "prompt", faults, "prompt" in row)
    responses = _responses(row, faults)
    labels = _all_labels(row, responses, faults)
    for key in ("source", "id", "subset"):
        if not isinstance(row.get(key, ""), str):
            faults.append(Fault(key, shown(row[key]), "text"))
    if faults or prompt is None:
        return None, faults
    turns = tuple(response for response in responses if response is not None)
    source, id, subset = (row.get(key, "") for key in ("source", "id", "subset"))
    return Record(prompt, turns, labels, source, id, subset), []


def _turns_to_json(turns: Sequence[Message], role: str) -> str | list[dict[str, Any]]:
    if len(turns) == 1 and turns[0] == Message(role, turns[0].content):
        return turns[0].content
    return [_message_to_json(message) for message in turns]


def _message_to_json(message: Message) -> dict[str, Any]:
    row: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        row["name"] = message.name
    if message.tool_calls:
        row["tool_calls"] = list(message.tool_calls)
    if message.tool_call_id is not None:
        row["tool_call_id"] = message.tool_call_id
    return row


def _labels_to_json(labels: Labels) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if labels.scores is not None:
        row["scores"] = list(labels.scores)
    if labels.pairs:
        row["pairs"] = [_pair_to_json(pair) for pair in labels.pairs]
    if labels.ranking:
        row["ranking"] = [list(group) for group in labels.ranking]
    if labels.token_scores is not None:
        row["token_scores"] = [_spans_to_json(s) for s in labels.token_scores]
    if labels.step_scores is not None:
        row["step_scores"] = [_spans_to_json(s) for s in labels.step_scores]
    if labels.critiques is not None:
        row["critiques"] = list(labels.critiques)
    return row


def _pair_to_json(pair: Pair) -> dict[str, Any]:
    row: dict[str, Any] = {"better": pair.better, "worse": pair.worse}
    return row if pair.strength == 1 else {**row, "strength": pair.strength}


def _spans_to_json(spans: tuple[Span, ...] | None) -> list[dict[str, Any]] | None:
    if spans is None:
        return None
    rows = []
    for span in spans:
        row = {"start": span.start, "end": span.end, "score": span.score}
        rows.append({**row, "message": span.message} if span.message else row)
    return rows


def _key_faults(
    value: Any, known: Sequence[str], required: Sequence[str]
) -> Iterator[Fault]:
    """A value that is no object, keys that nobody reads, keys that are missing."""
    if not isinstance(value, Mapping):
        yield Fault("", shown(value), f"an object with {', '.join(required or known)}")
        return
    for key in value:
        if key not in known:
            yield Fault(str(key), "an unknown key", f"one of {', '.join(known)}")
    for key in required:
        if key not in value:
            yield Fault(key, "nothing", "this key")


def _sound(
    value: Any,
    key: str,
    keys: tuple[Sequence[str], Sequence[str]],
    field_faults: Iterable[Fault],
    faults: Faults,
) -> bool:
    """Whether an object has the right keys and sound fields; lists its faults."""
    wrong = list(_key_faults(value, *keys))
    if isinstance(value, Mapping):
        # A key that is missing was reported as such, not as holding nothing.
        wrong += [f for f in field_faults if f.key.split("[")[0] in value]
    faults.extend(under(key, wrong))
    return not wrong


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _message(value: Any, key: str, faults: Faults) -> Message | None:
    row = _mapping(value)
    calls, content = row.get("tool_calls", ()), row.get("content")
    # Trainers write null as the text of a turn that only calls tools.
    fields: tuple[Any, ...] = (
        row.get("role"),
        "" if content is None and calls else content,
        row.get("name"),
        tuple(calls) if is_list(calls) else calls,
        row.get("tool_call_id"),
    )
    keys = (MESSAGE_KEYS, ("role", "content"))
    if not _sound(value, key, keys, message_faults(*fields), faults):
        return None
    return Message(*fields)


def _pair(value: Any, key: str, faults: Faults) -> Pair | None:
    row = _mapping(value)
    fields: tuple[Any, ...] = (
        row.get("better"),
        row.get("worse"),
        _number(row.get("strength", 1.0)),
    )
    keys = (PAIR_KEYS, ("better", "worse"))
    if not _sound(value, key, keys, pair_faults(*fields), faults):
        return None
    return Pair(*fields)


def _span(value: Any, key: str, faults: Faults) -> Span | None:
    row = _mapping(value)
    fields: tuple[Any, ...] = (
        row.get("start"),
        row.get("end"),
        _number(row.get("score")),
        row.get("message", 0),
    )
    keys = (SPAN_KEYS, ("start", "end", "score"))
    if not _sound(value, key, keys, span_faults(*fields), faults):
        return None
    return Span(*fields)


def _turns(
    value: Any, role: str, key: str, faults: Faults, present: bool = True
) -> tuple[Message, ...] | None:
    """The turns of a prompt or a response; a string is one turn."""
    if isinstance(value, str):
        return (Message(role, value),)
    if not present:  # said already: a key is missing
        return None
    if not is_list(value) or not value:
        faults.append(Fault(key, shown(value), "text, or a list of messages"))
        return None
    turns = [_message(m, f"{key}[{n}]", faults) for n, m in enumerate(value)]
    sound = tuple(turn for turn in turns if turn is not None)
    return sound if len(sound) == len(turns) else None


def _responses(
    row: Mapping[str, Any], faults: Faults
) -> list[tuple[Message, ...] | None]:
    values = row.get("responses", [])
    if not is_list(values):
        faults.append(Fault("responses", shown(values), "a list of responses"))
        return []
    responses = []
    for place, value in enumerate(values):
        turns = _turns(value, "assistant", f"responses[{place}]", faults)
        faults.extend(response_faults(place, turns) if turns is not None else ())
        responses.append(turns)
    return responses


def _all_labels(
    row: Mapping[str, Any],
    responses: Sequence[tuple[Message, ...] | None],
    faults: Faults,
) -> dict[str, Labels]:
    values = row.get("labels", {})
    if not isinstance(values, Mapping):
        expected = "an object: objective to labels"
        faults.append(Fault("labels", shown(values), expected))
        return {}
    made = {}
    for objective, value in values.items():
        key = f"labels.{objective}"
        faults.extend(objective_faults(objective))
        labels = _labels(value, key, faults)
        if labels is not None:
            # Without a list of responses there is nothing to compare indices with.
            if is_list(row.get("responses")):
                faults.extend(under(key, fit_faults(labels, responses)))
            made[objective] = labels
    return made


def _labels(value: Any, key: str, faults: Faults) -> Labels | None:
    wrong = list(_key_faults(value, LABEL_KEYS, ()))
    if not isinstance(value, Mapping):
        faults.extend(under(key, wrong))
        return None
    scores, ranking = value.get("scores"), value.get("ranking", ())
    critiques = value.get("critiques")
    wrong += [
        *score_faults(scores),
        *ranking_faults(ranking),
        *critique_faults(critiques),
    ]
    pairs = _pairs(value.get("pairs", ()), wrong)
    token_scores = _span_lists(value.get("token_scores"), "token_scores", wrong)
    step_scores = _span_lists(value.get("step_scores"), "step_scores", wrong)
    if wrong:
        faults.extend(under(key, wrong))
        return None
    return Labels(
        scores=None if scores is None else tuple(_number(s) for s in scores),
        pairs=pairs,
        ranking=tuple(tuple(group) for group in ranking),
        token_scores=token_scores,
        step_scores=step_scores,
        critiques=None if critiques is None else tuple(critiques),
    )


def _pairs(values: Any, faults: Faults) -> tuple[Pair, ...]:
    if not is_list(values):
        faults.append(Fault("pairs", shown(values), "a list of pairs"))
        return ()
    pairs = [_pair(p, f"pairs[{n}]", faults) for n, p in enumerate(values)]
    return tuple(pair for pair in pairs if pair is not None)


def _span_lists(values: Any, key: str, faults: Faults) -> Spans | None:
    faults.extend(list_faults(key, values, "lists of spans or null"))
    if not is_list(values):
        return None
    lists: list[tuple[Span, ...] | None] = []
    for place, spans in enumerate(values):
        if spans is not None and not is_list(spans):
            expected = "a list of spans or null"
            faults.append(Fault(f"{key}[{place}]", shown(spans), expected))
            spans = None
        lists.append(None if spans is None else _spans(spans, key, place, faults))
    return tuple(lists)


def _spans(
    values: Sequence[Any], key: str, place: int, faults: Faults
) -> tuple[Span, ...]:
    spans = [_span(s, f"{key}[{place}][{n}]", faults) for n, s in enumerate(values)]
    return tuple(span for span in spans if span is not None)


def _number(value: Any) -> Any:
    """An integer that JSON wrote for a number as the float it stands for."""
    return float(value) if is_finite(value) else value
