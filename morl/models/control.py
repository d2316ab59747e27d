"""Control tokens in text: those a template writes count, those a user writes do not."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from morl.models.templates import json_text, unused_characters
from morl.types import Json


@dataclass(frozen=True)
class ControlToken:
    """A token that is matched in text as a whole, before anything is merged.

    Args:
      text: What it is written as.
      id: Its row in the vocabulary.
      special: Whether it steers the model and is no text of its own.
      strip_left: Whether it swallows the white space before it.
      strip_right: Whether it swallows the white space after it.
    """

    text: str
    id: int
    special: bool = True
    strip_left: bool = False
    strip_right: bool = False


class Disguised(NamedTuple):
    """A conversation in which no message can be read as a control token.

    Attributes:
      messages: The messages, with one character of each look-alike exchanged.
      tools: The tools, likewise.
      originals: Each stand-in character to what it stands for.
    """

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    originals: Mapping[str, str]

    def restore(self, text: str) -> str:
        """Puts the original characters back, also where a template escaped them."""
        for stand_in in self.originals.keys() & set(text):
            text = text.replace(stand_in, self.originals[stand_in])
        if "\\ue" in text or "\\uf" in text:
            for stand_in, original in self.originals.items():
                text = text.replace(f"\\u{ord(stand_in):04x}", original)
        return text


@dataclass(frozen=True)
class ControlTokens:
    """The control tokens of a vocabulary, and how to tell them from look-alikes.

    Message text is *disguised* before the template is rendered: one character of every
    look-alike is exchanged for a private-use character of which the conversation has
    none, so lengths and the template's own tests on the text stay as they are. What is
    found in the rendering afterwards was written by the template.

    Args:
      tokens: All tokens that are matched as a whole.
      reserved: Texts of tokens that are not special but that the template writes, such
        as ``<tool_call>``: the assistant may write them, no other role may.
    """

    tokens: tuple[ControlToken, ...]
    reserved: frozenset[str] = frozenset()

    @cached_property
    def _by_text(self) -> dict[str, int]:
        return {token.text: token.id for token in self.tokens}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.tokens, key=lambda token: -len(token.text))
        wholes = (
            (r"\s*" if token.strip_left else "")
            + re.escape(token.text)
            + (r"\s*" if token.strip_right else "")
            for token in longest_first
        )
        return re.compile("|".join(wholes) or r"(?!)")

    @cached_property
    def _special(self) -> "_Lookalikes":
        return _Lookalikes(tuple(token.text for token in self.tokens if token.special))

    @cached_property
    def _guarded(self) -> "_Lookalikes":
        return _Lookalikes((*self._special.texts, *sorted(self.reserved)))

    def find(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Id, start and end of each control token, leftmost and longest first."""
        for match in self._pattern.finditer(text):
            found = match[0] if match[0] in self._by_text else match[0].strip()
            yield self._by_text[found], match.start(), match.end()

    def split(self, text: str) -> Iterator[str | int]:
        """The text's pieces in order: plain strings, and ids of control tokens.

        Examples:
          >>> control = ControlTokens((ControlToken("<end>", 2),))
          >>> list(control.split("a<end>b"))
          ['a', 2, 'b']
        """
        position = 0
        for token, start, end in self.find(text):
            if start > position:
                yield text[position:start]
            yield token
            position = end
        if position < len(text):
            yield text[position:]

    def disguise(self, messages: Sequence[Json], tools: Sequence[Json]) -> Disguised:
        """Exchanges a character of whatever could be read as a control token.

        Whole look-alikes are found in every string; in ``content`` also parts at
        either end, which a neighbouring text of the template could complete.

        Raises:
          InputError: A message is not JSON.
        """
        known = json_text([list(messages), list(tools)])
        alphabet = sorted(set("".join(self._guarded.texts)))
        stand_ins = dict(
            zip(alphabet, unused_characters(known, len(alphabet)), strict=True)
        )
        plain_messages, plain_tools = json.loads(known)
        return Disguised(
            [self._disguise_message(message, stand_ins) for message in plain_messages],
            [self._guarded.hide(tool, stand_ins) for tool in plain_tools],
            {stand_in: original for original, stand_in in stand_ins.items()},
        )

    def _disguise_message(
        self, message: dict[str, Any], stand_ins: Mapping[str, str]
    ) -> dict[str, Any]:
        own = message.get("role") == "assistant"
        lookalikes = self._special if own else self._guarded
        hidden = lookalikes.hide(message, stand_ins)
        if isinstance(hidden.get("content"), str):
            hidden["content"] = lookalikes.hide_ends(hidden["content"], stand_ins)
        return hidden


@dataclass(frozen=True)
class _Lookalikes:
    """Texts that must not be found in a message."""

    texts: tuple[str, ...]

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        """Proper parts that template text to their right could complete."""
        return frozenset(text[:n] for text in self.texts for n in range(1, len(text)))

    @cached_property
    def _endings(self) -> frozenset[str]:
        """Proper parts that template text to their left could complete."""
        return frozenset(text[n:] for text in self.texts for n in range(1, len(text)))

    @cached_property
    def _longest(self) -> int:
        return max((len(text) for text in self.texts), default=0)

    def hide(self, value: Any, stand_ins: Mapping[str, str]) -> Any:
        """Disguises whole look-alikes in every string of a JSON value."""
        if isinstance(value, str):
            letters = list(value)
            for text in self.texts:
                start = value.find(text)
                while start >= 0:
                    letters[start] = stand_ins[text[0]]
                    start = value.find(text, start + 1)
            return "".join(letters)
        if isinstance(value, list):
            return [self.hide(entry, stand_ins) for entry in value]
        if isinstance(value, dict):
            return {
                self.hide(key, stand_ins): self.hide(entry, stand_ins)
                for key, entry in value.items()
            }
        return value

    def hide_ends(self, text: str, stand_ins: Mapping[str, str]) -> str:
        """Disguises parts of look-alikes at the two ends of a text, or all of it."""
        letters = list(text)
        for length in range(1, min(len(text), self._longest) + 1):
            start = len(text) - length
            if text[start:] in self._beginnings:
                letters[start] = stand_ins[text[start]]
            if text[:length] in self._endings:
                letters[0] = stand_ins[text[0]]
        if text and any(text in whole for whole in self.texts):
            letters[0] = stand_ins[text[0]]
        return "".join(letters)
