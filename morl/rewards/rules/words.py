"""Words of a text, in any script that separates them."""

import re
import unicodedata

APOSTROPHES = "'\u2019"


def letter_class(*texts: str) -> str:
    r"""A character class of what words are made of in ``texts``.

    ``\\w`` leaves out combining marks, and with them the vowels of Devanagari, Thai and
    others: the marks that occur are added.

    Examples:
      >>> letter_class("plain")
      '[\\w]'
    """
    marks = {
        c
        for text in texts
        if not text.isascii()
        for c in set(text)
        if unicodedata.category(c).startswith("M")
    }
    return rf"[\w{''.join(sorted(marks))}]"


def words(text: str) -> list[str]:
    """Runs of letters, digits and marks; an apostrophe within a word belongs to it.

    Scripts that write no spaces (Chinese, Japanese, Thai) give one word a run.

    Examples:
      >>> words("Don't panic: it's 2 o'clock!")
      ["Don't", 'panic', "it's", '2', "o'clock"]
    """
    letter = letter_class(text)
    return re.findall(rf"{letter}+(?:[{APOSTROPHES}]{letter}+)*", text)
