"""Two problems of Van Veldhuizen and Lamont: a convex front and a concave one.

References: Van Veldhuizen and Lamont, Multiobjective Evolutionary Algorithm Test
Suites, ACM Symposium on Applied Computing, 1999; the first is Schaffer's, the second
Fonseca and Fleming's.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.worlds.problem import Problem


def vlmop1() -> Problem:
    r"""Convex front of :math:`f_1 = x^2, f_2 = (x - 2)^2` in one variable.

    Every :math:`0 \le x \le 2` is on the front: :math:`\sqrt{f_1} + \sqrt{f_2} = 2`.

    Returns:
      The problem, on [-10, 10] (the original has a box of 1e5, which changes nothing
      about the front); its reference is -5 twice.

    Examples:
      >>> vlmop1().front(3).tolist()
      [[-0.0, -4.0], [-1.0, -1.0], [-4.0, -0.0]]
    """

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        return -jnp.stack([x[0] ** 2, (x[0] - 2) ** 2])

    def designs(n: int) -> Float[np.ndarray, "n d"]:
        return np.linspace(0, 2, n)[:, None]

    def front(n: int) -> Float[np.ndarray, "n k"]:
        root = np.linspace(0, 2, n)
        return -np.stack([root**2, (2 - root) ** 2], 1)

    box = np.array([-10.0]), np.array([10.0])
    return Problem(rewards, *box, designs, front, np.full(2, -5.0))


def vlmop2(num_variables: int = 2) -> Problem:
    r"""Concave front between two bells, the same in any number of variables.

    .. math:: f_{1,2} = 1 - \exp\Big(-\sum_i \big(x_i \mp 1/\sqrt d\big)^2\Big)

    The front is where all :math:`x_i = s / \sqrt d` with :math:`-1 \le s \le 1`.

    Args:
      num_variables: :math:`d`, at least 1.

    Returns:
      The problem, on [-2, 2]; its reference is -1 twice. Far from the front the
      gradients vanish: float32 rounds the rewards to -1.

    Raises:
      InputError: No variable.

    Examples:
      >>> vlmop2().front(3).round(4).tolist()
      [[-0.9817, -0.0], [-0.6321, -0.6321], [-0.0, -0.9817]]

    References:
      Fonseca and Fleming, An Overview of Evolutionary Algorithms in Multiobjective
      Optimization, Evolutionary Computation 3(1), 1995.
    """
    if num_variables < 1:
        raise InputError(
            f"found {num_variables}, expected 1 or more", where="num_variables"
        )
    centre = 1 / np.sqrt(num_variables)

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        near, far = jnp.sum((x - centre) ** 2), jnp.sum((x + centre) ** 2)
        # expm1 keeps the digits of the objective near its optimum.
        return jnp.expm1(-jnp.stack([near, far]))

    def designs(n: int) -> Float[np.ndarray, "n d"]:
        line = np.linspace(-centre, centre, n)
        return np.repeat(line[:, None], num_variables, axis=1)

    def front(n: int) -> Float[np.ndarray, "n k"]:
        s = np.linspace(-1, 1, n)
        return np.expm1(-np.stack([(s - 1) ** 2, (s + 1) ** 2], 1))

    side = np.full(num_variables, 2.0)
    return Problem(rewards, -side, side, designs, front, np.full(2, -1.0))
