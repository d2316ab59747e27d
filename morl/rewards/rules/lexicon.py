"""Words and phrases that count for or against a response."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from morl.errors import InputError
from morl.rewards.batch import Scored, TextBatch, scored
from morl.rewards.objective import RULE, Reward
from morl.rewards.rules.words import letter_class

Case: TypeAlias = Literal["ignore", "match"]
Boundary: TypeAlias = Literal["word", "none"]
Count: TypeAlias = Literal["occurrences", "terms"]


@dataclass(frozen=True)
class Lexicon:
    """Settings of :func:`lexicon`; ``terms`` are pairs of a term and its weight."""

    name: str
    terms: tuple[tuple[str, float], ...]
    case: str = "ignore"
    boundary: str = "word"
    count: str = "occurrences"

    def __post_init__(self) -> None:
        """Refuses unknown options and terms that cannot count."""
        allowed = {
            "case": (self.case, ("ignore", "match")),
            "boundary": (self.boundary, ("word", "none")),
            "count": (self.count, ("occurrences", "terms")),
        }
        for key, (found, choices) in allowed.items():
            if found not in choices:
                raise InputError(
                    f"found {found!r}, expected one of {', '.join(choices)}",
                    where=f"{self.name}.{key}",
                )
        _check_terms(self)

    def score(self, batch: TextBatch) -> Scored:
        """The weighted count of the terms in each response."""
        weights = {self._key(term): weight for term, weight in self.terms}
        texts = [self._folded(text) for text in batch.texts]
        expression = _expression(tuple(weights), texts, self.boundary)
        values: list[float | None] = []
        reasons = []
        for text in texts:
            found = Counter(" ".join(m.split()) for m in expression.findall(text))
            times = found if self.count == "occurrences" else Counter(found.keys())
            values.append(sum((weights[t] * n for t, n in times.items()), 0.0))
            reasons.append(_reason(found, weights))
        return scored(values, reasons)

    def _key(self, term: str) -> str:
        return " ".join(self._folded(term).split())

    def _folded(self, text: str) -> str:
        composed = unicodedata.normalize("NFC", text)
        if self.case == "match":
            return composed
        return unicodedata.normalize("NFC", composed.casefold())


def lexicon(
    terms: Mapping[str, float] | Sequence[str],
    *,
    case: Case = "ignore",
    boundary: Boundary = "word",
    count: Count = "occurrences",
    name: str = "lexicon",
) -> Reward:
    """The sum of the weights of the words and phrases that occur in a response.

    Text and terms are compared in Unicode normal form C. Any white space stands for
    the spaces of a phrase. Where two terms begin at the same place the longer counts,
    and no character counts twice.

    Args:
      terms: Weight of each word or phrase; a plain sequence gives each 1.
      case: ``"ignore"`` compares case-folded text (``STRASSE`` is ``straße``).
      boundary: ``"word"`` finds whole words alone (``class`` is not in ``classes``).
        Scripts that write no spaces have no such boundaries: use ``"none"`` there.
      count: ``"occurrences"`` counts every occurrence, ``"terms"`` each term once.
      name: Name of the reward.

    Returns:
      A reward in units of weight: 0 where nothing matches.

    Raises:
      InputError: no terms, an empty or doubled one, or a weight that is not finite.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> hedges = lexicon({"I think": -1.0, "certainly": 2.0})
      >>> scored = hedges.source.score(text_batch(["q"], ["I  think, i think so."]))
      >>> scored.values.tolist(), scored.explanations
      ([-2.0], ("matched 1 of 2: 'i think' x2 (-1 each)",))
    """
    weights = terms if isinstance(terms, Mapping) else dict.fromkeys(terms, 1.0)
    if not isinstance(terms, Mapping) and len(weights) != len(terms):
        twice = sorted(t for t, times in Counter(terms).items() if times > 1)
        raise InputError(f"{twice[0]!r} is listed twice", where=f"{name}.terms")
    pairs = tuple((term, float(weight)) for term, weight in weights.items())
    source = Lexicon(name, pairs, case, boundary, count)
    return Reward(
        name, source=source, unit="weight", range=_range(source), declares=RULE
    )


def _range(source: Lexicon) -> tuple[float, float]:
    """Least and largest value: unbounded where occurrences add up."""
    weights = [weight for _, weight in source.terms]
    reach = 1.0 if source.count == "terms" else float("inf")
    low = sum((w * reach for w in weights if w < 0), 0.0)
    high = sum((w * reach for w in weights if w > 0), 0.0)
    return low, high


def _check_terms(source: Lexicon) -> None:
    where = f"{source.name}.terms"
    if not source.terms:
        raise InputError("needs at least one term", where=where)
    seen: dict[str, str] = {}
    for term, weight in source.terms:
        folded = source._key(term)
        if not folded:
            raise InputError(f"found {term!r}, expected a word or phrase", where=where)
        if folded in seen:
            raise InputError(
                f"{seen[folded]!r} and {term!r} are the same term", where=where
            )
        if not abs(weight) < float("inf"):
            raise InputError(
                f"{term!r} has weight {weight}, expected a finite number", where=where
            )
        seen[folded] = term
    if not any(weight for _, weight in source.terms):
        raise InputError("every weight is 0", where=where)


def _expression(
    terms: tuple[str, ...], texts: list[str], boundary: str
) -> re.Pattern[str]:
    """Any of the terms, longer ones first, between boundaries."""
    longest_first = sorted(terms, key=len, reverse=True)
    # One boundary for all alternatives: most positions in a text then fail at once.
    any_term = "|".join(
        r"\s+".join(map(re.escape, term.split())) for term in longest_first
    )
    if boundary == "none":
        return re.compile(any_term)
    letter = letter_class(*terms, *texts)
    return re.compile(rf"(?<!{letter})(?:{any_term})(?!{letter})")


def _reason(found: Counter[str], weights: Mapping[str, float]) -> str:
    if not found:
        return f"matched none of {len(weights)}"
    shown = [f"{term!r} x{n} ({weights[term]:g} each)" for term, n in found.items()]
    return f"matched {len(found)} of {len(weights)}: {', '.join(shown)}"
