"""Splits by prompt that no reordering and no new row can disturb."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence

from morl.errors import InputError
from morl.feedback.records import Message, Record


def prompt_key(record: Record) -> str:
    """SHA-256 of the messages of the prompt, in hexadecimal: equal prompts, equal key.

    Every field of every message counts, and nothing else of the record.

    Examples:
      >>> from morl.feedback import plain_record
      >>> prompt_key(plain_record("Hello?", ["Hi."]))[:16]
      '5e33909c3d925eab'
    """
    return _digest(record.prompt, lambda text: text)


def opening_key(record: Record) -> str:
    """SHA-256 of the opening of the prompt, its turns up to the first by the user.

    What :func:`split_by_prompt` keeps together has one key, so that it is also what
    intervals draw as one. White space and case do not count.

    Examples:
      >>> from morl.feedback import plain_record
      >>> one, other = (plain_record(q, []) for q in ("Hello?", "hello? "))
      >>> opening_key(one) == opening_key(other)
      True
    """
    normal = lambda text: " ".join(text.split()).casefold()
    return _digest(_opening(record.prompt), normal)


def split_by_prompt(
    records: Sequence[Record], fractions: Mapping[str, float], *, seed: int
) -> dict[str, list[Record]]:
    """Splits records so that all that share a prompt, or its opening, go the same way.

    The opening of a prompt, its turns up to the first by the user, is hashed with the
    seed to a number in [0, 1), and the fractions cut that interval in their order. A
    record's part therefore depends on nothing but its prompt, the seed and the
    fractions: not on the order of rows, nor on which other rows there are. Parts have
    the given sizes on average, not exactly. Openings that differ only in white space or
    in case count as one.

    By its opening, because a dialogue may be in the data at several depths: the prompt
    of one row then contains the response that was chosen in another. In HH-RLHF's
    helpful-base test part this holds for 146 of 2,352 rows, and by whole prompts they
    would fall on both sides of a split.

    Args:
      records: What to split.
      fractions: Name to share, each in (0, 1], together 1.
      seed: Another seed, another split.

    Returns:
      Name to records, in the order that they came in.

    Raises:
      InputError: The fractions are not shares of one whole.

    Examples:
      >>> from morl.feedback import plain_record
      >>> records = [plain_record(f"What is {n} + {n}?", ["?"]) for n in range(1000)]
      >>> parts = split_by_prompt(records, {"train": 0.8, "test": 0.2}, seed=0)
      >>> {name: len(part) for name, part in parts.items()}
      {'train': 801, 'test': 199}
    """
    _check_fractions(fractions)
    parts: dict[str, list[Record]] = {name: [] for name in fractions}
    for record in records:
        parts[_part(_position(record, seed), fractions)].append(record)
    return parts


def _check_fractions(fractions: Mapping[str, float]) -> None:
    if not fractions:
        raise InputError("found none, expected one or more", where="fractions")
    for name, share in fractions.items():
        if not (math.isfinite(share) and 0 < share <= 1):
            raise InputError(
                f"found {share}, expected a share above 0 and at most 1",
                where=f"fractions.{name}",
            )
    total = math.fsum(fractions.values())
    if not math.isclose(total, 1, abs_tol=1e-6):
        raise InputError(f"found a sum of {total:.6g}, expected 1", where="fractions")


def _position(record: Record, seed: int) -> float:
    """The place of a prompt in [0, 1): 53 bits of a hash, as many as a float holds."""
    digest = hashlib.sha256(f"{seed}:{opening_key(record)}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def _part(position: float, fractions: Mapping[str, float]) -> str:
    edge = 0.0
    for name, share in fractions.items():
        edge += share
        if position < edge:
            return name
    return list(fractions)[-1]  # the sum of the shares may round to just below 1


def _opening(prompt: Sequence[Message]) -> Sequence[Message]:
    """The turns up to the first by the user; all of them where there is none."""
    for place, message in enumerate(prompt, 1):
        if message.role == "user":
            return prompt[:place]
    return prompt


def _digest(messages: Sequence[Message], normal: Callable[[str], str]) -> str:
    turns = [_turn(message, normal) for message in messages]
    # ASCII escapes hold any text, even half of a surrogate pair.
    return hashlib.sha256(json.dumps(turns, sort_keys=True).encode()).hexdigest()


def _turn(message: Message, normal: Callable[[str], str]) -> list:
    calls = list(message.tool_calls)
    content = normal(message.content)
    return [message.role, content, message.name, calls, message.tool_call_id]
