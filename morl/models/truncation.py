"""What is cut when prompt and response do not fit, and what is refused."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Int32

from morl.errors import InputError

Turns: TypeAlias = list[dict[str, Any]]
TokenisedResponse: TypeAlias = tuple[list[int], list[bool]]

_INSTRUCTING = ("system", "developer")


class EncodedRecord(NamedTuple):
    """A prompt and its responses as tokens.

    Attributes:
      prompt: Tokens of the prompt, ending with the opening of an assistant turn.
      responses: Tokens of each response, ending with its end-of-turn token.
      own: For each response, which of its tokens the assistant wrote; tool turns and
        the openings of later turns are not.
      dropped_messages: How many of the prompt's messages were dropped to make room.
      cut_prompt_tokens: How many tokens were then cut from the prompt's left.
    """

    prompt: Int32[np.ndarray, " p"]
    responses: tuple[Int32[np.ndarray, " r"], ...]
    own: tuple[Bool[np.ndarray, " r"], ...]
    dropped_messages: int = 0
    cut_prompt_tokens: int = 0


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


def cut_record(
    truncation: Truncation,
    turns: Turns,
    responses: Sequence[TokenisedResponse],
    encode: Callable[[Turns], Int32[np.ndarray, " _"]],
    bos: int | None,
) -> EncodedRecord:
    """A prompt and its responses within the policy; they share what the prompt gives.

    Args:
      truncation: The policy.
      turns: The prompt.
      responses: Tokens of each response, and which of them the assistant wrote.
      encode: Tokens of a prompt with the opening of the assistant's turn.
      bos: The token that begins every text, if any.

    Raises:
      InputError: A response leaves no token for the prompt.
    """
    cut = [
        _cut_response(tokens, own, truncation, f"responses[{index}]")
        for index, (tokens, own) in enumerate(responses)
    ]
    room = truncation.max_tokens - max((len(tokens) for tokens, _ in cut), default=0)
    kept, prompt = turns, encode(turns)
    for shorter in _without_oldest(turns):
        if len(prompt) <= room:
            break
        kept, prompt = shorter, encode(shorter)
    lost = max(len(prompt) - room, 0)
    if lost:
        prompt = prompt[lost:]
        if bos is not None:
            prompt[0] = bos
    return EncodedRecord(
        prompt,
        tuple(np.asarray(tokens, np.int32) for tokens, _ in cut),
        tuple(np.asarray(own, bool) for _, own in cut),
        len(turns) - len(kept),
        lost,
    )


def _without_oldest(turns: Turns) -> Iterator[Turns]:
    """Ever shorter prompts: the system turn, then all from a later user turn on."""
    first = next(
        (i for i, turn in enumerate(turns) if turn["role"] not in _INSTRUCTING),
        len(turns),
    )
    for start in range(first + 1, len(turns)):
        if turns[start]["role"] == "user":
            yield turns[:first] + turns[start:]


def _cut_response(
    tokens: list[int], own: list[bool], truncation: Truncation, where: str
) -> TokenisedResponse:
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
