"""From chat messages to tokens and back: one tokenizer, one template, one policy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32
from tokenizers import Tokenizer

from morl.errors import InputError
from morl.models.control import ControlToken, ControlTokens, Disguised
from morl.models.gguf_tokenizer import read_gguf
from morl.models.templates import (
    ChatMessage,
    ChatTemplate,
    Messages,
    plain_message,
)
from morl.models.tokenizer import (
    TemplateChoice,
    TokenizerParts,
    read_folder,
    train_parts,
    without_added_tokens,
    write_folder,
)
from morl.models.truncation import (
    EncodedRecord,
    TokenisedResponse,
    Truncation,
    cut_record,
)
from morl.models.turns import continuation, excerpt, own_turn
from morl.types import Json

__all__ = [
    "ChatMessage",
    "ChatTemplate",
    "ChatTokenizer",
    "EncodedRecord",
    "Truncation",
    "load_chat_tokenizer",
    "save_chat_tokenizer",
    "train_chat_tokenizer",
]


@dataclass(frozen=True, eq=False)
class ChatTokenizer:
    """A tokenizer, its chat template, and the tokens that begin a text and end a turn.

    Text of messages is never read as control tokens: a user who writes
    ``<|im_end|>`` has written ten characters. Only what the template writes counts.

    Args:
      tokenizer: Vocabulary, merges and added tokens.
      plain: The same without the added tokens, for text that must not hold any.
      template: The chat template.
      control: The added tokens, which only the template may write.
      stop_ids: Tokens at which generation ends.
      bos: The token that begins every text, for models that were trained with one.
    """

    tokenizer: Tokenizer
    plain: Tokenizer
    template: ChatTemplate
    control: ControlTokens
    stop_ids: tuple[int, ...]
    bos: int | None = None

    @property
    def template_hash(self) -> str:
        """SHA-256 of the template and its variables, saved with every head."""
        return self.template.template_hash

    @property
    def vocab_size(self) -> int:
        """Number of rows that the tokens can index, added tokens included."""
        ids = self.tokenizer.get_vocab(with_added_tokens=True).values()
        return max(ids, default=-1) + 1

    def decode(self, tokens: Sequence[int] | Int32[np.ndarray, " t"]) -> str:
        """Text of tokens; control tokens and rows that only pad the table are left out.

        Raises:
          InputError: A token is negative, as padding may be.
        """
        ids = [int(token) for token in tokens]
        if min(ids, default=0) < 0:
            raise InputError(f"found {min(ids)}, expected 0 or more", where="tokens")
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def encode_prompt(
        self, messages: str | Messages, *, tools: Sequence[Json] = ()
    ) -> Int32[np.ndarray, " t"]:
        """Tokens of a prompt with the opening of the assistant's turn.

        Args:
          messages: The turns; a plain string is one user message.
          tools: JSON schemas of the tools on offer.

        Returns:
          Tokens, with exactly one BOS if the model has one.

        Raises:
          InputError: The template refuses the conversation.
        """
        disguised = self.control.disguise(_plain(messages, "user"), tools)
        text = self._render(disguised, len(disguised.messages), opens=True)
        return self._with_bos(self._encode_rendered(text, disguised))

    def encode_responses(
        self,
        prompt: str | Messages,
        responses: Sequence[str | Messages],
        *,
        max_tokens: int,
        response_tokens: int | None = None,
        tools: Sequence[Json] = (),
    ) -> EncodedRecord:
        """Tokens of a prompt and of each response, as generation would have made them.

        Prompt and response are tokenised apart, at the opening of the assistant's
        turn. A response of text is tokenised as it stands, followed by the token with
        which the template ends the turn; calls of tools, and the turns between the
        assistant's own, are tokenised as the template writes them.

        Args:
          prompt: The turns before the response; a string is one user message.
          responses: Each a string (one assistant message) or messages, of which the
            first and the last are the assistant's.
          max_tokens: See :class:`Truncation`.
          response_tokens: See :class:`Truncation`.
          tools: JSON schemas of the tools on offer.

        Raises:
          InputError: The template refuses the conversation; it writes a finished turn
            otherwise than generation would have begun it (its opening differs, or it
            adds or drops text other than white space); or a response does not fit.
        """
        truncation = Truncation(max_tokens, response_tokens)
        turns = _plain(prompt, "user")
        encoded = [
            self._encode_response(
                turns, _plain(response, "assistant"), tools, f"responses[{index}]"
            )
            for index, response in enumerate(responses)
        ]
        return self._within(truncation, turns, tools, encoded)

    def encode_generated(
        self,
        prompt: str | Messages,
        responses: Sequence[Int32[np.ndarray, " _"]],
        *,
        max_tokens: int,
        response_tokens: int | None = None,
        tools: Sequence[Json] = (),
    ) -> EncodedRecord:
        """A prompt with the tokens that were generated for it, cut as others are.

        Args:
          prompt: The turns that were answered; a string is one user message.
          responses: The tokens of each answer, all of them the assistant's own.
          max_tokens: See :class:`Truncation`.
          response_tokens: See :class:`Truncation`.
          tools: JSON schemas of the tools on offer.

        Raises:
          InputError: The template refuses the conversation, or a response does not fit.
        """
        encoded = [([*map(int, one)], [True] * len(one)) for one in responses]
        truncation = Truncation(max_tokens, response_tokens)
        return self._within(truncation, _plain(prompt, "user"), tools, encoded)

    def _within(
        self,
        truncation: Truncation,
        turns: list[dict[str, Any]],
        tools: Sequence[Json],
        responses: Sequence[TokenisedResponse],
    ) -> EncodedRecord:
        """Prompt and tokenised responses, within what the policy allows."""
        encode = lambda kept: self.encode_prompt(kept, tools=tools)
        return cut_record(truncation, turns, responses, encode, self.bos)

    def _render(self, disguised: Disguised, count: int, *, opens: bool) -> str:
        return self.template.render(
            disguised.messages[:count],
            add_generation_prompt=opens,
            tools=disguised.tools,
        ).text

    def _encode_rendered(self, text: str, disguised: Disguised) -> list[int]:
        tokens: list[int] = []
        for piece in self.control.split(text):
            if isinstance(piece, int):
                tokens.append(piece)
            else:
                tokens += self.plain.encode(disguised.restore(piece)).ids
        return tokens

    def _with_bos(self, tokens: list[int]) -> Int32[np.ndarray, " t"]:
        if self.bos is None:
            return _array(tokens)
        rest = next((i for i, t in enumerate(tokens) if t != self.bos), len(tokens))
        return _array([self.bos, *tokens[rest:]])

    def _encode_response(
        self,
        prompt: list[dict[str, Any]],
        response: list[dict[str, Any]],
        tools: Sequence[Json],
        where: str,
    ) -> tuple[list[int], list[bool]]:
        """Tokens of one response and which of them are the assistant's own."""
        roles = [message["role"] for message in response]
        if not roles or roles[0] != "assistant" or roles[-1] != "assistant":
            raise InputError(
                f"found turns {roles}, expected the first and last to be 'assistant'",
                where=where,
            )
        disguised = self.control.disguise([*prompt, *response], tools)
        tokens: list[int] = []
        own: list[bool] = []
        written = ""
        for place, message in enumerate(response, start=len(prompt)):
            if message["role"] != "assistant":
                continue
            opened = self._render(disguised, place, opens=True)
            finished = self._render(disguised, place + 1, opens=False)
            turn = own_turn(opened, finished, self.control, self.stop_ids, where)
            if written:
                between = continuation(written, opened, where)
                added = self._encode_rendered(between, disguised)
                tokens, own = tokens + added, own + [False] * len(added)
            added = self._encode_turn(turn.text, message, disguised, place, where)
            tokens, own = [*tokens, *added, turn.stop], own + [True] * (len(added) + 1)
            written = finished[: turn.end]
        return tokens, own

    def _encode_turn(
        self,
        written: str,
        message: Json,
        disguised: Disguised,
        place: int,
        where: str,
    ) -> list[int]:
        """Tokens of an assistant turn up to its end, as the model would write them."""
        if message.get("tool_calls"):
            return self._encode_rendered(written, disguised)
        given = message.get("content", "")
        found = disguised.restore(written)
        if found.split() != given.split():
            raise InputError(
                f"the chat template writes this turn as {excerpt(found)}, the message "
                f"says {excerpt(given)}: generation would not have begun it so. Set "
                "the template's variables (such as enable_thinking) to fit, or give "
                "the whole text that the model writes",
                where=where,
            )
        verbatim = disguised.messages[place].get("content", "")
        return self._encode_rendered(verbatim, disguised)


def _plain(conversation: str | Messages, role: str) -> list[dict[str, Any]]:
    """A conversation as plain dicts; a string is one message of the given role."""
    if isinstance(conversation, str):
        return [{"role": role, "content": conversation}]
    return [plain_message(message) for message in conversation]


def _array(tokens: Sequence[int]) -> Int32[np.ndarray, " t"]:
    return np.asarray(tokens, np.int32)


def load_chat_tokenizer(
    path: str | Path,
    *,
    template: str | None = None,
    variables: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> ChatTokenizer:
    """Loads tokenizer and chat template from a Hugging Face folder or a ``.gguf`` file.

    Args:
      path: A folder with ``tokenizer.json``, or a GGUF file of a byte-level BPE.
      template: Jinja text instead of the template that the model ships.
      variables: Variables for the template, such as ``{"enable_thinking": False}``.
      now: The time that templates which write the date see; ``None`` is 26 July 2024,
        so that they write the same on every day.

    Raises:
      InputError: A file is missing, damaged or of another kind; or there is no
        template; or the tokenizer puts a prefix before every text.
    """
    path = Path(path)
    choice = TemplateChoice(template, variables, now)
    if path.is_dir():
        return _assemble(read_folder(path, choice))
    return _assemble(read_gguf(path, choice))


def save_chat_tokenizer(chat: ChatTokenizer, folder: str | Path) -> None:
    """Saves a chat tokenizer so that `transformers` and `morl` load the same one."""
    parts = TokenizerParts(
        chat.tokenizer, chat.template, chat.stop_ids, chat.bos, str(folder)
    )
    write_folder(Path(folder), parts)


def train_chat_tokenizer(texts: Iterable[str], vocab_size: int) -> ChatTokenizer:
    r"""Trains a small byte-level BPE with ChatML; equal texts, equal tokenizer.

    Args:
      texts: What it is trained on, without template.
      vocab_size: Most tokens, at least 259; texts with few words give fewer.

    Raises:
      InputError: ``vocab_size`` is too small.

    Examples:
      >>> chat = train_chat_tokenizer(["to be or not to be"], 300)
      >>> prompt = chat.encode_prompt([{"role": "user", "content": "to be"}])
      >>> chat.decode(prompt)
      'user\nto be\nassistant\n'
    """
    return _assemble(train_parts(texts, vocab_size))


def _assemble(parts: TokenizerParts) -> ChatTokenizer:
    """Puts tokenizer, template and special tokens together, and checks the fit."""
    tokenizer = parts.tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    plain = without_added_tokens(tokenizer)
    if "".join(plain.encode("a").tokens) != "a":
        raise InputError(
            "the tokenizer puts a prefix before every text, so that a response cannot "
            "be tokenised apart from its prompt; byte-level tokenizers do not",
            where=parts.where,
        )
    added = tokenizer.get_added_tokens_decoder()
    control = ControlTokens(
        tuple(
            ControlToken(each.content, index, each.special, each.lstrip, each.rstrip)
            for index, each in added.items()
        ),
        # White space that is a token of its own is ordinary text to templates.
        frozenset(
            each.content
            for each in added.values()
            if each.content in parts.template.source and not each.content.isspace()
        ),
    )
    stops = {*parts.stop_ids, *_turn_ends(parts.template, control)}
    return ChatTokenizer(
        tokenizer, plain, parts.template, control, tuple(sorted(stops)), parts.bos
    )


def _turn_ends(template: ChatTemplate, control: ControlTokens) -> Iterator[int]:
    """The control token that the template writes after an assistant's text."""
    text = "morl asks"
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": text},
    ]
    try:
        rendered = template.render(messages).text
    except InputError:
        return
    _, _, after = rendered.rpartition(text)
    for token, _, _ in control.find(after):
        yield token
        return
