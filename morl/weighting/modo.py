"""MoDo: one unbiased step of the least-norm weights for each step of the model."""

from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_cross,
    present_of,
    watched,
)
from morl.weighting.shares import among, projected, restored


def modo(*, learning_rate: float = 1e-3, regularisation: float = 0.0) -> Weighting:
    r"""Projected gradient descent on :math:`\tfrac12 |\sum_k w_k g_k|^2`, without bias.

    .. math:: w \leftarrow \Pi_\Delta\big(w - \gamma (C w + \rho w)\big)

    Args:
      learning_rate: :math:`\gamma > 0`, per squared gradient norm. At 0 the weights
        stay even.
      regularisation: :math:`\rho \ge 0`; 0 in the algorithm of the paper, 0.1 in a
        public implementation.

    Returns:
      A :class:`Weighting` with residual 0 that needs the cross-Gramian :math:`C` of two
      independent batches; its weights lie on the simplex and apply to the gradients of
      a third. An absent objective's weight stands still.

    References:
      Chen et al., Three-Way Trade-Off in Multi-Objective Learning (arXiv:2305.20057),
      2023, algorithm 1.
    """

    cross_of = partial(present_cross, method="modo")

    def init(num_objectives: int) -> State:
        return jnp.full(num_objectives, 1 / num_objectives)

    def update(
        signals: Signals, state: Float[Array, " k"]
    ) -> tuple[Solution, Float[Array, " k"]]:
        cross = cross_of(signals).astype(state.dtype)
        present = present_of(signals)
        weights = among(state, present)
        slope = cross @ weights + regularisation * weights
        weights = projected(weights - learning_rate * slope, present)
        kind = jnp.promote_types(signals.gramian.dtype, jnp.float32)
        solution = Solution(weights.astype(kind), jnp.zeros((), kind))
        return solution, restored(weights, state, present)

    return watched(Weighting(init, update), cross_of)
