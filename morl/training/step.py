"""One update, written once: by which devices it is computed is decided elsewhere."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from morl.numerics import WeightedSum, gramian
from morl.training.state import Batch, Outcome, Params, Program, Progress, TrainState
from morl.weighting import (
    Signals,
    Weighting,
    combine,
    gradient_cosines,
    rows_with_aux,
)


class Reduction(NamedTuple):
    """How parts of a batch that devices hold become one.

    Attributes:
      spread: Makes replicated parameters those of each device, whose gradients are then
        of its own part of the batch.
      total: Sum over the devices.
    """

    spread: Callable[[PyTree], PyTree]
    total: Callable[[PyTree], PyTree]


WHOLE = Reduction(lambda tree: tree, lambda tree: tree)


class Metrics(NamedTuple):
    """What a step reports.

    Attributes:
      losses: Mean loss of each objective; 0 without labels.
      counts: What each was divided by.
      weights: What each objective's gradient counted for.
      residual: Of the weighting's solution; 0 for weights that are given.
      cosines: Cosines between the objectives' gradients; None for given weights.
      gradient_norm: Of the combined gradient.
      finite: Whether the update was taken.
      others: The program's own metrics.
    """

    losses: Float[Array, " k"]
    counts: Float[Array, " k"]
    weights: Float[Array, " k"]
    residual: Float[Array, ""]
    cosines: Float[Array, "k k"] | None
    gradient_norm: Float[Array, ""]
    finite: Bool[Array, ""]
    others: dict[str, WeightedSum]


class Update(NamedTuple):
    """What turns gradients into parameters.

    Attributes:
      optimizer: An optax chain, clipping and schedule included.
      weighting: What chooses the objectives' weights from their gradients; None takes
        those of the state, by one backward pass.
      decay: Of the moving average, where the state holds one.
    """

    optimizer: optax.GradientTransformation
    weighting: Weighting | None = None
    decay: float = 0.999


Step = Callable[[TrainState, Params, Batch], tuple[TrainState, Metrics]]


def make_step(program: Program, update: Update, reduction: Reduction = WHOLE) -> Step:
    """One update from a batch of micro-batches ``[a, b, ...]``.

    Losses are divided once, by the labels of the whole batch over all micro-batches and
    devices, so neither their number nor their share of labels changes the gradient.

    Args:
      program: What is minimised.
      update: How.
      reduction: How the parts of several devices add up.
    """

    def step(
        state: TrainState, frozen: Params, batch: Batch
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(
            jax.random.wrap_key_data(state.key), state.progress.step
        )
        outcome = lambda params, part: program.outcome(params, frozen, part, key)
        counts = reduction.total(_counts(outcome, state.params, batch))
        grads = _given if update.weighting is None else _chosen
        found = grads(outcome, state, batch, counts, reduction, update)
        return _applied(state, found, counts, update)

    return step


class _Found(NamedTuple):
    """A combined gradient, and how it came about."""

    gradient: Params
    losses: Float[Array, " k"]
    others: dict[str, WeightedSum]
    weights: Float[Array, " k"]
    residual: Float[Array, ""]
    cosines: Float[Array, "k k"] | None
    weighting: PyTree


Partial = Callable[[Params, Batch], Outcome]


def _counts(outcome: Partial, params: Params, batch: Batch) -> Float[Array, " k"]:
    """What the losses of all micro-batches are divided by.

    It is a function of the labels alone: what else the outcome holds is never computed.
    """
    parts = jax.lax.map(lambda part: outcome(params, part).losses.weight, batch)
    return jnp.sum(parts, axis=0)


def _over_parts(
    fn: Callable[[Batch], PyTree], batch: Batch, reduction: Reduction
) -> PyTree:
    """Sums ``fn`` over micro-batches, in float32 and one at a time."""
    count = jax.tree.leaves(batch)[0].shape[0]
    first = jax.tree.map(lambda x: x[0], batch)
    if count == 1:
        return fn(first)
    shapes = jax.eval_shape(fn, first)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    add = lambda total, part: (jax.tree.map(jnp.add, total, fn(part)), None)
    return jax.lax.scan(add, reduction.spread(zeros), batch)[0]


def _means(outcome: Outcome, counts: Float[Array, " k"]) -> Float[Array, " k"]:
    """This part's share of each mean loss, finite where there are no labels."""
    safe = jnp.where(counts > 0, counts, 1)
    return jnp.where(counts > 0, outcome.losses.total, 0) / safe


def _given(
    outcome: Partial,
    state: TrainState,
    batch: Batch,
    counts: Float[Array, " k"],
    reduction: Reduction,
    update: Update,
) -> _Found:
    """The gradient of the losses weighted as the state says, by one backward pass."""
    del update
    weights = jnp.where(counts > 0, state.weights, 0)

    def total(params: Params, part: Batch) -> tuple[Float[Array, ""], tuple]:
        found = outcome(params, part)
        means = _means(found, counts)
        return jnp.sum(weights * means), (means, found.metrics)

    params = reduction.spread(state.params)
    backward = jax.grad(total, has_aux=True)
    found = reduction.total(_over_parts(partial(backward, params), batch, reduction))
    gradient, (losses, others) = found
    none = jnp.zeros(())
    return _Found(gradient, losses, others, weights, none, None, state.weighting)


def _chosen(
    outcome: Partial,
    state: TrainState,
    batch: Batch,
    counts: Float[Array, " k"],
    reduction: Reduction,
    update: Update,
) -> _Found:
    """The gradient with the weights that a weighting chooses, from all K gradients."""
    assert update.weighting is not None

    def means(params: Params, part: Batch) -> tuple[Float[Array, " k"], dict]:
        found = outcome(params, part)
        return _means(found, counts), found.metrics

    params = reduction.spread(state.params)
    each = lambda part: rows_with_aux(partial(means, part=part), params)
    losses, rows, others = reduction.total(_over_parts(each, batch, reduction))
    products = gramian(rows)
    present = counts > 0
    signals = Signals(products, losses, present)
    solution, weighting = update.weighting.update(signals, state.weighting)
    weights = jnp.where(present, solution.weights, 0)
    gradient = combine(weights, rows, present=present)
    cosines = gradient_cosines(products, present)
    return _Found(
        gradient, losses, others, weights, solution.residual, cosines, weighting
    )


def _applied(
    state: TrainState, found: _Found, counts: Float[Array, " k"], update: Update
) -> tuple[TrainState, Metrics]:
    """The next state; the same but for its counts where something is not finite."""
    norm = optax.tree.norm(found.gradient)
    finite = jnp.isfinite(norm) & jnp.all(jnp.isfinite(found.losses))
    moves, optimizer = update.optimizer.update(
        found.gradient, state.optimizer, state.params
    )
    params = optax.apply_updates(state.params, moves)
    average = state.average
    if average is not None:
        average = optax.incremental_update(params, average, 1 - update.decay)
    fresh = (params, optimizer, found.weighting, average)
    old = (state.params, state.optimizer, state.weighting, state.average)
    kept = jax.tree.map(lambda new, last: jnp.where(finite, new, last), fresh, old)
    progress = Progress(
        state.progress.step + 1,
        state.progress.skipped + ~finite,
        jnp.where(finite, 0, state.progress.in_a_row + 1),
    )
    params, optimizer, weighting, average = kept
    later = TrainState(
        progress, params, optimizer, weighting, state.weights, average, state.key
    )
    metrics = Metrics(
        found.losses,
        counts,
        found.weights,
        found.residual,
        found.cosines,
        norm,
        finite,
        found.others,
    )
    return later, metrics
