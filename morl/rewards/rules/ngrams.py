"""Variety of a response: how many of its n-grams are new, how many repeat."""

from collections import Counter
from dataclasses import dataclass

from morl.errors import InputError
from morl.rewards.batch import Scored, TextBatch, scored
from morl.rewards.objective import RULE, Reward
from morl.rewards.rules.words import words


@dataclass(frozen=True)
class Distinct:
    """Settings of :func:`distinct`."""

    name: str = "distinct"
    n: int = 2

    def __post_init__(self) -> None:
        """Refuses an order below 1."""
        _check_order(self.n, self.name)

    def score(self, batch: TextBatch) -> Scored:
        """Distinct over all n-grams of each response."""
        values: list[float | None] = []
        reasons = []
        for counts in _counts(batch, self.n):
            total = counts.total()
            values.append(len(counts) / total if total else None)
            reasons.append(
                f"{len(counts)} of {total} {self.n}-grams are distinct"
                if total
                else f"absent: fewer than {self.n} words"
            )
        return scored(values, reasons)


@dataclass(frozen=True)
class Repetition:
    """Settings of :func:`repetition`."""

    name: str = "repetition"
    n: int = 4

    def __post_init__(self) -> None:
        """Refuses an order below 1."""
        _check_order(self.n, self.name)

    def score(self, batch: TextBatch) -> Scored:
        """Repeats over all n-grams of each response."""
        values: list[float | None] = []
        reasons = []
        for counts in _counts(batch, self.n):
            total = counts.total()
            repeats = total - len(counts)
            values.append(repeats / max(total, 1))
            reason = f"{repeats} of {total} {self.n}-grams repeat an earlier one"
            if repeats:
                gram, times = counts.most_common(1)[0]
                reason += f"; most often {' '.join(gram)!r}, {times} times"
            reasons.append(reason)
        return scored(values, reasons)


def distinct(n: int = 2, *, name: str = "distinct") -> Reward:
    r"""Distinct-n: the share of a response's word n-grams that are different.

    .. math:: |\mathrm{set}(n\text{-grams})| \,/\, |n\text{-grams}|

    Words are compared without case. A response of fewer than ``n`` words has no
    n-grams: its reward is absent.

    Args:
      n: Words a gram, at least 1.
      name: Name of the reward.

    Returns:
      A reward in ``(0, 1]``, without unit. It falls with length: compare responses of
      similar length.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> distinct(1).source.score(text_batch(["q"], ["no no yes no"])).explanations
      ('2 of 4 1-grams are distinct',)

    References:
      Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models
      (arXiv:1510.03055), 2016, Section 5, there over all responses at once.
    """
    return Reward(name, source=Distinct(name, n), range=(0.0, 1.0), declares=RULE)


def repetition(n: int = 4, *, name: str = "repetition") -> Reward:
    r"""The share of a response's word n-grams that repeat an earlier one.

    .. math:: 1 - |\mathrm{set}(n\text{-grams})| \,/\, |n\text{-grams}|

    A response of fewer than ``n`` words repeats nothing and has 0. Subtract it to
    reward variety.

    Args:
      n: Words a gram, at least 1.
      name: Name of the reward.

    Returns:
      A reward in ``[0, 1)``, without unit.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> repetition(2).source.score(text_batch(["q"], ["So so so"])).explanations
      ("1 of 2 2-grams repeat an earlier one; most often 'so so', 2 times",)

    References:
      Welleck et al., Neural Text Generation with Unlikelihood Training
      (arXiv:1908.04319), 2019, Section 6 (seq-rep-n), there over tokens.
    """
    return Reward(name, source=Repetition(name, n), range=(0.0, 1.0), declares=RULE)


def _check_order(n: int, name: str) -> None:
    if not isinstance(n, int) or n < 1:
        raise InputError(
            f"found {n!r}, expected a whole number of at least 1", where=f"{name}.n"
        )


def _counts(batch: TextBatch, n: int) -> list[Counter[tuple[str, ...]]]:
    folded = [words(text.casefold()) for text in batch.texts]
    return [
        Counter(zip(*(line[start:] for start in range(n)), strict=False))
        for line in folded
    ]
