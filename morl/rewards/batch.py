"""What every source of rewards reads, and what it gives back.

A batch is flat: row ``i`` is one response to one prompt. The caller who samples
several responses a prompt lays them out one after another and reshapes the rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int

from morl.errors import InputError
from morl.feedback import Message, Record
from morl.types import Json

Messages: TypeAlias = tuple[Message, ...]
Reference: TypeAlias = str | tuple[str, ...] | None


class LogProbs(NamedTuple):
    """Log-probabilities of the same tokens under a policy and its reference."""

    policy: Float[Array | np.ndarray, "n t"]
    reference: Float[Array | np.ndarray, "n t"]


@dataclass(frozen=True)
class Row:
    """One response with everything that was said about it."""

    prompt: Messages
    response: Messages
    reference: Reference = None
    metadata: Json = field(default_factory=dict)

    @property
    def prompt_text(self) -> str:
        """The contents of all prompt messages, one a line."""
        return "\n".join(message.content for message in self.prompt)

    @property
    def text(self) -> str:
        """What the assistant wrote: its messages, one a line; no tool output."""
        return response_text(self.response)


@dataclass(frozen=True)
class TextBatch:
    """Responses to score, and what their sources need; made by :func:`text_batch`.

    Attributes:
      prompts: The messages each response answers.
      responses: The messages of each response.
      references: What a correct answer would be, one string or several a row; None
        where a row has none, empty where no row has.
      metadata: Anything else a callable may read, one mapping a row, or empty.
      tokens: Token ids, ``[n, t]``.
      mask: True at the tokens of the response (its end-of-turn token included), False
        at prompt and padding.
      embeddings: One vector a response, ``[n, d]``, from text, image or anything else.
      log_probs: By reward name, for implicit rewards; along the axis of ``mask``.
    """

    prompts: tuple[Messages, ...]
    responses: tuple[Messages, ...]
    references: tuple[Reference, ...] = ()
    metadata: tuple[Json, ...] = ()
    tokens: Int[Array | np.ndarray, "n t"] | None = None
    mask: Bool[Array | np.ndarray, "n t"] | None = None
    embeddings: Float[Array | np.ndarray, "n d"] | None = None
    log_probs: Mapping[str, LogProbs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses columns that do not have one row a prompt."""
        n = len(self)
        arrays = {
            "tokens": self.tokens,
            "mask": self.mask,
            "embeddings": self.embeddings,
            **{f"log_probs[{k!r}]": v.policy for k, v in self.log_probs.items()},
        }
        sizes = {
            "responses": len(self.responses),
            "references": len(self.references) or n,
            "metadata": len(self.metadata) or n,
            **{k: v.shape[0] for k, v in arrays.items() if v is not None},
        }
        for name, found in sizes.items():
            if found != n:
                raise InputError(
                    f"found {found} rows, expected {n}, one a prompt",
                    where=f"TextBatch.{name}",
                )

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.prompts)

    @property
    def texts(self) -> list[str]:
        """What the assistant wrote in each row; tool output is left out."""
        return [response_text(response) for response in self.responses]

    def row(self, index: int) -> Row:
        """One row of the batch."""
        return Row(
            self.prompts[index],
            self.responses[index],
            self.references[index] if self.references else None,
            self.metadata[index] if self.metadata else {},
        )


@dataclass(frozen=True)
class Scored:
    """What one source says about a batch.

    Attributes:
      values: One raw value a row; NaN where absent, so that forgetting the mask shows.
      present: Where there is a value.
      explanations: Why each value is what it is, or why it is absent.
      critiques: What a judge wrote beside its score, empty where it wrote nothing;
        without entries for sources that never write.
      failures: How often each kind of failure made a row absent.
    """

    values: Float32[np.ndarray, " n"]
    present: Bool[np.ndarray, " n"]
    explanations: tuple[str, ...]
    critiques: tuple[str, ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Scorer(Protocol):
    """A source that scores a batch on the host: a frozen dataclass with a name."""

    @property
    def name(self) -> str:
        """What the source is called."""
        ...

    def score(self, batch: TextBatch) -> Scored:
        """One value a row, which rows have one, and why."""
        ...


def text_batch(
    prompts: Sequence[str | Sequence[Message]],
    responses: Sequence[str | Sequence[Message]],
    *,
    references: Sequence[Reference] = (),
    metadata: Sequence[Json] = (),
) -> TextBatch:
    """A batch of texts; plain strings are one-turn messages.

    Args:
      prompts: A string or messages a row.
      responses: A string or messages a row.
      references: What a correct answer would be, a row; empty where there are none.
      metadata: What callables may read besides, a row.

    Raises:
      InputError: The lengths differ.

    Examples:
      >>> text_batch(["Say hi"], ["Hi!"]).texts
      ['Hi!']
    """
    return TextBatch(
        tuple(_messages(prompt, "user") for prompt in prompts),
        tuple(_messages(response, "assistant") for response in responses),
        tuple(references),
        tuple(metadata),
    )


def record_batch(records: Sequence[Record]) -> TextBatch:
    """Every response of every record, one after another."""
    rows = [(record, response) for record in records for response in record.responses]
    return TextBatch(
        tuple(record.prompt for record, _ in rows),
        tuple(response for _, response in rows),
        metadata=tuple(
            {"id": record.id, "source": record.source} for record, _ in rows
        ),
    )


def response_text(response: Sequence[Message]) -> str:
    """The assistant's messages, one a line; tool output is not the assistant's."""
    return "\n".join(m.content for m in response if m.role == "assistant")


def scored(
    values: Sequence[float | None],
    explanations: Sequence[str],
    *,
    critiques: Sequence[str] = (),
    failures: Mapping[str, int] | None = None,
) -> Scored:
    """Packs one value a row, None where absent.

    Examples:
      >>> scored([1.0, None], ["1 word", "empty"]).present.tolist()
      [True, False]
    """
    filled = [np.nan if value is None else value for value in values]
    return Scored(
        np.asarray(filled, np.float32).reshape(len(filled)),
        np.asarray([value is not None for value in values], bool),
        tuple(explanations),
        tuple(critiques),
        failures or {},
    )


def _messages(given: str | Sequence[Message], role: str) -> Messages:
    return (Message(role, given),) if isinstance(given, str) else tuple(given)
