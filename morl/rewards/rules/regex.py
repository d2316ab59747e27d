"""Regular expressions over responses, with a time limit that holds.

Python's engine backtracks: ``(a+)+b`` takes longer than the universe on fifty letters,
and no length limit short enough to help would be long enough to use. A thread cannot be
stopped inside the engine, so the matching runs in a child process that can.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from morl.errors import InputError
from morl.rewards.batch import Scored, TextBatch, scored
from morl.rewards.objective import RULE, Reward
from morl.rewards.rules.matching import MODES, SLOW_LIMIT, Match, matches

Mode: TypeAlias = Literal["fullmatch", "search", "count"]


@dataclass(frozen=True)
class Regex:
    """Settings of :func:`regex`."""

    name: str
    pattern: str
    mode: str = "search"
    timeout: float = 1.0

    def __post_init__(self) -> None:
        """Refuses a pattern that does not compile."""
        if self.mode not in MODES:
            raise InputError(
                f"found {self.mode!r}, expected one of {', '.join(MODES)}",
                where=f"{self.name}.mode",
            )
        if not 0 < self.timeout < float("inf"):
            raise InputError(
                f"found {self.timeout}, expected a positive number of seconds",
                where=f"{self.name}.timeout",
            )
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise InputError(
                f"{self.pattern!r} is not a regular expression: {error}",
                where=f"{self.name}.pattern",
            ) from None

    def score(self, batch: TextBatch) -> Scored:
        """Whether, or how often, each response matches."""
        results = matches(self.pattern, self.mode, batch.texts, timeout=self.timeout)
        reasons, slow = [], 0
        for result in results:
            reasons.append(
                self._why_absent(slow) if result is None else self._reason(result)
            )
            slow += result is None
        return scored(
            [None if result is None else float(result.count) for result in results],
            reasons,
            failures={"timeout": slow} if slow else {},
        )

    def _why_absent(self, slow_before: int) -> str:
        if slow_before >= SLOW_LIMIT:
            return f"absent: not tried after {SLOW_LIMIT} rows took too long"
        return (
            f"absent: no answer within {self.timeout:g} s; the pattern backtracks: "
            "use possessive (a++) or atomic (?>...) groups"
        )

    def _reason(self, result: Match) -> str:
        if self.mode == "fullmatch":
            return "matches in full" if result.count else "does not match in full"
        if not result.count:
            return "no match"
        first = f"{result.shown!r} at character {result.start}"
        if self.mode == "search":
            return f"found {first}"
        return f"{result.count} match{'es' if result.count > 1 else ''}, first {first}"


def regex(
    pattern: str, *, mode: Mode = "search", timeout: float = 1.0, name: str = "regex"
) -> Reward:
    r"""Whether a response matches a regular expression, or how often.

    Args:
      pattern: In Python's syntax; flags are written inside, as in ``(?is)``.
      mode: ``"fullmatch"`` and ``"search"`` give 1 or 0, ``"count"`` the number of
        matches that do not overlap.
      timeout: Seconds of processor time a response may take before its reward is
        absent. After three such responses the rest of the batch is absent too.
      name: Name of the reward.

    Returns:
      A reward in ``[0, 1]``, or in ``[0, inf)`` matches for ``"count"``.

    Raises:
      InputError: The pattern does not compile; the message says where.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> steps = regex(r"(?m)^\d+\.", mode="count", name="steps")
      >>> steps.source.score(text_batch(["q"], ["1. a\n2. b"])).explanations
      ("2 matches, first '1.' at character 0",)
    """
    counts = mode == "count"
    return Reward(
        name,
        source=Regex(name, pattern, mode, timeout),
        unit="match" if counts else "",
        range=(0.0, float("inf") if counts else 1.0),
        declares=RULE,
    )
