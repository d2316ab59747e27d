"""Chat templates as models ship them: Jinja, rendered in a sandbox, with a hash."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jinja2 import Template, nodes, pass_context
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from morl.errors import InputError
from morl.storage import content_hash
from morl.types import Json

_OPEN, _CLOSE = "morl_generation_open", "morl_generation_close"
# Where no time is given: the date that Llama 3.2 writes where there is no clock.
DAY = datetime(2024, 7, 26)
_PRIVATE_USE = range(0xE000, 0xF900)


@runtime_checkable
class ChatMessage(Protocol):
    """What a message must have to be rendered; `morl.feedback.Message` has it."""

    @property
    def role(self) -> str:
        """Who speaks: ``system``, ``user``, ``assistant``, ``tool``."""
        ...

    @property
    def content(self) -> str:
        """The text of the turn."""
        ...

    @property
    def name(self) -> str | None:
        """Name of the speaker or of the tool, where one is given."""
        ...

    @property
    def tool_calls(self) -> tuple[Json, ...]:
        """Calls that an assistant turn makes, as JSON objects."""
        ...

    @property
    def tool_call_id(self) -> str | None:
        """The call that a tool turn answers."""
        ...


Messages = Sequence[ChatMessage | Json]


class Rendered(NamedTuple):
    """A rendered conversation.

    Attributes:
      text: The whole text.
      generated: Half-open character ranges that the template's ``{% generation %}``
        blocks mark as written by the assistant; empty where it has no such block.
    """

    text: str
    generated: tuple[tuple[int, int], ...]


def plain_message(message: ChatMessage | Json) -> dict[str, Any]:
    """A message as the dict that templates read, without keys that hold ``None``.

    Raises:
      InputError: It has no role.
    """
    if isinstance(message, Mapping):
        given = message
    else:
        given = {
            "role": message.role,
            "content": message.content,
            "name": message.name,
            "tool_calls": message.tool_calls or None,
            "tool_call_id": message.tool_call_id,
        }
    plain = {key: value for key, value in given.items() if value is not None}
    if not isinstance(plain.get("role"), str):
        raise InputError(f"found {plain}, expected a message with a role")
    return plain


def json_text(value: Any) -> str:
    """JSON of messages or tools with every character as it is, for other mappings too.

    Raises:
      InputError: Something in them is no JSON value.
    """
    try:
        return json.dumps(value, ensure_ascii=False, default=dict)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"messages and tools must be JSON ({error})", where="chat template"
        ) from None


def unused_characters(text: str, count: int) -> list[str]:
    """Private-use characters that a text holds neither as such nor JSON-escaped.

    Examples:
      >>> unused_characters("a \\ue000 b", 2) == ["\\ue001", "\\ue002"]
      True
    """
    taken = text.lower()
    free = (
        chr(code)
        for code in _PRIVATE_USE
        if chr(code) not in taken and f"\\u{code:04x}" not in taken
    )
    found = [character for character, _ in zip(free, range(count), strict=False)]
    if len(found) < count:
        raise InputError("the text uses nearly all private-use characters")
    return found


class _GenerationBlock(Extension):
    """``{% generation %}...{% endgeneration %}``: marks what the assistant writes."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Wraps the block's body in a call that puts marks around it."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_mark")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    @pass_context
    def _mark(self, context: Context, caller: Callable[[], str]) -> str:
        return f"{context[_OPEN]}{caller()}{context[_CLOSE]}"


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@lru_cache(maxsize=32)
def _compile(source: str, now: datetime | None) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_GenerationBlock, "jinja2.ext.loopcontrols"],
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = (now or DAY).strftime
    return environment.from_string(source)


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja chat template and what it may read besides the messages.

    It renders as `transformers` does: blocks trimmed, ``raise_exception``,
    ``strftime_now``, a ``tojson`` that does not escape HTML, ``break`` and
    ``continue``, ``{% generation %}`` blocks, and a sandbox that can neither reach
    Python's internals nor change what it is given. It never reads the clock: the same
    messages give the same text on every day, or the hash would vouch for nothing.

    Args:
      source: The Jinja text.
      special_tokens: ``bos_token``, ``eos_token`` and such, as text.
      variables: Further variables, such as ``{"enable_thinking": False}``; they are
        part of the template's hash.
      now: The time that ``strftime_now`` sees, for templates that write the date;
        ``None`` is 26 July 2024.

    Raises:
      InputError: The source is not valid Jinja.

    Examples:
      >>> template = ChatTemplate("{% for m in messages %}{{ m.content }}!{% endfor %}")
      >>> template.render([{"role": "user", "content": "Hi"}]).text
      'Hi!'
    """

    source: str
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    now: datetime | None = None

    def __post_init__(self) -> None:
        """Refuses a source that is not Jinja."""
        try:
            _compile(self.source, self.now)
        # Jinja's own compiler leaves other errors to Python's: nesting that is too deep
        # is a RecursionError or SyntaxError, a number that is too long a ValueError.
        except Exception as error:
            raise InputError(
                f"not a valid Jinja template ({error})", where="chat template"
            ) from None

    @property
    def template_hash(self) -> str:
        """SHA-256 of all that decides how messages are rendered, in hexadecimal."""
        return content_hash(
            self.source,
            dict(self.special_tokens),
            dict(self.variables),
            self.now.isoformat() if self.now else None,
        )

    def render(
        self,
        messages: Messages,
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Json] = (),
    ) -> Rendered:
        """Renders a conversation.

        Args:
          messages: The turns, as :class:`ChatMessage` or as plain dicts.
          add_generation_prompt: Whether to end with the opening of an assistant turn.
          tools: JSON schemas of the tools on offer.

        Raises:
          InputError: The template refuses the conversation, or fails on it.
        """
        known = json_text([[plain_message(each) for each in messages], list(tools)])
        opening, closing = unused_characters(known + self.source, 2)
        # Templates are untrusted code: they see a fresh copy made of plain JSON types.
        plain_messages, plain_tools = json.loads(known)
        scope = {
            **self.special_tokens,
            **self.variables,
            "messages": plain_messages,
            "tools": plain_tools or None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            _OPEN: opening,
            _CLOSE: closing,
        }
        try:
            marked = _compile(self.source, self.now).render(scope)
        # A template is a program by somebody else: it may fail in any way, dividing by
        # zero or calling itself without end included.
        except Exception as error:
            raise InputError(
                f"the template cannot render this conversation ({error})",
                where="chat template",
            ) from None
        return _without_marks(marked, opening, closing)


def check_template(found: str, expected: str, *, allow_other: bool = False) -> None:
    """Refuses to score under another chat template than a head was trained under.

    Args:
      found: ``template_hash`` of the tokenizer at hand.
      expected: ``template_hash`` saved with the head.
      allow_other: Score all the same.

    Raises:
      InputError: The hashes differ and ``allow_other`` is false.
    """
    if found != expected and not allow_other:
        raise InputError(
            f"found the chat template {found[:12]}, the head was trained under "
            f"{expected[:12]}: its scores would mean something else. Load the model "
            "it was trained on, or accept it (load_heads(..., other_template=True); "
            "morl score --other-template)",
            where="chat template",
        )


def _without_marks(marked: str, opening: str, closing: str) -> Rendered:
    """Takes the marks of generation blocks out and says where they stood."""
    text, starts, ranges = [], [], []
    length = 0
    for piece in re.split(f"([{opening}{closing}])", marked):
        if piece == opening:
            starts.append(length)
        elif piece == closing:
            ranges.append((starts.pop(), length))
        else:
            text.append(piece)
            length += len(piece)
    return Rendered("".join(text), tuple(sorted(ranges)))
