"""A run that trains a reward model: start or go on, train, evaluate, keep the best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from morl.errors import InputError
from morl.storage import content_hash
from morl.training.checkpoints import Checkpoints, CheckpointSettings
from morl.training.features import Progress
from morl.training.hardware import on_host, peak_flops
from morl.training.loop import Ended, Job, LoopSettings, evaluated, run_loop
from morl.training.metrics import Tracker
from morl.training.order import Drawn, Prefetched
from morl.training.processes import first_alone
from morl.training.reward_design import Design, Parts, TrainingSettings, start
from morl.training.reward_rows import RowMaker, data_order, make_fed
from morl.training.state import Outcome, Params, TrainState
from morl.training.strategies import Route
from morl.types import Names

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class RunPlan:
    """Where and how long a run goes.

    Args:
      out: Folder of its results.
      boundaries: Lengths that rows are padded to.
      loop: How long, how often.
      checkpoint: When it is saved.
      about: What makes this run another than its neighbours: it goes on only from
        checkpoints that say the same.
      flops_per_token: Of a step; 0 where the model is not in it.
    """

    out: Path
    boundaries: tuple[int, ...]
    loop: LoopSettings
    checkpoint: CheckpointSettings
    about: Mapping[str, Any]
    flops_per_token: float = 0.0


class Trained(NamedTuple):
    """What a run ends with.

    Attributes:
      params: The best parameters by the metric of the checkpoints, or the last; the
        moving average where one was kept.
      ended: How it ended.
      metrics: What is known of these parameters on held-out feedback.
    """

    params: Params
    ended: Ended
    metrics: Mapping[str, float]


def train_reward_model(
    parts: Parts,
    design: Design,
    settings: TrainingSettings,
    training: RowMaker,
    validation: RowMaker | None,
    *,
    route: Route,
    plan: RunPlan,
    trackers: Callable[[int], Sequence[Tracker]],
    progress: Progress | None = None,
) -> Trained:
    """Trains from the newest good checkpoint of the run, or from the start.

    Args:
      parts: Program, update and first parameters.
      design: As they were made from.
      settings: Likewise.
      training: The rows to learn from.
      validation: Those that only test.
      route: By which devices, and how.
      plan: Where and how long.
      trackers: From the step where the run goes on to where metrics go; asked of the
        first process alone.
      progress: Called with steps done and in all.

    Raises:
      InputError: Checkpoints of another run are in the folder.
    """
    checkpoints = Checkpoints(plan.out / CHECKPOINTS, plan.checkpoint)
    first = jax.eval_shape(lambda: start(parts, design, settings))
    with on_host():
        begun = start(parts, design, settings)
    state = route.place_params(begun)
    frozen = route.place_params(parts.frozen)
    check_same_run(checkpoints, plan.about)
    wanted = _wanted(first, state)
    found = checkpoints.restore(wanted)
    state = state if found is None else found
    step = int(jax.device_get(state.progress.step))
    rows = settings.batch_size * settings.accumulate
    order = data_order(training, plan.boundaries, rows, settings.seed)
    share = route.share(settings.batch_size)

    def fed(drawn: Drawn) -> Any:
        return make_fed(
            training,
            drawn,
            accumulate=settings.accumulate,
            share=share,
            place=route.place_batch,
        )

    opened = first_alone(lambda: trackers(step)) or ()
    batches = Prefetched(order.after(step), fed)
    job = Job(
        parts.program.names,
        route.step,
        frozen,
        _evaluation(parts.program.names, validation, settings, route, frozen, plan),
        design.learning_rate,
        checkpoints,
        opened,
        plan.about,
        plan.out,
        plan.flops_per_token,
        peak_flops(jax.devices()),
    )
    try:
        ended = run_loop(job, state, batches, plan.loop, progress=progress)
    finally:
        batches.close()
        for tracker in opened:
            tracker.close()
    kept, metrics = ended.state, ended.metrics
    best = checkpoints.best() if plan.checkpoint.best_by else None
    if best is not None and best.step != int(jax.device_get(kept.progress.step)):
        restored = checkpoints.restore(wanted, best.step)
        assert restored is not None  # a step that is asked for is there, or an error
        kept, metrics = restored, evaluated(best)
    params = kept.params if kept.average is None else kept.average
    return Trained(params, ended, metrics)


def check_same_run(checkpoints: Checkpoints, about: Mapping[str, Any]) -> None:
    """Refuses to go on from what another run left.

    Raises:
      InputError: Names what differs.
    """
    for saved in checkpoints.good():
        differs = sorted(
            key
            for key in saved.about.keys() | about.keys()
            if content_hash(saved.about.get(key)) != content_hash(about.get(key))
        )
        if differs:
            raise InputError(
                f"holds checkpoints of a run with another {', '.join(differs)}: give "
                "another out, or delete them to begin anew",
                where=str(checkpoints.folder),
            )


def _wanted(shapes: TrainState, state: TrainState) -> TrainState:
    """Shapes and types of a state, where its arrays are."""
    return jax.tree.map(
        lambda shape, leaf: jax.ShapeDtypeStruct(
            shape.shape, shape.dtype, sharding=leaf.sharding
        ),
        shapes,
        state,
    )


def _evaluation(
    names: Names,
    validation: RowMaker | None,
    settings: TrainingSettings,
    route: Route,
    frozen: Params,
    plan: RunPlan,
) -> Callable[[TrainState], Mapping[str, float]]:
    """Mean losses and accuracies over all held-out rows."""
    if validation is None:
        return lambda _: {}
    order = data_order(validation, plan.boundaries, settings.batch_size, settings.seed)
    share = route.share(settings.batch_size)

    def evaluate(state: TrainState) -> Mapping[str, float]:
        params = state.params if state.average is None else state.average
        total: Outcome | None = None
        for drawn in order.epoch(0):
            fed = make_fed(
                validation, drawn, accumulate=1, share=share, place=route.place_batch
            )
            found = jax.device_get(route.evaluate(params, frozen, fed.batch))
            total = found if total is None else jax.tree.map(np.add, total, found)
        assert total is not None
        return evaluation_metrics(total, names)

    return evaluate


def evaluation_metrics(outcome: Outcome, names: Names) -> dict[str, float]:
    """Means under their names, and the mean loss of the objectives that have labels."""
    found: dict[str, float] = {}
    losses = []
    for place, name in enumerate(names):
        parts = {"loss": outcome.losses, **outcome.metrics}
        for key, each in parts.items():
            if each.weight[place] > 0:
                value = float(each.total[place] / each.weight[place])
                found[f"evaluation/{key}/{name}"] = value
                if key == "loss":
                    losses.append(value)
    if losses:
        found["evaluation/loss"] = float(np.mean(losses))
    return found
