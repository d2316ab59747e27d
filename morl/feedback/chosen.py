"""Rows with ``prompt``, ``chosen`` and ``rejected``, which benchmarks share."""

from collections.abc import Mapping, Sequence
from typing import Any

from morl.errors import InputError
from morl.feedback.faults import is_index, is_list, shown
from morl.feedback.records import Labels, Message, Pair, Record
from morl.feedback.rows import Row, field, maybe_empty_field


def chosen_record(
    row: Row,
    chosen: Sequence[str],
    rejected: Sequence[str],
    objective: str,
    *,
    source: str,
    subset: str,
) -> Record:
    """A record whose chosen responses are each better than each rejected one.

    Args:
      row: With the prompt, and maybe an ``id``; its number stands in for one.
      chosen: Come first among the responses.
      rejected: Come after them.
      objective: What the preference is about.
      source: Name of the benchmark.
      subset: Which part of it.
    """
    texts = (*chosen, *rejected)
    pairs = tuple(
        Pair(better, worse)
        for better in range(len(chosen))
        for worse in range(len(chosen), len(texts))
    )
    return Record(
        prompt=_prompt(row),
        responses=tuple((Message("assistant", text),) for text in texts),
        labels={objective: Labels(pairs=pairs)},
        source=source,
        id=_id(row),
        subset=subset,
    )


def one_text(row: Row, key: str) -> str:
    """The text under a key; of a list of turns, that of the last.

    Raises:
      InputError: There is no such key, or it holds something else.
    """
    value = row.value.get(key) if isinstance(row.value, Mapping) else None
    if is_list(value) and value and isinstance(value[-1], Mapping):
        return maybe_empty_field(
            Row(row.number, f"{row.where}: {key}", value[-1]), "content"
        )
    return maybe_empty_field(row, key)


def many_texts(row: Row, key: str) -> list[str]:
    """The texts listed under a key; one text is a list of one.

    Raises:
      InputError: There is no such key, no text, or something that is no text.
    """
    value = row.value.get(key) if isinstance(row.value, Mapping) else None
    if not is_list(value):
        return [maybe_empty_field(row, key)]
    if not value or not all(isinstance(text, str) for text in value):
        raise InputError(
            f"found {shown(value)}, expected one or more texts",
            where=f"{row.where}: {key}",
        )
    return list(value)


def _prompt(row: Row) -> tuple[Message, ...]:
    value = row.value.get("prompt") if isinstance(row.value, Mapping) else None
    if not is_list(value):
        return (Message("user", field(row, "prompt")),)
    if not value:
        raise InputError("found no turns", where=f"{row.where}: prompt")
    return tuple(_turn(row, place, turn) for place, turn in enumerate(value))


def _turn(row: Row, place: int, turn: Any) -> Message:
    where = f"{row.where}: prompt[{place}]"
    inner = Row(row.number, where, turn)
    role, content = field(inner, "role"), maybe_empty_field(inner, "content")
    try:
        return Message(role, content)
    except InputError as error:
        raise InputError(str(error), where=where) from None


def _id(row: Row) -> str:
    value = row.value.get("id")
    if isinstance(value, str) and value:
        return value
    return str(value) if is_index(value) else str(row.number)
