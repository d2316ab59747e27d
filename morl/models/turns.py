"""Where an assistant's turn begins and ends in what a template renders."""

from collections.abc import Sequence
from typing import NamedTuple

from morl.errors import InputError
from morl.models.control import ControlTokens


class Turn(NamedTuple):
    """An assistant turn in a rendering: its text, its stop token, where that ends."""

    text: str
    stop: int
    end: int


def own_turn(
    opened: str, finished: str, control: ControlTokens, stops: Sequence[int], where: str
) -> Turn:
    """What a finished rendering adds to the opened one, up to its first stop token."""
    added = continuation(opened, finished, where)
    for token, start, end in control.find(added):
        if token in stops:
            return Turn(added[:start], token, len(opened) + end)
    raise InputError(
        f"the chat template ends the turn {excerpt(added)} with none of the stop "
        f"tokens {tuple(stops)}",
        where=where,
    )


def continuation(before: str, after: str, where: str) -> str:
    """What ``after`` adds to ``before``, which must be how it begins."""
    if after.startswith(before):
        return after[len(before) :]
    pairs = zip(before, after, strict=False)
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), len(after))
    raise InputError(
        "the chat template is not stable: it writes the turns so far as "
        f"{excerpt(before[same:])} before the next one, and as "
        f"{excerpt(after[same:])} after it. Set its variables (such as "
        "enable_thinking) so that both agree",
        where=where,
    )


def excerpt(text: str) -> str:
    """A text as error messages show it."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
