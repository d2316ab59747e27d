"""DWA: the objectives whose losses fall slowest count most."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_losses,
    present_of,
    watched,
)
from morl.weighting.shares import shares

# Ratios beyond it are as good as infinite, and their differences must stay finite.
LARGEST_RATIO = 1e6


class AverageState(NamedTuple):
    """Mean losses of the last two epochs, and the sums of the one that runs.

    Attributes:
      step: Steps taken in this epoch.
      total: Sum of the losses seen in this epoch.
      count: How often each one was seen in it.
      last: Mean loss of the last epoch that saw the objective.
      before: Mean loss of the one before that.
      epochs: How many epochs saw the objective.
    """

    step: Int[Array, ""]
    total: Float[Array, " k"]
    count: Int[Array, " k"]
    last: Float[Array, " k"]
    before: Float[Array, " k"]
    epochs: Int[Array, " k"]


def dynamic_average(*, num_steps: int = 1, temperature: float = 2.0) -> Weighting:
    r"""Softmax of how the mean loss of an epoch compares with that of the one before.

    .. math:: w_k \propto \exp(\rho_k / T), \qquad
              \rho_k = \bar\ell_k(e - 1) / \bar\ell_k(e - 2)

    Args:
      num_steps: Steps of an epoch, over which losses are averaged. Losses of single
        batches (1) are noisy; the paper takes whole epochs.
      temperature: :math:`T > 0`; the larger, the more even.

    Returns:
      A :class:`Weighting` with residual 0 that needs positive losses. Its weights add
      up to 1 (to K in the paper) and are even until two epochs have seen an objective.
      The ratio of an objective stands still while it is absent.

    References:
      Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention
      (arXiv:1803.10704), 2019, equation 7.
    """

    losses_of = partial(present_losses, method="dynamic_average")

    def init(num_objectives: int) -> State:
        real = jnp.zeros(num_objectives)
        whole = jnp.zeros(num_objectives, jnp.int32)
        return AverageState(jnp.zeros((), jnp.int32), real, whole, real, real, whole)

    def update(signals: Signals, state: AverageState) -> tuple[Solution, AverageState]:
        present = present_of(signals)
        kind = jnp.promote_types(signals.gramian.dtype, jnp.float32)
        known = (state.epochs >= 2) & (state.before != 0)
        ratio = state.last / jnp.where(known, state.before, 1)
        ratio = jnp.clip(jnp.where(known, ratio, 1), -LARGEST_RATIO, LARGEST_RATIO)
        weights = shares(ratio / temperature, present).astype(kind)
        added = losses_of(signals).astype(state.total.dtype)
        state = state._replace(
            step=state.step + 1,
            total=state.total + added,
            count=state.count + present.astype(jnp.int32),
        )
        return Solution(weights, jnp.zeros((), kind)), _turned(state, num_steps)

    return watched(Weighting(init, update), losses_of)


def _turned(state: AverageState, num_steps: int) -> AverageState:
    """Closes the epoch when it is full."""
    full = state.step >= num_steps
    seen = full & (state.count > 0)
    mean = state.total / jnp.maximum(state.count, 1).astype(state.total.dtype)
    return AverageState(
        step=jnp.where(full, 0, state.step),
        total=jnp.where(full, 0, state.total),
        count=jnp.where(full, 0, state.count),
        last=jnp.where(seen, mean, state.last),
        before=jnp.where(seen, state.last, state.before),
        epochs=state.epochs + seen.astype(jnp.int32),
    )
