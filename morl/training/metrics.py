"""Metrics of a run: named numbers a step, as JSON lines and to trackers."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from morl.errors import InputError
from morl.storage import write_text
from morl.training.step import Metrics
from morl.types import Names

COMPILED = "/jax/core/compile/backend_compile_duration"


@runtime_checkable
class Tracker(Protocol):
    """Where metrics go; nobody subclasses it."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers of one step."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


class JsonLines:
    """One JSON object a line; what is behind the step that a run goes on from is cut.

    Args:
      path: The file.
      step: Where the run goes on: 0 begins anew.
    """

    def __init__(self, path: Path, step: int) -> None:
        """Opens the file, or cuts it."""
        kept = ""
        if step and path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = "".join(
                f"{line}\n" for line in lines if _step_of_line(line) in range(step + 1)
            )
        write_text(path, kept)
        self._handle = path.open("a", encoding="utf-8")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a line; what is not finite is null, since JSON has no name for it."""
        row = {"step": step} | {
            name: value if np.isfinite(value) else None
            for name, value in values.items()
        }
        with self._named():
            self._handle.write(json.dumps(row) + "\n")
            self._handle.flush()

    def close(self) -> None:
        """Closes the file."""
        with self._named():
            self._handle.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """A write to an open file fails without its name, as on a full disk."""
        try:
            yield
        except OSError as error:
            error.filename = self._handle.name
            raise


def _step_of_line(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        # The line that a kill cut short.
        return -1


def open_tracker(name: str, folder: Path, about: Mapping[str, Any]) -> Tracker:
    """A tracker by its name, from the ``track`` extra.

    Raises:
      InputError: The name is not known, or its package is missing.
    """
    from morl.training.trackers import OPEN

    if name not in OPEN:
        raise InputError(
            f"found {name!r}, expected one of {', '.join(OPEN)}", where="trackers"
        )
    try:
        return OPEN[name](folder, about)
    except ImportError:
        raise InputError(
            f"{name} is not installed: pip install 'morl[track]'", where="trackers"
        ) from None


def named_metrics(
    metrics: Metrics, names: Names, *, learning_rate: float
) -> dict[str, float]:
    """The numbers of a step under their names.

    Args:
      metrics: On the host.
      names: The objectives.
      learning_rate: Of the step.
    """
    found: dict[str, float] = {"learning_rate": learning_rate}
    for place, name in enumerate(names):
        if metrics.counts[place] > 0:
            found[f"loss/{name}"] = float(metrics.losses[place])
        found[f"weight/{name}"] = float(metrics.weights[place])
        for key, each in metrics.others.items():
            if each.weight[place] > 0:
                found[f"{key}/{name}"] = float(each.total[place] / each.weight[place])
    found["gradient/norm"] = float(metrics.gradient_norm)
    found["weighting/residual"] = float(metrics.residual)
    if metrics.cosines is not None:
        for i, first in enumerate(names):
            for j, second in enumerate(names[:i]):
                value = float(metrics.cosines[i, j])
                found[f"gradient/cosine/{second}/{first}"] = value
    return found


class Compilations:
    """Counts the programs that this process compiles, from when it is made."""

    def __init__(self) -> None:
        """Begins to count."""
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._heard)

    def _heard(self, event: str, duration_secs: float, **_: str | int) -> None:
        del duration_secs
        self.count += event == COMPILED

    def close(self) -> None:
        """Stops counting."""
        jax.monitoring.unregister_event_duration_listener(self._heard)


class Pace(NamedTuple):
    """Tokens and seconds since the last report."""

    tokens: int
    seconds: float


class Clock:
    """How fast a run is, between reports."""

    def __init__(self) -> None:
        """Starts."""
        self._tokens, self._since = 0, time.perf_counter()

    def passed(self, tokens: int) -> None:
        """So many tokens more were computed."""
        self._tokens += tokens

    def pace(self) -> Pace:
        """Since the last call."""
        now = time.perf_counter()
        found = Pace(self._tokens, max(now - self._since, 1e-9))
        self._tokens, self._since = 0, now
        return found


def log_all(
    trackers: Sequence[Tracker], step: int, values: Mapping[str, float]
) -> None:
    """The same numbers to every tracker."""
    for tracker in trackers:
        tracker.log(step, values)
