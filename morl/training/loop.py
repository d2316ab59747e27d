"""The loop of a run: steps, reports, held-out evaluations, checkpoints, and its end."""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from morl.errors import InputError
from morl.storage import write_arrays
from morl.training.bounds import check_numbers
from morl.training.checkpoints import Checkpoints, Saved
from morl.training.features import Progress
from morl.training.hardware import peak_memory
from morl.training.mesh import path_name
from morl.training.metrics import (
    Clock,
    Compilations,
    Tracker,
    log_all,
    named_metrics,
)
from morl.training.processes import are_several, first_does, whole_array
from morl.training.state import Batch, Params, TrainState
from morl.training.step import Metrics, Step
from morl.types import Names

IN_FLIGHT = 2  # on a CPU, some hundred collective steps in flight can deadlock
OFFENDING = "offending_batch.safetensors"
# Under which a checkpoint keeps what an early stop goes by.
LOWEST, STALE = "patience/lowest", "patience/stale"
DONE, EARLY, STOPPED = "done", "early", "stopped"


@dataclass(frozen=True)
class LoopSettings:
    """How long a run goes on, and how often it looks around.

    Args:
      num_steps: Updates.
      log_every: Steps between lines of metrics.
      evaluate_every: Steps between evaluations on held-out feedback; 0 evaluates at
        the end alone.
      patience: Evaluations without a better loss before the run ends; 0 never ends it.
      most_skipped: Updates in a row that may be left out because something is not
        finite, before the run ends.

    Raises:
      InputError: A number is out of its range.
    """

    num_steps: int = 1000
    log_every: int = 10
    evaluate_every: int = 100
    patience: int = 0
    most_skipped: int = 5

    def __post_init__(self) -> None:
        """Refuses what cannot be done."""
        least = {"num_steps": 1, "log_every": 1, "evaluate_every": 0}
        check_numbers(
            "training", vars(self), least | {"patience": 0, "most_skipped": 1}
        )


class Fed(NamedTuple):
    """A batch where the step wants it, and how many tokens it holds.

    Attributes:
      batch: ``[a, b, ...]`` arrays.
      tokens: Tokens of its rows, padding left out.
    """

    batch: Batch
    tokens: int


class Stop:
    """Whether somebody asked the run to end: SIGTERM, as before a preemption.

    Of several processes it is enough that one is asked: all end behind the same step,
    which JAX's coordination service chooses and which is no earlier than any has seen.
    """

    def __init__(self) -> None:
        """Nobody has."""
        self._asked = False
        self._before: Any = None

    def __enter__(self) -> "Stop":
        """Listens, where this is the main thread and JAX does not."""
        here = threading.current_thread() is threading.main_thread()
        if here and not are_several():
            self._before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Listens no more."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._asked = True

    def asked(self, step: int) -> bool:
        """Whether the run ends behind this step; asked of every step, once."""
        if are_several():
            return multihost_utils.reached_preemption_sync_point(step)
        return self._asked


class Job(NamedTuple):
    """What a loop works with.

    Attributes:
      names: The objectives.
      step: The compiled update.
      frozen: Parameters that it does not change.
      evaluate: From a state to numbers on held-out feedback.
      learning_rate: Of a step.
      checkpoints: Where states are kept.
      trackers: Where metrics go.
      about: What the run says of itself in a checkpoint.
      out: Folder of its results.
      flops_per_token: Operations of a step; 0 where the model is not in it.
      peak_flops: Operations a second of all its devices; None where it is not known.
    """

    names: Names
    step: Step
    frozen: Params
    evaluate: Callable[[TrainState], Mapping[str, float]]
    learning_rate: Callable[[int], Any]
    checkpoints: Checkpoints
    trackers: Sequence[Tracker]
    about: Mapping[str, Any]
    out: Path
    flops_per_token: float = 0.0
    peak_flops: float | None = None


class Ended(NamedTuple):
    """How a run ended.

    Attributes:
      state: Its last state.
      reason: :data:`DONE`, :data:`EARLY` or :data:`STOPPED`.
      metrics: Its last evaluation.
    """

    state: TrainState
    reason: str
    metrics: dict[str, float]


def run_loop(
    job: Job,
    state: TrainState,
    batches: Iterator[Fed],
    settings: LoopSettings,
    *,
    progress: Progress | None = None,
) -> Ended:
    """Goes on from a state until the last step, an early stop or SIGTERM.

    Args:
      job: What to work with.
      state: Where to go on; its counts say at which step.
      batches: Those behind that step, in order.
      settings: How long, how often.
      progress: Called with steps done and in all.

    Raises:
      InputError: Too many updates in a row were not finite; the last batch is saved.
    """
    loop = _Loop(job, settings, state)
    try:
        with Stop() as stop:
            reason = _run(loop, stop, batches, settings, progress)
            loop.finish()  # a second SIGTERM does not end what is being saved
    finally:
        # What is being saved needs an interpreter that is not about to leave.
        job.checkpoints.settle()
        loop.compilations.close()
    return Ended(loop.state, reason, loop.evaluated)


def _run(
    loop: "_Loop",
    stop: Stop,
    batches: Iterator[Fed],
    settings: LoopSettings,
    progress: Progress | None,
) -> str:
    """The steps of a run; returns why it ended."""
    every = loop.job.checkpoints.settings.every
    while loop.step < settings.num_steps:
        loop.advance(next(batches))
        if progress is not None:
            progress(loop.step, settings.num_steps)
        asked = stop.asked(loop.step)
        last = loop.step == settings.num_steps or asked
        due = settings.evaluate_every and not loop.step % settings.evaluate_every
        if (due or last) and not asked:
            loop.evaluate()
        if last or (every and not loop.step % every):
            loop.save()
        if asked:
            return STOPPED
        if settings.patience and loop.stale >= settings.patience:
            loop.save()
            return EARLY
    return DONE


def evaluated(saved: Saved) -> dict[str, float]:
    """The evaluation that a checkpoint was saved with; empty where there was none."""
    return {n: v for n, v in saved.metrics.items() if n not in (LOWEST, STALE)}


class _Pending(NamedTuple):
    step: int
    metrics: Metrics
    fed: Fed


class _Loop:
    """The moving parts of a loop."""

    def __init__(self, job: Job, settings: LoopSettings, state: TrainState) -> None:
        self.job, self.settings, self.state = job, settings, state
        counts = jax.device_get(state.progress)
        self.step, self.skipped = int(counts.step), int(counts.skipped)
        self.in_a_row = int(counts.in_a_row)
        self.pending: deque[_Pending] = deque()
        self.clock, self.compilations = Clock(), Compilations()
        self.evaluated: dict[str, float] = {}
        self.evaluated_at = -1
        self.lowest, self.stale = np.inf, 0
        self._recall()

    def _recall(self) -> None:
        """What was known of this step when it was saved, if it was."""
        for saved in self.job.checkpoints.good():
            if saved.step == self.step:
                self.evaluated = evaluated(saved)
                self.lowest = saved.metrics.get(LOWEST, np.inf)
                self.stale = int(saved.metrics.get(STALE, 0))
                self.evaluated_at = self.step

    def advance(self, fed: Fed) -> None:
        """One step more; waits for the one before the last."""
        self.state, metrics = self.job.step(self.state, self.job.frozen, fed.batch)
        self.step += 1
        self.pending.append(_Pending(self.step, metrics, fed))
        if len(self.pending) >= IN_FLIGHT:
            self._settle()

    def _settle(self) -> None:
        """Waits for the oldest step in flight, and reports it."""
        step, metrics, fed = self.pending.popleft()
        found = jax.device_get(metrics)
        self.clock.passed(fed.tokens)
        if found.finite:
            self.in_a_row = 0
        else:
            self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
            if self.in_a_row >= self.settings.most_skipped:
                self._give_up(step, fed)
        if not step % self.settings.log_every or step == self.settings.num_steps:
            rate = float(self.job.learning_rate(step - 1))
            values = named_metrics(found, self.job.names, learning_rate=rate)
            log_all(self.job.trackers, step, values | self._counts())

    def _counts(self) -> dict[str, float]:
        job, pace = self.job, self.clock.pace()
        found = {
            "tokens_per_second": pace.tokens / pace.seconds,
            "skipped": float(self.skipped),
            "compilations": float(self.compilations.count),
        }
        if job.flops_per_token and job.peak_flops is not None:
            rate = found["tokens_per_second"] * job.flops_per_token
            found["flops_utilisation"] = rate / job.peak_flops
        peak = peak_memory(jax.local_devices())
        if peak is not None:
            found["memory/peak_bytes"] = float(peak)
        return found

    def _drain(self) -> None:
        while self.pending:
            self._settle()

    def evaluate(self) -> None:
        """Numbers on held-out feedback, and whether they are better."""
        self._drain()
        self.evaluated = dict(self.job.evaluate(self.state))
        self.evaluated_at = self.step
        wanted = self.job.checkpoints.settings.best_by
        if wanted and wanted not in self.evaluated:
            raise InputError(
                f"found {wanted!r}, evaluations give "
                f"{', '.join(sorted(self.evaluated)) or 'nothing'}",
                where="checkpoint.best_by",
            )
        log_all(self.job.trackers, self.step, self.evaluated)
        loss = self.evaluated.get("evaluation/loss", np.nan)
        if loss < self.lowest:
            self.lowest, self.stale = loss, 0
        else:
            self.stale += 1
        self.clock.pace()

    def save(self) -> None:
        """Begins to save the state."""
        self._drain()
        # A state is judged by its own evaluation, and by no earlier one.
        own = self.evaluated if self.evaluated_at == self.step else {}
        known = own | {STALE: float(self.stale)}
        if np.isfinite(self.lowest):
            known[LOWEST] = float(self.lowest)
        self.job.checkpoints.save(
            self.step, self.state, metrics=known, about=self.job.about
        )

    def finish(self) -> None:
        """Waits for what is under way."""
        self._drain()
        self.job.checkpoints.wait()

    def _give_up(self, step: int, fed: Fed) -> None:
        # Of several processes all come here, and exchange nothing beside a step.
        jax.block_until_ready(self.state)
        place = self.job.out / OFFENDING
        leaves, _ = jax.tree_util.tree_flatten_with_path(fed.batch)
        batch = {path_name(path): whole_array(leaf) for path, leaf in leaves}
        first_does(lambda: write_arrays(place, batch))
        self.job.checkpoints.wait()
        raise InputError(
            f"the loss or its gradient was not finite in {self.in_a_row} steps in a "
            f"row, up to step {step}; the parameters are those before them. The last "
            f"batch is in {place}: lower the learning rate, or look at it",
            where="training",
        )
