"""A Python function that scores a whole batch at once, as those for TRL do."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from morl.rewards.batch import Row, Scored, TextBatch
from morl.rewards.calling import (
    Call,
    Failure,
    Limits,
    call_all,
    check_callable,
    check_limits,
)
from morl.rewards.objective import Declarations, Reward
from morl.rewards.verdicts import (
    Verdict,
    VerdictCache,
    check_takes,
    plain_messages,
    row_key,
    scored_verdicts,
    verdict,
)


@dataclass(frozen=True)
class BatchedSource:
    """Settings of :func:`batched_reward`."""

    name: str
    fn: Callable[..., Any]
    takes: str = "text"
    timeout: float = 600.0
    retries: int = 2
    backoff: float = 0.5
    cache_dir: str | None = None
    version: str = ""

    def __post_init__(self) -> None:
        """Refuses limits that cannot be kept."""
        check_takes(self.name, self.takes, ("text", "messages"))
        check_limits(self.limits, where=self.name)

    @property
    def limits(self) -> Limits:
        """How the call is made: there is one at a time."""
        return Limits(1, self.timeout, self.retries, self.backoff)

    def score(self, batch: TextBatch) -> Scored:
        """Calls the function once, with every row that is not in the cache."""
        rows = [batch.row(index) for index in range(len(batch))]
        cache = None if self.cache_dir is None else VerdictCache(self.cache_dir)
        if cache is None:
            return scored_verdicts(self.name, self._ask(rows))
        keys = [row_key((self.name, self.version, self.takes), r) for r in rows]
        known = cache.read_all(keys)
        asked = [index for index, key in enumerate(keys) if key not in known]
        answers = self._ask([rows[index] for index in asked])
        fresh = dict(zip([keys[index] for index in asked], answers, strict=True))
        cache.write_all(fresh)
        every = known | fresh
        return scored_verdicts(self.name, [every[key] for key in keys])

    def _ask(self, rows: list[Row]) -> list[Verdict]:
        """One verdict a row; the same failure for all where the call failed."""
        if not rows:
            return []
        call = Call(self.fn, (), self._named(rows))
        check_callable(call, where=self.name)
        answers: list[Any] = []
        call_all(
            [call],
            self.limits,
            finished=lambda _, result: answers.append(result),
        )
        answer = answers[0]
        if isinstance(answer, Failure):
            return [verdict(answer)] * len(rows)
        try:
            results = list(answer)
        except TypeError:
            results = [answer]
        if len(results) != len(rows) or isinstance(answer, (str, dict)):
            text = f"returned {len(results)} scores for {len(rows)} rows"
            return [Verdict(None, "", "wrong count", text)] * len(rows)
        return [verdict(result) for result in results]

    def _named(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Keyword arguments: of all that is known, what the function takes."""
        shared = (
            set.intersection(*(set(row.metadata) for row in rows)) if rows else set()
        )
        text = self.takes == "text"
        offered = {name: [row.metadata[name] for row in rows] for name in shared} | {
            "references": [row.reference for row in rows],
            "prompts": [
                r.prompt_text if text else plain_messages(r.prompt) for r in rows
            ],
            "completions": [
                r.text if text else plain_messages(r.response) for r in rows
            ],
        }
        return {name: offered[name] for name in sorted(_keywords(self.fn, offered))}


def batched_reward(
    name: str,
    fn: Callable[..., Any],
    *,
    takes: Literal["text", "messages"] = "text",
    timeout: float = 600.0,
    retries: int = 2,
    cache_dir: str | Path | None = None,
    version: str = "",
) -> Reward:
    """A reward that a Python function computes for a whole batch at once.

    The function is called by keyword with ``prompts`` and ``completions``, with the
    batch's ``references``, and with every key that the metadata of all rows share, as
    far as its signature takes them: reward functions written for TRL work as they are.

    Args:
      name: Name of the reward, and of the function where a specification is read.
      fn: Plain or async; gives back one number, None, or pair of number and critique a
        row.
      takes: ``"text"`` passes strings, ``"messages"`` lists of dictionaries with
        ``role`` and ``content``.
      timeout: Seconds one try of the whole batch may take.
      retries: Tries after the first that failed.
      cache_dir: As for :func:`callable_reward`; leave it None where the score of a row
        depends on the rows beside it.
      version: Change it with the function.

    Returns:
      A reward declared as data-driven, without a range.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> def short(completions, **rest):
      ...     return [-float(len(text)) for text in completions]
      >>> batched_reward("short", short).source.score(
      ...     text_batch(["q"] * 2, ["ok", "fine"])).values.tolist()
      [-2.0, -4.0]
    """
    source = BatchedSource(
        name,
        fn,
        takes,
        timeout,
        retries,
        cache_dir=None if cache_dir is None else str(cache_dir),
        version=version,
    )
    return Reward(name, source=source, declares=Declarations(basis="data-driven"))


def _keywords(fn: Callable[..., Any], offered: dict[str, Any]) -> set[str]:
    """Which of the offered keyword arguments ``fn`` takes."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:
        return set(offered)
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return set(offered)
    return {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY} & set(
        offered
    )
