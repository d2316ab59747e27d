import json
import os
import signal
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from morl.errors import InputError
from morl.numerics import WeightedSum
from morl.storage import read_arrays
from morl.training.checkpoints import Checkpoints, CheckpointSettings
from morl.training.loop import (
    DONE,
    EARLY,
    OFFENDING,
    STOPPED,
    Fed,
    Job,
    LoopSettings,
    run_loop,
)
from morl.training.metrics import JsonLines
from morl.training.state import Outcome, Program, init_state
from morl.training.step import Update, make_step

NAMES = ("near", "far")
TARGETS = jnp.array([[1.0, 2.0], [-3.0, 4.0]])
NUM_STEPS = 12


class Points(NamedTuple):
    """Noise of each row, and which objectives count in it."""

    noise: jax.Array
    mask: jax.Array


def outcome(params, frozen, batch, key=None):
    """Squared distances from two noisy targets."""
    del frozen, key
    gaps = params["at"][None, None] - TARGETS[None] - batch.noise[:, None, None]
    total = jnp.sum(jnp.where(batch.mask, jnp.sum(gaps**2, axis=-1), 0), axis=0)
    found = WeightedSum(total, jnp.sum(batch.mask, axis=0, dtype=jnp.float32))
    return Outcome(found, {"distance": found})


PROGRAM = Program(NAMES, outcome, outcome)
UPDATE = Update(optax.adam(0.1))
STEP = jax.jit(make_step(PROGRAM, UPDATE))


def batches(start=0, *, broken=()):
    for number in range(start, 10_000):
        noise = np.random.default_rng(number).normal(size=(2, 4)).astype(np.float32)
        if number in broken:
            noise[1, 2] = np.nan
        yield Fed(Points(jnp.asarray(noise), jnp.ones((2, 4, 2), bool)), tokens=8)


def first_state():
    params = {"at": jnp.zeros(2)}
    return init_state(params, UPDATE.optimizer, jnp.ones(2), jax.random.key(0))


@pytest.fixture
def job():
    """Makes jobs, and closes their files."""
    opened = []

    def make(folder, *, step=0, evaluate=lambda _: {}, every=0, **kept):
        opened.append(JsonLines(folder / "metrics.jsonl", step))
        settings = CheckpointSettings(every=every, **kept)
        return Job(
            NAMES,
            STEP,
            {},
            evaluate,
            lambda _: 0.1,
            Checkpoints(folder / "checkpoints", settings),
            opened[-1:],
            {},
            folder,
        )

    yield make
    for each in opened:
        each.close()


def lines(folder):
    found = (folder / "metrics.jsonl").read_text()
    return [json.loads(line) for line in found.splitlines()]


def shapes(state):
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )


def test_a_run_does_its_steps_and_reports_them(tmp_path, job):
    settings = LoopSettings(num_steps=NUM_STEPS, log_every=5)
    ended = run_loop(job(tmp_path), first_state(), batches(), settings)
    assert (ended.reason, int(ended.state.progress.step)) == (DONE, NUM_STEPS)
    found = lines(tmp_path)
    assert [line["step"] for line in found] == [5, 10, 12, 12]
    assert {"loss/near", "loss/far", "weight/near", "gradient/norm"} <= found[0].keys()
    whole = lambda line: line["loss/near"] + line["loss/far"]
    assert whole(found[2]) < whole(found[0])


@pytest.mark.parametrize("at", [3, 4, 9])
def test_a_run_that_goes_on_ends_with_the_same_bits(tmp_path, job, at):
    settings = LoopSettings(num_steps=NUM_STEPS, log_every=1)
    whole = run_loop(job(tmp_path / "a"), first_state(), batches(), settings)
    (tmp_path / "b").mkdir()
    part = LoopSettings(num_steps=at, log_every=1)
    run_loop(job(tmp_path / "b", every=at), first_state(), batches(), part)
    again = job(tmp_path / "b", step=at)
    state = again.checkpoints.restore(shapes(first_state()))
    later = run_loop(again, state, batches(at), settings)
    jax.tree.map(np.testing.assert_array_equal, later.state, whole.state)
    measured = lambda folder: [
        line["loss/near"] for line in lines(folder) if "loss/near" in line
    ]
    assert measured(tmp_path / "b") == measured(tmp_path / "a")


def test_a_batch_that_is_not_finite_is_skipped_and_counted(tmp_path, job):
    settings = LoopSettings(num_steps=4, log_every=1)
    ended = run_loop(job(tmp_path), first_state(), batches(broken=[2]), settings)
    assert int(ended.state.progress.skipped) == 1
    assert np.isfinite(ended.state.params["at"]).all()
    assert [line.get("skipped") for line in lines(tmp_path)][:4] == [0, 0, 1, 1]


def test_a_skipped_step_leaves_parameters_and_optimizer_as_they_were():
    state = first_state()
    state, _ = STEP(state, {}, next(batches()).batch)
    later, metrics = STEP(state, {}, next(batches(broken=[0])).batch)
    assert not metrics.finite
    same = ("params", "optimizer", "weighting", "weights", "key")
    for name in same:
        jax.tree.map(
            np.testing.assert_array_equal, getattr(later, name), getattr(state, name)
        )
    assert int(later.progress.step) == 2


def test_many_in_a_row_end_the_run_and_leave_the_batch(tmp_path, job):
    settings = LoopSettings(num_steps=NUM_STEPS, most_skipped=3)
    broken = range(2, NUM_STEPS)
    with pytest.raises(
        InputError, match="not finite in 3 steps in a row, up to step 5"
    ):
        run_loop(job(tmp_path), first_state(), batches(broken=broken), settings)
    arrays, _ = read_arrays(tmp_path / OFFENDING)
    assert np.isnan(arrays["noise"]).sum() == 1


def test_a_run_ends_early_where_the_held_out_loss_does_not_fall(tmp_path, job):
    losses = iter([3.0, 2.0, 2.5, 2.1, 1.0])
    settings = LoopSettings(num_steps=NUM_STEPS, evaluate_every=2, patience=2)
    found = job(tmp_path, evaluate=lambda _: {"evaluation/loss": next(losses)})
    ended = run_loop(found, first_state(), batches(), settings)
    assert (ended.reason, int(ended.state.progress.step)) == (EARLY, 8)


def test_patience_goes_on_where_it_was(tmp_path, job):
    def evaluations(*losses):
        left = iter(losses)
        return lambda _: {"evaluation/loss": next(left)}

    part = LoopSettings(num_steps=4, evaluate_every=2, patience=2)
    first = job(tmp_path, every=2, evaluate=evaluations(2.0, 2.5))
    state = run_loop(first, first_state(), batches(), part).state
    whole = LoopSettings(num_steps=NUM_STEPS, evaluate_every=2, patience=2)
    again = job(tmp_path, step=4, every=2, evaluate=evaluations(2.1))
    ended = run_loop(again, state, batches(4), whole)
    assert (ended.reason, int(ended.state.progress.step)) == (EARLY, 6)


def test_a_run_that_is_done_knows_its_last_evaluation(tmp_path, job):
    settings = LoopSettings(num_steps=4)
    first = job(tmp_path, evaluate=lambda _: {"evaluation/loss": 0.5})
    state = run_loop(first, first_state(), batches(), settings).state
    again = run_loop(job(tmp_path, step=4), state, batches(4), settings)
    assert again.metrics == {"evaluation/loss": 0.5}


def test_sigterm_saves_and_ends(tmp_path, job):
    def until(stop):
        for number, fed in enumerate(batches()):
            if number == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            yield fed

    settings = LoopSettings(num_steps=NUM_STEPS)
    found = job(tmp_path)
    ended = run_loop(found, first_state(), until(4), settings)
    assert ended.reason == STOPPED
    assert [saved.step for saved in found.checkpoints.good()] == [5]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_best_by_a_metric_is_kept(tmp_path, job):
    values = iter([0.5, 0.9, 0.2, 0.3])
    settings = LoopSettings(num_steps=8, evaluate_every=2)
    found = job(
        tmp_path,
        evaluate=lambda _: {"accuracy": next(values)},
        every=2,
        keep=1,
        best_by="accuracy",
    )
    run_loop(found, first_state(), batches(), settings)
    assert [saved.step for saved in found.checkpoints.good()] == [4, 8]
    assert found.checkpoints.best().step == 4


def test_a_checkpoint_is_not_judged_by_an_evaluation_of_an_earlier_state(tmp_path, job):
    values = iter([0.5, 0.9])
    settings = LoopSettings(num_steps=8, evaluate_every=4)
    found = job(
        tmp_path,
        evaluate=lambda _: {"accuracy": next(values)},
        every=2,
        keep=4,
        best_by="accuracy",
    )
    run_loop(found, first_state(), batches(), settings)
    known = {s.step: s.metrics.get("accuracy") for s in found.checkpoints.good()}
    assert known == {2: None, 4: 0.5, 6: None, 8: 0.9}


def test_a_metric_that_no_evaluation_gives_is_refused_at_the_first(tmp_path, job):
    settings = LoopSettings(num_steps=8, evaluate_every=4)
    found = job(tmp_path, evaluate=lambda _: {"accuracy": 0.5}, best_by="acuracy")
    with pytest.raises(InputError, match="'acuracy', evaluations give accuracy"):
        run_loop(found, first_state(), batches(), settings)


def test_lines_behind_the_step_that_a_run_goes_on_from_are_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = JsonLines(path, 0)
    for step in range(1, 6):
        first.log(step, {"a": float(step)})
    first.close()
    with path.open("a") as handle:
        handle.write('{"step": 6, "a"')
    again = JsonLines(path, 3)
    again.log(4, {"a": np.nan})
    again.close()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4]
    assert lines(tmp_path)[-1]["a"] is None
