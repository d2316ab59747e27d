"""Weights that are kept for some steps, so that their work is done once in a while."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from morl.errors import InputError
from morl.weighting.contract import Signals, Solution, State, Weighting, present_of


class KeptState(NamedTuple):
    """The last answer, and when to ask again.

    Attributes:
      step: Steps since the last answer; 0 where one is due.
      present: Objectives that it was given for.
      solution: What the weighting answered.
      inner: The weighting's own state.
    """

    step: Int[Array, ""]
    present: Bool[Array, " k"]
    solution: Solution
    inner: State


def kept(weighting: Weighting, num_steps: int) -> Weighting:
    """Asks a weighting every so many steps, and answers with what it said in between.

    It also asks when other objectives are present than at the last time: weights are
    never those of objectives that have no labels. An answer that is not finite serves
    for its own step only.

    Args:
      weighting: What is asked.
      num_steps: Steps that one answer serves for, at least 1.

    Returns:
      A :class:`Weighting` whose state is a :class:`KeptState`. The Gramian is read only
      where :func:`is_due`; let ``jax.lax.cond`` skip what computes it.

    Raises:
      InputError: ``num_steps`` is below 1.

    Examples:
      >>> from morl.weighting import constant
      >>> method = kept(constant(), 10)
      >>> state = method.init(2)
      >>> gramian = jax.lax.cond(
      ...     is_due(state), lambda: jnp.eye(2), lambda: jnp.zeros((2, 2))
      ... )
      >>> solution, state = method.update(Signals(gramian), state)
      >>> bool(is_due(state))
      False
    """
    if num_steps < 1:
        raise InputError(f"found {num_steps}, expected at least 1", where="num_steps")

    def init(num_objectives: int) -> State:
        start = jnp.zeros(num_objectives)
        return KeptState(
            jnp.zeros((), jnp.int32),
            jnp.zeros(num_objectives, bool),
            Solution(start, jnp.sum(start)),
            weighting.init(num_objectives),
        )

    def update(signals: Signals, state: KeptState) -> tuple[Solution, KeptState]:
        kind = jnp.promote_types(signals.gramian.dtype, jnp.float32)

        def ask() -> tuple[Solution, State]:
            solution, inner = weighting.update(signals, state.inner)
            stored = zip(solution, state.solution, strict=True)
            return Solution(*(new.astype(old.dtype) for new, old in stored)), inner

        keep = lambda: (state.solution, state.inner)
        present = present_of(signals)
        solution, inner = jax.lax.cond(is_due(state, present), ask, keep)
        step = jnp.where(is_due(state, present), 1, state.step + 1) % num_steps
        step = jnp.where(jnp.isfinite(solution.residual), step, 0)
        answer = Solution(*(part.astype(kind) for part in solution))
        return answer, KeptState(step, present, solution, inner)

    return Weighting(init, update)


def is_due(
    state: KeptState, present: Bool[Array, " k"] | None = None
) -> Bool[Array, ""]:
    """Whether the next update will ask the weighting, and so read the Gramian.

    Args:
      state: Of a weighting that :func:`kept` made.
      present: Objectives of the batch; None for all.
    """
    here = jnp.ones_like(state.present) if present is None else present
    return (state.step == 0) | jnp.any(here != state.present)
