"""PCGrad: each gradient freed of its conflicts with the others, in random order."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_gramian,
    present_of,
    watched,
)


def pcgrad(key: Key[Array, ""]) -> Weighting:
    r"""PCGrad: the sum of gradients that are projected off those they conflict with.

    Each :math:`g_i` goes through the other objectives in a random order of its own. As
    often as it has a negative inner product with an *original* :math:`g_j`, its
    projection on it is taken off:

    .. math:: g_i \leftarrow g_i - \frac{g_i \cdot g_j}{\|g_j\|^2} g_j

    Args:
      key: Consumed once; the state holds its descendants.

    Returns:
      A :class:`Weighting` with residual 0, for the sum of the projected gradients as in
      the paper. Absent objectives are passed over.

    Examples:
      >>> method = pcgrad(jax.random.key(0))
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> solution, state = method.update(Signals(gramian), method.init(2))
      >>> [f"{weight:.4f}" for weight in solution.weights]
      ['2.2222', '1.5789']

    References:
      Yu et al., Gradient Surgery for Multi-Task Learning (arXiv:2001.06782), algorithm
      1. Some public implementations shuffle once for all gradients, or take the mean.
    """

    def init(num_objectives: int) -> State:
        del num_objectives
        return key

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        now, later = jax.random.split(state)
        gramian = present_gramian(signals)
        orders = jnp.argsort(jax.random.uniform(now, gramian.shape), axis=1)
        weights = jnp.sum(projected(gramian, orders), axis=0)
        weights = jnp.where(present_of(signals), weights, 0)
        return Solution(weights, jnp.zeros((), weights.dtype)), later

    return watched(Weighting(init, update), present_gramian)


def projected(
    gramian: Float[Array, "k k"], orders: Int[Array, "k k"]
) -> Float[Array, "k k"]:
    """Coefficients of each projected gradient in the original ones.

    Args:
      gramian: Inner products of the original gradients.
      orders: Row ``i`` is the order in which gradient ``i`` meets all of them; itself
        it passes by.

    Examples:
      >>> gramian = jnp.array([[1.0, -0.5], [-0.5, 1.0]])
      >>> projected(gramian, jnp.array([[0, 1], [0, 1]])).tolist()
      [[1.0, 0.5], [0.5, 1.0]]
    """
    index = jnp.arange(gramian.shape[0])
    squares = jnp.diagonal(gramian)

    def met(
        carry: tuple[Array, Array], other: Array
    ) -> tuple[tuple[Array, Array], None]:
        coefficients, inner = carry
        here = other[:, None] == index[None]
        along = jnp.sum(jnp.where(here, inner, 0), axis=1)
        square = squares[other]
        conflict = (along < 0) & (square > 0) & (other != index)
        share = jnp.where(conflict, along / jnp.where(conflict, square, 1), 0)
        coefficients = coefficients - jnp.where(here, share[:, None], 0)
        return (coefficients, inner - share[:, None] * gramian[other]), None

    begin = (jnp.eye(gramian.shape[0], dtype=gramian.dtype), gramian)
    return jax.lax.scan(met, begin, orders.T)[0][0]
