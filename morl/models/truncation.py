"""What is cut when prompt and response do not fit, and what is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from morl.errors import InputError

_INSTRUCTING = ("system", "developer")


@dataclass(frozen=True)
class Truncation:
    """What is cut when prompt and response do not fit, and what is refused.

    The prompt gives way first: its oldest turns are dropped whole (a user message with
    all that answers it), never the system turn nor the last turn; if that is not
    enough, tokens are cut from the left of what remains, BOS kept. A response is never
    cut unless ``response_tokens`` says so; one that leaves no room for a token of its
    prompt is refused.

    Args:
      max_tokens: Most tokens of a prompt together with any one of its responses.
      response_tokens: Most tokens of a response; the rest is cut from its right, and
        with it the end-of-turn token, as in generation that ran out of room. ``None``
        cuts no response.
    """

    max_tokens: int
    response_tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuses limits that leave no token for the prompt or for a response."""
        if self.max_tokens < 2:
            raise InputError(
                f"found {self.max_tokens}, expected at least 2", where="max_tokens"
            )
        limit = self.response_tokens
        if limit is not None and not 1 <= limit < self.max_tokens:
            raise InputError(
                f"found {limit}, expected 1 to {self.max_tokens - 1} (max_tokens less "
                "a token of the prompt)",
                where="response_tokens",
            )


def without_oldest(turns: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Ever shorter prompts: the system turn, then all from a later user turn on."""
    first = next(
        (i for i, turn in enumerate(turns) if turn["role"] not in _INSTRUCTING),
        len(turns),
    )
    for start in range(first + 1, len(turns)):
        if turns[start]["role"] == "user":
            yield turns[:first] + turns[start:]


def cut_response(
    tokens: list[int], own: list[bool], truncation: Truncation, where: str
) -> tuple[list[int], list[bool]]:
    """A response within the policy, cut from its right where that was asked for."""
    limit = truncation.response_tokens
    if limit is not None:
        tokens, own = tokens[:limit], own[:limit]
    if len(tokens) >= truncation.max_tokens:
        raise InputError(
            f"the response has {len(tokens)} tokens, which leaves none of max_tokens "
            f"{truncation.max_tokens} for its prompt; raise max_tokens, drop the "
            "response, or let response_tokens cut it",
            where=where,
        )
    return tokens, own
