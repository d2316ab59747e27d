"""Changes of a text that leave what it says: form, padding, slips, order.

Each is a pure function of a text and a seed; a text that has nothing to change comes
back as it is.
"""

import re
from collections.abc import Callable

import numpy as np

Perturbation = Callable[[str, int], str]

SENTENCE = re.compile(r"(?<=[.!?])(\s+)")
WORD = re.compile(r"[A-Za-z]{4,}")
ITEM = re.compile(r"^(\s*(?:[-*+\u2022]|\d+[.)])\s+)(.*)$")
OPENINGS = (
    "That is a great question, and I am happy to help you with it. ",
    "Thank you for asking! Let me walk you through this carefully. ",
    "There are many things to consider here, so let us take a closer look. ",
)
CLOSINGS = (
    " I hope this helps! Please let me know if you have any other questions.",
    " As always, it is worth keeping in mind that every situation is different.",
    " Feel free to ask if anything is unclear, and I will gladly explain further.",
)
SHARE = 0.1  # of the words that a perturbation of words changes


def bold(text: str, seed: int) -> str:
    """A tenth of the longer words, at least one, in markdown's bold.

    Examples:
      >>> bold("Basil likes water.", 0)
      'Basil likes **water**.'
    """
    return _changed_words(text, seed, lambda word, _: f"**{word}**")


def bullets(text: str, seed: int) -> str:
    """Each sentence as an item of a markdown list.

    Examples:
      >>> bullets("It is hot. Drink!", 0)
      '- It is hot.\\n- Drink!'
    """
    del seed
    sentences = [part.strip() for part in SENTENCE.split(text)[::2] if part.strip()]
    return "\n".join(f"- {sentence}" for sentence in sentences) or text


def heading(text: str, seed: int) -> str:
    """The text below a markdown heading.

    Examples:
      >>> heading("No.", 0)
      '## Answer\\n\\nNo.'
    """
    del seed
    return f"## Answer\n\n{text}" if text.strip() else text


def filler(text: str, seed: int) -> str:
    """The text between an opening and a closing that say nothing."""
    if not text.strip():
        return text
    rng = np.random.default_rng(seed)
    first, last = rng.integers(len(OPENINGS)), rng.integers(len(CLOSINGS))
    return OPENINGS[first] + text.rstrip() + CLOSINGS[last]


def upper_case(text: str, seed: int) -> str:
    """The text in capitals."""
    del seed
    return text.upper()


def lower_case(text: str, seed: int) -> str:
    """The text without capitals."""
    del seed
    return text.lower()


def typos(text: str, seed: int) -> str:
    """Two neighbouring letters exchanged in a tenth of the longer words.

    The first letter stays; at least one word changes where any can.
    """
    return _changed_words(text, seed, _slip)


def shuffled_sentences(text: str, seed: int) -> str:
    """The sentences of a text without a list, in another order."""
    if any(ITEM.match(line) for line in text.splitlines()):
        return text
    parts = SENTENCE.split(text)
    parts[::2] = _another_order(parts[::2], seed)
    return "".join(parts)


def shuffled_items(text: str, seed: int) -> str:
    """The items of a list in another order; numbers and marks stay where they are.

    Examples:
      >>> shuffled_items("Buy:\\n1. tea\\n2. milk\\nDone.", 0)
      'Buy:\\n1. milk\\n2. tea\\nDone.'
    """
    lines = text.split("\n")
    found = {place: ITEM.match(line) for place, line in enumerate(lines)}
    items = {place: match for place, match in found.items() if match}
    order = _another_order([match[2] for match in items.values()], seed)
    for (place, match), content in zip(items.items(), order, strict=True):
        lines[place] = match[1] + content
    return "\n".join(lines)


def _changed_words(
    text: str, seed: int, change: Callable[[str, np.random.Generator], str]
) -> str:
    rng = np.random.default_rng(seed)
    words = list(WORD.finditer(text))
    count = min(len(words), max(1, round(SHARE * len(words))))
    chosen = sorted(rng.permutation(len(words))[:count].tolist(), reverse=True)
    for place in chosen:
        word = words[place]
        text = text[: word.start()] + change(word[0], rng) + text[word.end() :]
    return text


def _slip(word: str, rng: np.random.Generator) -> str:
    places = [i for i in range(1, len(word) - 1) if word[i] != word[i + 1]]
    if not places:
        return word
    place = places[rng.integers(len(places))]
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _another_order(parts: list[str], seed: int) -> list[str]:
    """The parts in an order that differs from theirs, where they do."""
    rng = np.random.default_rng(seed)
    order = [parts[place] for place in rng.permutation(len(parts)).tolist()]
    return order if order != parts else [*parts[1:], *parts[:1]]
