"""Responses to score: pasted, piped, from files of text or from JSON Lines."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morl.cli.config import read_text
from morl.errors import InputError
from morl.feedback import Message, Record, prompt_key
from morl.feedback.faults import shown
from morl.feedback.rows import numbered_lines, strict_json
from morl.feedback.schema import from_json
from morl.rewards.batch import Reference

STDIN = Path("-")
STDIN_NAME = "standard input"
BREAK = re.compile(r"(?m)^---[ \t\r]*$")
JSONL = (".jsonl", ".jsonl.gz")
ANSWER_KEYS = ("prompt", "response", "reference")
ROW_KEYS = {"prompt", "response", "responses"}
PASTE = (
    "Paste responses, with a line --- between one and the next; end with Ctrl-D "
    "(Ctrl-Z on Windows)."
)


@dataclass(frozen=True)
class Answers:
    """A prompt and the responses to it that are scored.

    Args:
      record: Prompt and responses.
      references: What a correct answer would be, one a response; None where unknown.
    """

    record: Record
    references: tuple[Reference, ...]


def read_answers(
    files: Sequence[Path], texts: Sequence[str], prompt: str | None
) -> list[Answers]:
    """All responses, those to one prompt together, in the order they came.

    Args:
      files: Text or JSON Lines; ``-`` is standard input, which is read as well where
        neither files nor texts are given.
      texts: Responses from the command line.
      prompt: What texts without a prompt of their own answer.

    Raises:
      InputError: A file is missing, a row is malformed, there is no response, or rows
        have prompts beside ``prompt``.
    """
    found = [_plain(text, prompt) for text in texts if text.strip()]
    for path in files or (() if texts else (STDIN,)):
        found += _stdin(prompt) if path == STDIN else _file(path, prompt)
    grouped = _grouped(found)
    if not grouped:
        raise InputError(
            "found no response; name files, pipe text in, or use --text", where="input"
        )
    return grouped


def _file(path: Path, prompt: str | None) -> Iterator[Answers]:
    if path.name.endswith(JSONL):
        return _rows(numbered_lines(path), str(path), prompt)
    return _any(read_text(path), str(path), prompt)


def _stdin(prompt: str | None) -> Iterator[Answers]:
    if sys.stdin.isatty():
        print(PASTE, file=sys.stderr)
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InputError(f"is not text ({error})", where=STDIN_NAME) from None
    return _any(text, STDIN_NAME, prompt)


def _any(text: str, where: str, prompt: str | None) -> Iterator[Answers]:
    """JSON Lines where the first line is a row, parts of text otherwise."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if _is_row(first):
        lines = enumerate(text.encode().split(b"\n"), start=1)
        yield from _rows((row for row in lines if row[1].strip()), where, prompt)
        return
    for part in BREAK.split(text):
        if part.strip():
            yield _plain(part, prompt)


def _is_row(line: str) -> bool:
    """Whether a line is a row to read, not a response that happens to be JSON."""
    try:
        found = strict_json(line.encode())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(ROW_KEYS & found.keys())


def _plain(text: str, prompt: str | None) -> Answers:
    turns = (Message("user", prompt or ""),)
    return Answers(Record(turns, ((Message("assistant", text.strip()),),), {}), (None,))


def _rows(
    lines: Iterable[tuple[int, bytes]], where: str, prompt: str | None
) -> Iterator[Answers]:
    if prompt is not None:
        raise InputError(
            "its rows have prompts of their own: drop --prompt", where=where
        )
    for number, line in lines:
        try:
            row = strict_json(line)
        except (ValueError, RecursionError) as error:
            text = shown(line.decode(errors="backslashreplace").strip())
            raise InputError(
                f"found {text} ({error}), expected a JSON object",
                where=f"{where}:{number}",
            ) from None
        yield _answers(row, f"{where}:{number}")


def _answers(row: Any, where: str) -> Answers:
    """A record of feedback, or one prompt with one response."""
    references: tuple[Reference, ...] = ()
    if isinstance(row, dict) and "response" in row:
        for key in row:
            if key not in ANSWER_KEYS:
                raise InputError(
                    f"found unknown key {key!r}, expected {', '.join(ANSWER_KEYS)}",
                    where=where,
                )
        references = (_reference(row.get("reference"), where),)
        row = {"prompt": row.get("prompt"), "responses": [row["response"]]}
    record, faults = from_json(row)
    if record is None:
        # A row with one response is read as a record with a list of one.
        key = faults[0].key.replace("responses[0]", "response") if references else ""
        raise InputError(
            f"found {faults[0].found}, expected {faults[0].expected}",
            where=f"{where}: {key or faults[0].key}".removesuffix(": "),
        )
    return Answers(record, references or (None,) * len(record.responses))


def _reference(value: Any, where: str) -> Reference:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise InputError(
        f"found {shown(value)}, expected text or a list of texts",
        where=f"{where}: reference",
    )


def _grouped(found: Iterable[Answers]) -> list[Answers]:
    """One entry a prompt; records without responses leave none."""
    groups: dict[str, Answers] = {}
    for each in found:
        key = prompt_key(each.record)
        if key in groups:
            known = groups[key]
            record = known.record
            each = Answers(
                Record(
                    record.prompt,
                    record.responses + each.record.responses,
                    {},
                    record.source,
                    record.id,
                ),
                known.references + each.references,
            )
        groups[key] = each
    return [each for each in groups.values() if each.record.responses]
