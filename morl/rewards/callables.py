"""Any Python function as a reward: an LLM judge, a remote verifier, a classifier.

A function may be plain or async, slow, and unreliable. What it fails to score is
*absent*, never 0, and the explanation of the row says why.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tqdm import tqdm

from morl.rewards.batch import Row, Scored, TextBatch
from morl.rewards.calling import Call, Limits, call_all, check_callable, check_limits
from morl.rewards.objective import Declarations, Reward
from morl.rewards.verdicts import (
    VerdictCache,
    check_takes,
    row_key,
    scored_verdicts,
    verdict,
)

Takes: TypeAlias = Literal["text", "messages", "row"]
TAKES = ("text", "messages", "row")
PROGRESS_AFTER_SECONDS = 2.0


@dataclass(frozen=True)
class CallableSource:
    """Settings of :func:`callable_reward`."""

    name: str
    fn: Callable[..., Any]
    takes: str = "text"
    concurrency: int = 8
    timeout: float = 30.0
    retries: int = 2
    backoff: float = 0.5
    cache_dir: str | None = None
    version: str = ""

    def __post_init__(self) -> None:
        """Refuses limits that cannot be kept and a function that cannot be called."""
        check_takes(self.name, self.takes, TAKES)
        check_limits(self.limits, where=self.name)
        example = (None,) if self.takes == "row" else (None, None)
        check_callable(Call(self.fn, example), where=self.name)

    @property
    def limits(self) -> Limits:
        """How calls are made."""
        return Limits(self.concurrency, self.timeout, self.retries, self.backoff)

    def score(self, batch: TextBatch) -> Scored:
        """Calls the function once for each different row."""
        rows = [batch.row(index) for index in range(len(batch))]
        keys = [self._key(row) for row in rows]
        distinct = dict(zip(keys, rows, strict=True))
        cache = None if self.cache_dir is None else VerdictCache(self.cache_dir)
        known = {} if cache is None else cache.read_all(distinct)
        missing = [key for key in distinct if key not in known]
        calls = [Call(self.fn, _arguments(self.takes, distinct[k])) for k in missing]
        lock = threading.Lock()
        with _progress(self.name, len(calls)) as bar:

            def keep(index: int, result: Any) -> None:
                known[missing[index]] = given = verdict(result)
                if cache is not None:
                    cache.write(missing[index], given)
                with lock:
                    bar.update()

            call_all(calls, self.limits, finished=keep)
        return scored_verdicts(self.name, [known[key] for key in keys])

    def _key(self, row: Row) -> str:
        return row_key(
            (self.name, self.version, self.takes), row, whole=self.takes == "row"
        )


def callable_reward(
    name: str,
    fn: Callable[..., Any],
    *,
    takes: Takes = "text",
    concurrency: int = 8,
    timeout: float = 30.0,
    retries: int = 2,
    cache_dir: str | Path | None = None,
    version: str = "",
) -> Reward:
    """A reward that any Python function computes, one response at a time.

    Rows that are equal are asked about once. An exception or a time-out is tried again
    after a wait that doubles; what still fails, and an answer that is None, NaN,
    infinite or not a number, makes the reward of that row absent. A progress bar
    appears where it takes longer than two seconds.

    A plain function runs in a thread, ``concurrency`` of them at once; one that hangs
    cannot be stopped and its thread is left behind. Every call of ``score`` runs its
    own event loop: an async function opens its clients inside.

    Args:
      name: Name of the reward, and of the function where a specification is read.
      fn: Plain or async. Gives back a number or Boolean, or a pair of one and a
        critique, which is kept beside the score.
      takes: ``"text"`` calls ``fn(prompt, response)`` with strings, ``"messages"`` with
        tuples of messages, ``"row"`` calls ``fn(row)`` with a
        :class:`~morl.rewards.batch.Row`, which has reference and metadata as well.
      concurrency: Calls under way at once.
      timeout: Seconds one try may take.
      retries: Tries after the first that failed.
      cache_dir: Where scores are kept, by the hash of name, version and row; failures
        are not kept. None keeps nothing.
      version: Change it with the function: scores of another version are not read.

    Returns:
      A reward declared as data-driven, without a range; say otherwise with
      ``dataclasses.replace(reward, range=(0, 1), declares=...)``.

    Raises:
      InputError: ``fn`` cannot be called so, or a limit is out of range.

    Examples:
      >>> from morl.rewards.batch import text_batch
      >>> def polite(prompt, response):
      ...     return 1.0 if "please" in response else None
      >>> judged = callable_reward("polite", polite).source.score(
      ...     text_batch(["q"] * 2, ["please wait", "wait"]))
      >>> judged.explanations
      ('scored 1', 'absent: returned None')
    """
    source = CallableSource(
        name,
        fn,
        takes,
        concurrency,
        timeout,
        retries,
        cache_dir=None if cache_dir is None else str(cache_dir),
        version=version,
    )
    return Reward(name, source=source, declares=Declarations(basis="data-driven"))


def _arguments(takes: str, row: Row) -> tuple[Any, ...]:
    if takes == "text":
        return row.prompt_text, row.text
    return (row.prompt, row.response) if takes == "messages" else (row,)


def _progress(name: str, total: int) -> "tqdm[Any]":
    return tqdm(
        total=total, desc=name, unit="call", delay=PROGRESS_AFTER_SECONDS, mininterval=1
    )
