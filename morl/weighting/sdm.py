"""SDMGrad: least-norm weights near a preferred direction, without bias."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    checked_prefs,
    preferences,
    present_cross,
    present_of,
    watched,
)
from morl.weighting.shares import among, projected, restored


def sdm(
    prefs: Prefs | None = None,
    *,
    regularisation: float = 0.3,
    num_steps: int = 20,
    learning_rate: float = 1.0,
    momentum: float = 0.5,
) -> Weighting:
    r"""The least-norm direction, pulled towards the preferred one.

    Steps on :math:`\tfrac12 |\sum_k (w_k + \lambda p_k) g_k|^2` over the simplex, from
    the weights of the last update, and then mixes:

    .. math:: w \leftarrow \Pi_\Delta\big(w - \gamma\, C (w + \lambda p)\big), \qquad
              \text{weights} = (w + \lambda p) / (1 + \lambda)

    Args:
      prefs: Preferred direction :math:`p`, at least 0, with a sum of 1; None for
        ``1 / k`` each.
      regularisation: :math:`\lambda \ge 0`: 0 is MGDA, a large one is linear
        scalarization.
      num_steps: Steps at each update.
      learning_rate: Step size, in units of one over the norm of :math:`C`; at most 1
        is stable.
      momentum: Share of the last step that the next one repeats; 0 in the paper.

    Returns:
      A :class:`Weighting` that needs the cross-Gramian :math:`C` of two independent
      batches. Its residual is how far one more step of size 1 would move a weight. An
      absent objective's weight stands still.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    References:
      Xiao, Ban and Ji, Direction-oriented Multi-objective Learning
      (arXiv:2305.18409), 2023, algorithm 1. The paper draws new batches at every step
      and leaves the mixture undivided; as in its public code, one cross-Gramian serves
      all steps and the mixture is divided by :math:`1 + \lambda`. That code steps by 5
      over the mean squared norm, too far for the steps to settle.
    """

    wanted = checked_prefs(prefs, "sdm")
    cross_of = partial(present_cross, method="sdm")

    def init(num_objectives: int) -> State:
        return jnp.full(num_objectives, 1 / num_objectives)

    def update(
        signals: Signals, state: Float[Array, " k"]
    ) -> tuple[Solution, Float[Array, " k"]]:
        present, kind = present_of(signals), state.dtype
        cross = _unit_norm(cross_of(signals).astype(kind))
        target = preferences(wanted, signals).astype(kind)
        slope = lambda w: cross @ (w + regularisation * target)

        def step(_: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
            weights, speed = pair
            speed = momentum * speed + slope(weights)
            return projected(weights - learning_rate * speed, present), speed

        start = among(state, present)
        weights, _ = jax.lax.fori_loop(0, num_steps, step, (start, 0 * start))
        out = jnp.promote_types(signals.gramian.dtype, jnp.float32)
        mixed = (weights + regularisation * target) / (1 + regularisation)
        moved = _moved(weights, slope(weights), present)
        solution = Solution(mixed.astype(out), moved.astype(out))
        return solution, restored(weights, state, present)

    return watched(Weighting(init, update), cross_of)


def _unit_norm(matrix: Float[Array, "k k"]) -> Float[Array, "k k"]:
    largest = jnp.max(jnp.abs(matrix))
    scaled = matrix / jnp.where(largest > 0, largest, 1)
    square = jnp.sum(scaled**2)
    # The root of 0 has no derivative.
    norm = jnp.sqrt(jnp.where(square > 0, square, 1))
    return scaled / jnp.where(square > 0, norm, 1)


def _moved(
    weights: Float[Array, " k"], slope: Float[Array, " k"], present: Bool[Array, " k"]
) -> Float[Array, ""]:
    return jnp.max(jnp.abs(projected(weights - slope, present) - weights))
