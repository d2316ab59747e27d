r"""Verifiable answers: what a response concludes, against what is known to be right."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from morl.errors import InputError
from morl.rewards.batch import Reference, Scored, TextBatch, scored
from morl.rewards.objective import RULE, Reward

Place: TypeAlias = Literal["boxed", "line", "number", "text"]
PLACES = ("boxed", "line", "number", "text")
DEFAULT_PLACES: tuple[Place, ...] = ("boxed", "line", "number")
DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
NUMBER = re.compile(rf"(?<![\w.])[-+]?(?:{DIGITS})(?:[eE][-+]?\d+)?(?:/\d+)?")
LINE = re.compile(r"(?i)(?:####|\banswer\b[*_ ]*(?:is\b|:|=))[ \t]*:?[ \t]*([^\n]+)")
BRACE = re.compile(r"\\[{}]|\\f?box(?:ed)?\s*\{|[{}]")
FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}")
AROUND_NUMBER = " \t\n$*_`\"'()[]{},;:!?"
AROUND_LINE = " \t\r$*_`\"'"


@dataclass(frozen=True)
class Answer:
    """Settings of :func:`answer`."""

    name: str = "answer"
    places: tuple[str, ...] = DEFAULT_PLACES
    relative: float = 1e-6
    absolute: float = 1e-9

    def __post_init__(self) -> None:
        """Refuses unknown places and negative tolerances."""
        unknown = [place for place in self.places if place not in PLACES]
        if unknown or not self.places:
            raise InputError(
                f"found {self.places}, expected some of {', '.join(PLACES)}",
                where=f"{self.name}.places",
            )
        for key, value in {
            "relative": self.relative,
            "absolute": self.absolute,
        }.items():
            if not 0 <= value < math.inf:
                raise InputError(
                    f"found {value}, expected a tolerance of 0 or more",
                    where=f"{self.name}.{key}",
                )

    def score(self, batch: TextBatch) -> Scored:
        """1 where the answer is right, 0 where wrong or missing."""
        references = batch.references or (None,) * len(batch)
        judged = [
            self._judge(text, reference)
            for text, reference in zip(batch.texts, references, strict=True)
        ]
        return scored([value for value, _ in judged], [reason for _, reason in judged])

    def _judge(self, text: str, reference: Reference) -> tuple[float | None, str]:
        if not reference:
            return None, "absent: the row has no reference answer"
        accepted = (reference,) if isinstance(reference, str) else reference
        wanted = " or ".join(repr(each) for each in accepted)
        given = extract(text, self.places)
        if given is None:
            return 0.0, f"no answer found, expected {wanted}"
        if any(self._equal(given, each) for each in accepted):
            return 1.0, f"{given!r} is correct"
        return 0.0, f"answered {given!r}, expected {wanted}"

    def _equal(self, given: str, wanted: str) -> bool:
        right = parse_number(wanted)
        left = None if right is None else _only_number(given)
        if left is not None and right is not None:
            return math.isclose(
                left, right, rel_tol=self.relative, abs_tol=self.absolute
            )
        return normalise(given) == normalise(wanted)


def answer(
    places: Sequence[Place] = DEFAULT_PLACES,
    *,
    relative: float = 1e-6,
    absolute: float = 1e-9,
    name: str = "answer",
) -> Reward:
    r"""Whether a response's final answer is the reference answer of its row.

    Two numbers are equal within the tolerances (``1,000``, ``$1000.00``, ``50%`` read
    as 50, ``3/4``, ``\frac{3}{4}``, ``42 apples``); anything else is compared after
    :func:`normalise`. A row with several references is right with any of them. A
    response in which no answer is found is wrong; a row without reference is absent.

    Args:
      places: Where to look, in turn, always for the last one: ``"boxed"`` for
        ``\boxed{...}``, ``"line"`` for what follows ``Answer:``, ``the answer is`` or
        ``####`` on its line, ``"number"`` for the last number, ``"text"`` for the whole
        response.
      relative: Relative tolerance of numbers.
      absolute: Absolute tolerance of numbers.
      name: Name of the reward.

    Returns:
      A reward that is 0 or 1.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> batch = text_batch(["7 * 6?"], ["7 * 6 = 42."], references=["42"])
      >>> answer().source.score(batch).explanations
      ("'42' is correct",)
    """
    source = Answer(name, tuple(places), relative, absolute)
    return Reward(name, source=source, range=(0.0, 1.0), declares=RULE)


def extract(text: str, places: Sequence[str] = DEFAULT_PLACES) -> str | None:
    r"""The final answer in ``text``: the last one at the first place that has any.

    Examples:
      >>> extract(r"So \boxed{\frac{1}{2}}, that is 0.5")
      '\\frac{1}{2}'
      >>> extract("It took 3 days.\nAnswer: **Friday**")
      'Friday'
    """
    finders = {"boxed": _boxed, "line": _line, "number": _number, "text": _whole}
    for place in places:
        found = finders[place](text)
        if found:
            return found
    return None


def parse_number(text: str) -> float | None:
    r"""The number that ``text`` is, or None where it is anything else.

    Examples:
      >>> [parse_number(text) for text in ("$1,234.50", r"\frac{3}{4}", "3 cats")]
      [1234.5, 0.75, None]
    """
    plain = _plain(text).replace("\\%", "%").replace("\\$", "$")
    plain = FRACTION.sub(r"\1/\2", plain)
    plain = plain.strip(AROUND_NUMBER).rstrip(".")
    plain = re.sub(r"^([-+]?)\s*[$€£¥]\s*", r"\1", plain).removesuffix("%").strip()
    if not NUMBER.fullmatch(plain):
        return None
    top, _, bottom = plain.replace(",", "").partition("/")
    if not bottom:
        return float(top)
    return float(top) / float(bottom) if float(bottom) else None


def normalise(text: str) -> str:
    """Text without case, punctuation, articles and spare spaces, as in SQuAD.

    Symbols such as ``+`` and ``<`` stay, for formulas.

    Examples:
      >>> normalise("The  Eiffel Tower!")
      'eiffel tower'

    References:
      Rajpurkar et al., SQuAD (arXiv:1606.05250), 2016, Section 6.1.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(
        " " if unicodedata.category(c).startswith("P") and c not in "-%/" else c
        for c in folded
    )
    return " ".join(word for word in kept.split() if word not in ("a", "an", "the"))


def _only_number(text: str) -> float | None:
    """The number that ``text`` is or, as in ``42 apples``, the only one it holds."""
    whole = parse_number(text)
    if whole is not None:
        return whole
    parts = NUMBER.findall(_plain(text))
    return parse_number(parts[0]) if len(parts) == 1 else None


def _plain(text: str) -> str:
    # Not a compatibility form: it would read 5² as 52. Digits of every script parse.
    return text.replace("\u2212", "-")


def _boxed(text: str) -> str | None:
    """Content of the last box whose braces balance."""
    found = None
    boxes: list[int | None] = []
    for brace in BRACE.finditer(text):
        if brace.group() in (r"\{", r"\}"):
            continue
        if brace.group() != "}":
            boxes.append(brace.end() if len(brace.group()) > 1 else None)
        elif boxes and (start := boxes.pop()) is not None:
            found = text[start : brace.start()].strip()
    return found


def _line(text: str) -> str | None:
    found = [
        match.group(1).rstrip(AROUND_LINE + ".,;:!?").lstrip(AROUND_LINE)
        for match in LINE.finditer(text)
    ]
    return found[-1] if found else None


def _number(text: str) -> str | None:
    found = NUMBER.findall(_plain(text))
    return found[-1] if found else None


def _whole(text: str) -> str | None:
    return text.strip() or None
