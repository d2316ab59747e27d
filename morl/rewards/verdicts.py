"""What a judge said about a row, and where that is kept on disk."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from morl.errors import InputError
from morl.rewards.batch import Messages, Row, Scored, scored
from morl.rewards.calling import Failure
from morl.storage import content_hash, read_json, write_json

WRITERS = 8

logger = logging.getLogger(__name__)


@runtime_checkable
class _HasArray(Protocol):
    """What NumPy can read: arrays of JAX, NumPy and others, tensors on the host."""

    def __array__(self) -> np.ndarray: ...


class Verdict(NamedTuple):
    """A score with what was written beside it, or why there is none.

    Attributes:
      score: None where absent.
      critique: Empty where nothing was written.
      failure: The kind of failure, empty where there is a score.
      reason: The failure for people to read.
    """

    score: float | None
    critique: str = ""
    failure: str = ""
    reason: str = ""

    @property
    def explanation(self) -> str:
        """The critique, or the score, or why there is none."""
        if self.score is None:
            said = f"; it wrote: {self.critique}" if self.critique else ""
            return f"absent: {self.reason}{said}"
        return self.critique or f"scored {self.score:g}"


def verdict(result: Any) -> Verdict:
    """Reads what a function gave back: a number, a number with a text, or neither.

    Args:
      result: A number or Boolean, a pair of one and a critique, or a
        :class:`~morl.rewards.calling.Failure`. NaN, infinity, None and anything else
        make the verdict absent.

    Examples:
      >>> verdict((0.5, "Clear, but cold."))
      Verdict(score=0.5, critique='Clear, but cold.', failure='', reason='')
      >>> verdict("0.5").reason
      "returned '0.5', expected a number"
    """
    if isinstance(result, Failure):
        return Verdict(None, "", *result)
    critique = ""
    if isinstance(result, (tuple, list)) and len(result) == 2:
        result, text = result
        if text is not None and not isinstance(text, str):
            return _wrong(f"a critique {_shown(text)}", "text")
        critique = text or ""
    if result is None:
        return Verdict(None, critique, "None", "returned None")
    array = np.asarray(result) if np.isscalar(result) else _array(result)
    if array is None or array.ndim or array.dtype.kind not in "biuf":
        return _wrong(_shown(result), "a number")._replace(critique=critique)
    # A reward is a float32: a number it cannot hold is no number.
    with np.errstate(over="ignore"):
        single = float(np.float32(array))
    if not np.isfinite(single):
        reason = f"returned {result}, expected a finite number"
        return Verdict(None, critique, "not finite", reason)
    return Verdict(float(array), critique)


def _array(result: Any) -> np.ndarray | None:
    """An array of any library as NumPy's; None for what is not an array."""
    return np.asarray(result) if isinstance(result, _HasArray) else None


def _wrong(found: str, expected: str) -> Verdict:
    return Verdict(None, "", "wrong type", f"returned {found}, expected {expected}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


@dataclass(frozen=True)
class VerdictCache:
    """Verdicts on disk, one file each under the hash of what was judged.

    Only scores are kept: a row that failed is asked about again. A damaged file is
    reported, counts as missing, and is written anew.
    """

    folder: str

    def read(self, key: str) -> Verdict | None:
        """The verdict under ``key``, None where there is none that is whole."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            found = read_json(path)
        except (InputError, OSError):
            found = None
        if isinstance(found, dict) and found.get("digest") == content_hash(
            key, found.get("score"), found.get("critique")
        ):
            return Verdict(found["score"], found["critique"])
        logger.warning("%s is damaged; the row is judged again", path)
        return None

    def read_all(self, keys: Iterable[str]) -> dict[str, Verdict]:
        """The verdicts that are there, by key.

        Raises:
          InputError: The folder cannot be made.
        """
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot be used as a cache: {error.strerror}", where=self.folder
            ) from None
        read = {key: self.read(key) for key in keys}
        return {key: given for key, given in read.items() if given is not None}

    def write(self, key: str, given: Verdict) -> None:
        """Keeps a verdict that has a score; the file is whole or absent."""
        if given.score is None:
            return
        content = {"score": given.score, "critique": given.critique}
        digest = content_hash(key, given.score, given.critique)
        write_json(self._path(key), {**content, "digest": digest})

    def write_all(self, given: Mapping[str, Verdict]) -> None:
        """Keeps several at once: most of the time is waiting for the disk."""
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(self.write, given.keys(), given.values()))

    def _path(self, key: str) -> Path:
        return Path(self.folder) / key[:2] / f"{key}.json"


def row_key(question: tuple[str, ...], row: Row, *, whole: bool = True) -> str:
    """Hash of what is asked about a row: equal keys have equal answers.

    Args:
      question: Name and version of the judge, and what it is given.
      row: What is judged.
      whole: Whether the judge sees reference and metadata too.

    Raises:
      InputError: The metadata cannot be written as JSON.
    """
    parts: list[Any] = [plain_messages(row.prompt), plain_messages(row.response)]
    if whole:
        parts += [row.reference, dict(row.metadata)]
    try:
        return content_hash(question, *parts)
    except TypeError as error:
        raise InputError(
            f"metadata must be JSON, to tell rows apart: {error}", where=question[0]
        ) from None


def plain_messages(messages: Messages) -> list[dict[str, Any]]:
    """Messages as dictionaries, without optional fields that are empty."""
    return [
        {key: value for key, value in asdict(message).items() if value}
        | {"content": message.content}
        for message in messages
    ]


def scored_verdicts(name: str, verdicts: Sequence[Verdict]) -> Scored:
    """One verdict a row as scores; failures are counted and logged, once a batch."""
    failures = Counter(given.failure for given in verdicts if given.failure)
    if failures:
        counted = ", ".join(f"{kind} x{n}" for kind, n in failures.most_common())
        absent = f"{failures.total()} of {len(verdicts)} rows"
        logger.warning("%s is absent in %s (%s)", name, absent, counted)
    return scored(
        [given.score for given in verdicts],
        [given.explanation for given in verdicts],
        critiques=[given.critique for given in verdicts],
        failures=dict(failures),
    )


def check_takes(name: str, takes: str, allowed: tuple[str, ...]) -> None:
    """Refuses an unknown way of handing over a row."""
    if takes not in allowed:
        raise InputError(
            f"found {takes!r}, expected one of {', '.join(allowed)}",
            where=f"{name}.takes",
        )
