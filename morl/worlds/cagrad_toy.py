"""Two losses over a plane whose gradients conflict: where do weightings get stuck?"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from morl.worlds.problem import Problem

_FLOOR = 5e-6


def cagrad_toy() -> Problem:
    r"""The toy problem of CAGrad, with the five starts of Nash-MTL.

    .. math::
        L_i &= c_1 f_i + c_2 g_i, \quad c_1 = [\tanh(x_2 / 2)]_+, \quad
            c_2 = [\tanh(-x_2 / 2)]_+ \\
        f_1 &= \log \max(|(-x_1 - 7) / 2 - \tanh(-x_2)|, 5 \cdot 10^{-6}) + 6 \\
        f_2 &= \log \max(|(-x_1 + 3) / 2 + \tanh(-x_2) + 2|, 5 \cdot 10^{-6}) + 6 \\
        g_{1,2} &= ((x_1 \mp 7)^2 + 0.1 (x_2 + 8)^2) / 10 - 20

    The papers print :math:`-\tanh(-x_2)` in :math:`f_2`; their code, and so every
    published trajectory, adds it, and so does this. The front is the same: it lies in
    the lower half plane, where :math:`f` does not count.

    On the front :math:`-7 \le x_1 \le 7`, and :math:`x_2` is a little below -8: the
    factor :math:`c_2` still grows there. The mean of the losses is least at
    (0, -8.35511), which is published as (0, -8.3552).

    Returns:
      The problem; its rewards are minus the losses. The losses have no gradient at the
      floor of the logarithm, along two curves that lead down the upper half plane.

    Examples:
      >>> cagrad_toy().designs(3).round(4).tolist()
      [[-7.0, -8.4345], [0.0, -8.3551], [7.0, -8.4345]]

    References:
      Liu et al., Conflict-Averse Gradient Descent (arXiv:2110.14048), 2021, appendix;
      Navon et al., Multi-Task Learning as a Bargaining Game (arXiv:2202.01017), 2022,
      appendix B.
    """

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        first, second = x[0], x[1]
        bend = jnp.tanh(-second)
        valleys = jnp.stack([0.5 * (-first - 7) - bend, 0.5 * (-first + 3) + bend + 2])
        upper = jnp.log(jnp.maximum(jnp.abs(valleys), _FLOOR)) + 6
        across = jnp.stack([(first - 7) ** 2, (first + 7) ** 2])
        lower = (across + 0.1 * (second + 8) ** 2) / 10 - 20
        half = jnp.tanh(0.5 * second)
        return -(jnp.maximum(half, 0) * upper + jnp.maximum(-half, 0) * lower)

    def front(n: int) -> Float[np.ndarray, "n k"]:
        first, second = designs(n).T
        bowls = [(first - 7) ** 2, (first + 7) ** 2]
        return np.stack(
            [
                np.tanh(second / 2) * ((bowl + 0.1 * (second + 8) ** 2) / 10 - 20)
                for bowl in bowls
            ],
            1,
        )

    starts = np.array([[-8.5, 7.5], [0, 0], [9, 9], [-7.5, -0.5], [9, -1]])
    side = np.full(2, 10.0)
    return Problem(rewards, -side, side, designs, front, np.full(2, -1.0), starts)


def designs(n: int) -> Float[np.ndarray, "n 2"]:
    r"""Designs on the front, by bisection for :math:`x_2`.

    For weights :math:`(w, 1 - w)` the mean loss is :math:`c_2 b`, where :math:`b` is
    the mean bowl at :math:`x_1 = 7 (2 w - 1)`; it is least where
    :math:`c_2' b + c_2 b' = 0`.

    Args:
      n: Number of designs, with weights evenly spread.

    Returns:
      One design a row, float64.

    Examples:
      >>> designs(1).shape
      (1, 2)
    """
    share = np.linspace(0, 1, n)
    depth = 20 - 19.6 * share * (1 - share)
    low, high = np.full(n, 8.0), np.full(n, 9.0)
    for _ in range(60):
        y = (low + high) / 2
        slope = 0.5 / np.cosh(y / 2) ** 2 * (0.01 * (y - 8) ** 2 - depth)
        falling = slope + 0.02 * np.tanh(y / 2) * (y - 8) < 0
        low, high = np.where(falling, y, low), np.where(falling, high, y)
    return np.stack([7 * (2 * share - 1), -(low + high) / 2], 1)
