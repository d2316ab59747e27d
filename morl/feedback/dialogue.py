"""Dialogues written as one text, with turns marked ``Human:`` and ``Assistant:``."""

import re

from morl.feedback.records import Message

# Only a marker after a blank line starts a turn; raters also wrote "Human:" inside one.
_MARKER = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def dialogue_turns(text: str) -> tuple[str, tuple[Message, ...]]:
    r"""Splits a text at its markers.

    White space around each turn is no part of it: it follows every marker, and at the
    end of a response it would tell how the text was stored, not how good it is. Two
    turns by one speaker in a row stay two.

    Args:
      text: The dialogue.

    Returns:
      What stands before the first marker, and the turns.

    Examples:
      >>> before, turns = dialogue_turns("\n\nHuman: Hello\n\nAssistant: Hi. ")
      >>> before, [(turn.role, turn.content) for turn in turns]
      ('', [('user', 'Hello'), ('assistant', 'Hi.')])
    """
    before, *parts = _MARKER.split(text)
    turns = tuple(
        Message(_ROLES[speaker], content.strip())
        for speaker, content in zip(parts[::2], parts[1::2], strict=True)
    )
    return before.strip(), turns
