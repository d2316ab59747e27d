r"""The DTLZ problems: any number of objectives, each with a front of simple shape.

The last :math:`d - k + 1` variables, :math:`y`, set the distance :math:`g(y) \ge 0`
from the front; the others set the place on it. References: Deb, Thiele, Laumanns and
Zitzler, Scalable Multi-Objective Optimization Test Problems, CEC 2002.
"""

from collections.abc import Callable
from itertools import count
from math import comb

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.pareto.directions import simplex_lattice
from morl.worlds.problem import Problem

_HALF_PI = 0.5 * np.pi


def dtlz1(num_objectives: int = 3, num_variables: int | None = None) -> Problem:
    r"""Linear front :math:`\sum_k f_k = 1/2` behind many local ones.

    Args:
      num_objectives: At least 2.
      num_variables: At least the number of objectives; the paper has 4 more.

    Returns:
      The problem, on the unit box.

    Raises:
      InputError: Too few objectives or variables.

    Examples:
      >>> dtlz1(2).front(3).tolist()
      [[-0.0, -0.5], [-0.25, -0.25], [-0.5, -0.0]]
    """
    k, d = _checked(num_objectives, num_variables, 4)

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        place, rest = x[: k - 1], x[k - 1 :]
        return -0.5 * (1 + _rugged(rest)) * _products(place, 1 - place)

    def front(n: int) -> Float[np.ndarray, "n k"]:
        return -0.5 * _lattice(k, n)

    def designs(n: int) -> Float[np.ndarray, "n d"]:
        # The product of the first j places is the share of the first k - j objectives.
        shares = np.cumsum(_lattice(k, n), axis=1)[:, ::-1]
        left, kept = shares[:, :-1], shares[:, 1:]
        place = np.divide(kept, left, out=np.full_like(left, 0.5), where=left > 0)
        return _with_rest(place, d, 0.5)

    box = np.zeros(d), np.ones(d)
    return Problem(rewards, *box, designs, front, np.full(k, -0.55))


def dtlz2(num_objectives: int = 3, num_variables: int | None = None) -> Problem:
    r"""Concave front: the part of the unit sphere with :math:`f \ge 0`.

    Args:
      num_objectives: At least 2.
      num_variables: At least the number of objectives; the paper has 9 more.

    Returns:
      The problem, on the unit box.

    Raises:
      InputError: Too few objectives or variables.

    Examples:
      >>> dtlz2(2).front(3).round(4).tolist()
      [[-0.0, -1.0], [-0.7071, -0.7071], [-1.0, -0.0]]
    """
    return _sphere(num_objectives, num_variables, _smooth, 1)


def dtlz3(num_objectives: int = 3, num_variables: int | None = None) -> Problem:
    r"""The front of :func:`dtlz2` behind the many local ones of :func:`dtlz1`.

    Args:
      num_objectives: At least 2.
      num_variables: At least the number of objectives; the paper has 9 more.

    Returns:
      The problem, on the unit box.

    Raises:
      InputError: Too few objectives or variables.

    Examples:
      >>> dtlz3(2).reference.tolist()
      [-1.1, -1.1]
    """
    return _sphere(num_objectives, num_variables, _rugged, 1)


def dtlz4(num_objectives: int = 3, num_variables: int | None = None) -> Problem:
    r""":func:`dtlz2` in :math:`x^{100}`: random designs crowd at one edge of the front.

    Args:
      num_objectives: At least 2.
      num_variables: At least the number of objectives; the paper has 9 more.

    Returns:
      The problem, on the unit box.

    Raises:
      InputError: Too few objectives or variables.

    Examples:
      >>> (-dtlz4(2).rewards(jnp.full(11, 0.5))).round(4).tolist()
      [1.0, 0.0]
    """
    return _sphere(num_objectives, num_variables, _smooth, 100)


def _sphere(
    num_objectives: int,
    num_variables: int | None,
    distance: Callable[[Float[Array, " r"]], Float[Array, ""]],
    power: int,
) -> Problem:
    """A problem whose front is the unit sphere, met at angles of ``place ** power``."""
    k, d = _checked(num_objectives, num_variables, 9)

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        place = x[: k - 1] ** power
        g = distance(x[k - 1 :])
        # The sine of the rest, not the cosine: in float32 the cosine is negative at the
        # edge of the front, so that a large distance would look like a gain.
        inner = jnp.sin(_HALF_PI * (1 - place))
        return -(1 + g) * _products(inner, jnp.sin(_HALF_PI * place))

    def front(n: int) -> Float[np.ndarray, "n k"]:
        points = _lattice(k, n)
        return -points / np.linalg.norm(points, axis=1, keepdims=True)

    def designs(n: int) -> Float[np.ndarray, "n d"]:
        points = -front(n)
        radius = np.sqrt(np.cumsum(points**2, axis=1))[:, :-1]
        angle = np.arctan2(points[:, 1:], radius)[:, ::-1]
        return _with_rest((angle / _HALF_PI) ** (1 / power), d, 0.5)

    box = np.zeros(d), np.ones(d)
    return Problem(rewards, *box, designs, front, np.full(k, -1.1))


def _smooth(rest: Float[Array, " r"]) -> Float[Array, ""]:
    return jnp.sum((rest - 0.5) ** 2)


def _rugged(rest: Float[Array, " r"]) -> Float[Array, ""]:
    from_middle = rest - 0.5
    waves = 1 - jnp.cos(20 * jnp.pi * from_middle)
    return 100 * jnp.sum(from_middle**2 + waves)


def _products(
    inner: Float[Array, " p"], outer: Float[Array, " p"]
) -> Float[Array, " k"]:
    """Objective j: the first k - 1 - j of ``inner``, times the next of ``outer``."""
    one = jnp.ones(1, inner.dtype)
    running = jnp.concatenate([one, jnp.cumprod(inner)])
    return (running * jnp.concatenate([outer, one]))[::-1]


def _lattice(num_objectives: int, n: int) -> Float[np.ndarray, "n k"]:
    """The smallest lattice of the simplex with ``n`` points or more."""
    enough = (
        divisions
        for divisions in count(1)
        if comb(divisions + num_objectives - 1, num_objectives - 1) >= n
    )
    return simplex_lattice(num_objectives, next(enough))


def _with_rest(
    place: Float[np.ndarray, "n p"], num_variables: int, value: float
) -> Float[np.ndarray, "n d"]:
    rest = num_variables - place.shape[1]
    return np.pad(place, ((0, 0), (0, rest)), constant_values=value)


def _checked(
    num_objectives: int, num_variables: int | None, more: int
) -> tuple[int, int]:
    if num_objectives < 2:
        raise InputError(
            f"found {num_objectives}, expected 2 or more", where="num_objectives"
        )
    if num_variables is None:
        return num_objectives, num_objectives + more
    if num_variables < num_objectives:
        raise InputError(
            f"found {num_variables}, expected at least the {num_objectives} objectives",
            where="num_variables",
        )
    return num_objectives, num_variables
