"""Everything a run carries from step to step, and what it minimises."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt32

from morl.numerics import WeightedSum
from morl.types import Names
from morl.weighting import Weighting

Params: TypeAlias = PyTree[Array]
Batch: TypeAlias = PyTree[Array | np.ndarray]


class Outcome(NamedTuple):
    """What a batch, or part of one, says about the parameters.

    Attributes:
      losses: ``[k]`` undivided loss of every objective.
      metrics: Other undivided means by name, without a gradient.
    """

    losses: WeightedSum
    metrics: dict[str, WeightedSum]


class Program(NamedTuple):
    """What a run minimises; it knows neither devices nor optimizers.

    Attributes:
      names: One name a loss.
      outcome: From trained parameters, frozen ones, a batch and a key to its outcome.
        Rows of the batch are independent: outcomes of its parts add up to its own.
      evaluate: The same without randomness, for held-out batches.
    """

    names: Names
    outcome: Callable[[Params, Params, Batch, PRNGKeyArray], Outcome]
    evaluate: Callable[[Params, Params, Batch], Outcome]


class Progress(NamedTuple):
    """Counts of a run.

    Attributes:
      step: Updates tried: also the number of batches consumed, and so the position in
        the data.
      skipped: Updates left out because a loss or a gradient was not finite.
      in_a_row: Those among them since the last update.
    """

    step: Int[Array, ""]
    skipped: Int[Array, ""]
    in_a_row: Int[Array, ""]


class TrainState(NamedTuple):
    """What is checkpointed: a run that starts from it goes on to the bit.

    Attributes:
      progress: Counts; the position in the data is among them.
      params: What is trained, in float32.
      optimizer: State of the optimizer.
      weighting: State of the weighting.
      weights: ``[k]`` what each objective counts for; changing it compiles nothing.
      average: Moving average of the parameters; None where none is kept.
      key: Data of the random key of the run; each step folds its number in.
    """

    progress: Progress
    params: Params
    optimizer: Any
    weighting: Any
    weights: Float[Array, " k"]
    average: Params | None
    key: UInt32[Array, "..."]


def init_state(
    params: Params,
    optimizer: optax.GradientTransformation,
    weights: Float[Array, " k"],
    key: PRNGKeyArray,
    *,
    weighting: Weighting | None = None,
    averaged: bool = False,
) -> TrainState:
    """The state before the first step.

    Args:
      params: What is trained; kept in float32.
      optimizer: Whose state is made.
      weights: What each objective counts for.
      key: Of the run; used for nothing else.
      weighting: What chooses objective weights; the given ones hold without it.
      averaged: Whether a moving average of the parameters is kept.
    """
    zero = lambda: jnp.zeros((), jnp.int32)
    masters = jax.tree.map(lambda x: x.astype(jnp.float32), params)
    return TrainState(
        Progress(zero(), zero(), zero()),
        masters,
        optimizer.init(masters),
        () if weighting is None else weighting.init(weights.shape[0]),
        jnp.asarray(weights, jnp.float32),
        jax.tree.map(jnp.copy, masters) if averaged else None,
        jax.random.key_data(key),
    )
