"""What is wrong with a value, as data: the one definition of what a record may hold.

A fault is found in two places, when a record is built and when a file is checked, and
both ask the functions here. Keys are written as in the JSONL schema:
``labels.helpful.pairs[0].better``.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from morl.errors import InputError

ROLES = ("system", "developer", "user", "assistant", "tool")
SHOWN = 60  # characters of a found value that a message repeats


class Fault(NamedTuple):
    """One thing wrong: where, what is there, and what should be."""

    key: str
    found: str
    expected: str


def shown(value: Any) -> str:
    """A value as an error message shows it: short, on one line.

    Examples:
      >>> shown("a" * 100)
      "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
      >>> shown({"a": 1})
      "{'a': 1}"
    """
    # A slice first: the value may be a whole dialogue, or a list of a million scores.
    part = value[: 2 * SHOWN] if isinstance(value, str | list | tuple) else value
    text = repr(part)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def under(prefix: str, faults: Iterable[Fault]) -> Iterator[Fault]:
    """The same faults seen from one level up: each key behind a prefix."""
    for fault in faults:
        glue = "" if not fault.key or fault.key.startswith("[") else "."
        yield fault._replace(key=f"{prefix}{glue}{fault.key}")


def raise_first(faults: Iterable[Fault]) -> None:
    """Raises the first fault as an InputError that names its key; or does nothing."""
    for fault in faults:
        raise InputError(
            f"found {fault.found}, expected {fault.expected}", where=fault.key
        )


def is_list(value: Any) -> bool:
    """Whether a value is a list or a tuple, not text or a mapping."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_index(value: Any) -> bool:
    """Whether a value is an integer from 0; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_finite(value: Any) -> bool:
    """Whether a value is a finite number; True and False are not."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of float
        return False


def is_json(value: Any) -> bool:
    """Whether JSON holds a value exactly: it reads back equal to what was written."""
    try:
        return json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError, RecursionError):
        return False


def message_faults(
    role: Any, content: Any, name: Any, tool_calls: Any, tool_call_id: Any
) -> Iterator[Fault]:
    """What is wrong with the fields of a message."""
    if role not in ROLES:
        yield Fault("role", shown(role), f"one of {', '.join(ROLES)}")
    if not isinstance(content, str):
        yield Fault("content", shown(content), "text")
    if name is not None and not isinstance(name, str):
        yield Fault("name", shown(name), "text or nothing")
    if not is_list(tool_calls):
        yield Fault("tool_calls", shown(tool_calls), "a list of JSON objects")
        return
    for place, call in enumerate(tool_calls):
        if not isinstance(call, Mapping) or not is_json(call):
            yield Fault(f"tool_calls[{place}]", shown(call), "a JSON object")
    if tool_calls and role != "assistant":
        yield Fault("tool_calls", f"calls by {shown(role)}", "calls by 'assistant'")
    if tool_call_id is not None and not isinstance(tool_call_id, str):
        yield Fault("tool_call_id", shown(tool_call_id), "text or nothing")
    elif tool_call_id is not None and role != "tool":
        yield Fault("tool_call_id", f"an id by {shown(role)}", "an id by 'tool'")


def pair_faults(better: Any, worse: Any, strength: Any) -> Iterator[Fault]:
    """What is wrong with the fields of a pair."""
    for key, value in (("better", better), ("worse", worse)):
        if not is_index(value):
            yield Fault(key, shown(value), "the index of a response, from 0")
    if is_index(better) and better == worse:
        yield Fault("worse", shown(worse), "another response than better")
    if not is_finite(strength) or strength <= 0:
        yield Fault("strength", shown(strength), "a finite number above 0")


def span_faults(start: Any, end: Any, score: Any, message: Any) -> Iterator[Fault]:
    """What is wrong with the fields of a labelled span."""
    for key, value in (("start", start), ("end", end), ("message", message)):
        if not is_index(value):
            yield Fault(key, shown(value), "an integer from 0")
    if is_index(start) and is_index(end) and end <= start:
        yield Fault("end", shown(end), f"more than start = {start}")
    if not is_finite(score):
        yield Fault("score", shown(score), "a finite number")


def list_faults(key: str, values: Any, what: str) -> Iterator[Fault]:
    """What is wrong with a list that has one entry a response, or is absent."""
    if values is not None and not is_list(values):
        yield Fault(key, shown(values), f"a list of {what}, one a response")


def score_faults(scores: Any) -> Iterator[Fault]:
    """What is wrong with the scores of an objective."""
    yield from list_faults("scores", scores, "numbers or null")
    for place, score in enumerate(scores if is_list(scores) else ()):
        if score is not None and not is_finite(score):
            yield Fault(f"scores[{place}]", shown(score), "a finite number or null")


def ranking_faults(ranking: Any) -> Iterator[Fault]:
    """What is wrong with a ranking: groups of tied responses, best first."""
    if not is_list(ranking):
        yield Fault("ranking", shown(ranking), "a list of lists of response indices")
        return
    seen: set[int] = set()
    for place, group in enumerate(ranking):
        if not is_list(group) or not group:
            yield Fault(
                f"ranking[{place}]", shown(group), "a list of one or more indices"
            )
            continue
        for inner, index in enumerate(group):
            key = f"ranking[{place}][{inner}]"
            if not is_index(index):
                yield Fault(key, shown(index), "the index of a response, from 0")
            elif index in seen:
                yield Fault(key, shown(index), "each response at most once")
            else:
                seen.add(index)


def critique_faults(critiques: Any) -> Iterator[Fault]:
    """What is wrong with the critiques of an objective."""
    yield from list_faults("critiques", critiques, "texts or null")
    for place, critique in enumerate(critiques if is_list(critiques) else ()):
        if critique is not None and not isinstance(critique, str):
            yield Fault(f"critiques[{place}]", shown(critique), "text or null")
