"""MGDA: the combination of the gradients that has the least norm."""

from morl.numerics.small_qp import least_norm
from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_gramian,
    watched,
)


def min_norm() -> Weighting:
    r"""MGDA: the convex combination of the gradients that has the least norm.

    .. math:: w = \arg\min_{w \in \Delta} w^\top G w

    The combined gradient :math:`d` hurts no objective:
    :math:`d \cdot g_k \ge \|d\|^2` for every one. Exact, where public code runs
    Frank-Wolfe for a number of steps.

    Returns:
      A stateless :class:`Weighting`. Its residual is the duality gap
      :math:`w^\top G w - \min_k (G w)_k` over the mean of the diagonal.

    Examples:
      >>> import jax.numpy as jnp
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = min_norm().update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.4f}" for weight in weights]
      ['0.6000', '0.4000']

    References:
      Désidéri, Multiple-gradient Descent Algorithm, Comptes Rendus 350, 2012; Sener and
      Koltun, Multi-Task Learning as Multi-Objective Optimization (arXiv:1810.04650).
    """

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        return Solution(
            *least_norm(present_gramian(signals), present=signals.present)
        ), state

    return watched(Weighting(init, update), present_gramian)
