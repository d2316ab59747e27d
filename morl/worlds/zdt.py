r"""The ZDT problems: two objectives, :math:`f_1(x_1)` and :math:`g\,h(f_1, g)`.

Their front is where :math:`g = 1`, or the part of that curve that is not dominated.
References: Zitzler, Deb and Thiele, Comparison of Multiobjective Evolutionary
Algorithms: Empirical Results, Evolutionary Computation 8(2), 2000.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import brentq

from morl.errors import InputError
from morl.worlds.problem import Problem

_REFERENCE = -11.0


def zdt1(num_variables: int = 30) -> Problem:
    r"""Convex front :math:`f_2 = 1 - \sqrt{f_1}`.

    Args:
      num_variables: At least 2; the paper has 30.

    Returns:
      The problem, on the unit box. The slope of :math:`f_2` is infinite at
      :math:`x_1 = 0`.

    Raises:
      InputError: Fewer than 2 variables.

    Examples:
      >>> zdt1().front(3).tolist()
      [[-0.0, -1.0], [-0.5, -0.2928932188134524], [-1.0, -0.0]]
    """

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        f, g = x[0], _linear_distance(x)
        return -jnp.stack([f, g * (1 - jnp.sqrt(f / g))])

    return _unit_box(
        rewards, num_variables, lambda n: np.linspace(0, 1, n), lambda f: 1 - np.sqrt(f)
    )


def zdt2(num_variables: int = 30) -> Problem:
    r"""Concave front :math:`f_2 = 1 - f_1^2`: linear utilities find only its ends.

    Args:
      num_variables: At least 2; the paper has 30.

    Returns:
      The problem, on the unit box.

    Raises:
      InputError: Fewer than 2 variables.

    Examples:
      >>> zdt2().front(3).tolist()
      [[-0.0, -1.0], [-0.5, -0.75], [-1.0, -0.0]]
    """

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        f, g = x[0], _linear_distance(x)
        return -jnp.stack([f, g * (1 - (f / g) ** 2)])

    return _unit_box(
        rewards, num_variables, lambda n: np.linspace(0, 1, n), lambda f: 1 - f**2
    )


def zdt3(num_variables: int = 30) -> Problem:
    r"""Front in five pieces of :math:`f_2 = 1 - \sqrt{f_1} - f_1 \sin(10 \pi f_1)`.

    Args:
      num_variables: At least 2; the paper has 30.

    Returns:
      The problem, on the unit box. The slope of :math:`f_2` is infinite at
      :math:`x_1 = 0`.

    Raises:
      InputError: Fewer than 2 variables.

    Examples:
      >>> zdt3().front(6)[0].tolist()
      [-0.0, -1.0]
    """

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        f, g = x[0], _linear_distance(x)
        h = 1 - jnp.sqrt(f / g) - f / g * jnp.sin(10 * jnp.pi * f)
        return -jnp.stack([f, g * h])

    return _unit_box(rewards, num_variables, _first_of_pieces, _wave)


def zdt4(num_variables: int = 10) -> Problem:
    r"""The front of :func:`zdt1` behind :math:`21^{d-1}` local ones.

    Args:
      num_variables: At least 2; the paper has 10.

    Returns:
      The problem; :math:`x_1` lies in [0, 1], the others in [-5, 5].

    Raises:
      InputError: Fewer than 2 variables.

    Examples:
      >>> zdt4().lower[:2].tolist()
      [0.0, -5.0]
    """

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        f, rest = x[0], x[1:]
        g = 1 + jnp.sum(10 + rest**2 - 10 * jnp.cos(4 * jnp.pi * rest))
        return -jnp.stack([f, g * (1 - jnp.sqrt(f / g))])

    easy = zdt1(num_variables)
    side = np.full(num_variables - 1, 5.0)
    return easy._replace(
        rewards=rewards,
        lower=np.concatenate([[0.0], -side]),
        upper=np.concatenate([[1.0], side]),
    )


def zdt6(num_variables: int = 10) -> Problem:
    r"""Concave front :math:`f_2 = 1 - f_1^2` with few designs near it.

    .. math:: f_1 = 1 - e^{-4 x_1} \sin^6(6 \pi x_1) \ge 0.2807753191

    Args:
      num_variables: At least 2; the paper has 10.

    Returns:
      The problem, on the unit box. The slope of :math:`f_2` is infinite on the front.

    Raises:
      InputError: Fewer than 2 variables.

    Examples:
      >>> zdt6().front(2).round(4).tolist()
      [[-0.2808, -0.9212], [-1.0, -0.0]]
    """

    def rewards(x: Float[Array, " d"]) -> Float[Array, " k"]:
        f = 1 - jnp.exp(-4 * x[0]) * jnp.sin(6 * jnp.pi * x[0]) ** 6
        g = 1 + 9 * jnp.mean(x[1:]) ** 0.25
        return -jnp.stack([f, g * (1 - (f / g) ** 2)])

    # The first peak of exp(-4 x) sin^6(6 pi x) is the highest; f1 then rises to 1.
    best, end = np.arctan(9 * np.pi) / (6 * np.pi), 1 / 6
    wanted = lambda n: np.linspace(_thin(np.array([best]))[0], 1, n)
    problem = _unit_box(rewards, num_variables, wanted, lambda f: 1 - f**2)

    def designs(n: int) -> Float[np.ndarray, "n d"]:
        low, high = np.full(n, best), np.full(n, end)
        for _ in range(60):
            x = (low + high) / 2
            short = _thin(x) < wanted(n)
            low, high = np.where(short, x, low), np.where(short, high, x)
        return np.pad(low[:, None], ((0, 0), (0, num_variables - 1)))

    return problem._replace(designs=designs)


def _thin(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return 1 - np.exp(-4 * x) * np.sin(6 * np.pi * x) ** 6


def _linear_distance(x: Float[Array, " d"]) -> Float[Array, ""]:
    return 1 + 9 * jnp.mean(x[1:])


def _unit_box(
    rewards: Callable,
    num_variables: int,
    first: Callable[[int], Float[np.ndarray, " n"]],
    curve: Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]],
) -> Problem:
    """A problem whose front has zeros in every variable behind the first."""
    if num_variables < 2:
        raise InputError(
            f"found {num_variables}, expected 2 or more", where="num_variables"
        )

    def designs(n: int) -> Float[np.ndarray, "n d"]:
        return np.pad(first(n)[:, None], ((0, 0), (0, num_variables - 1)))

    def front(n: int) -> Float[np.ndarray, "n k"]:
        return -np.stack([first(n), curve(first(n))], 1)

    box = np.zeros(num_variables), np.ones(num_variables)
    return Problem(rewards, *box, designs, front, np.full(2, _REFERENCE))


def _wave(f: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return 1 - np.sqrt(f) - f * np.sin(10 * np.pi * f)


def _slope(f: float) -> float:
    """Derivative of the wave."""
    turn = 10 * np.pi * f
    return -0.5 / np.sqrt(f) - np.sin(turn) - turn * np.cos(turn)


def _pieces() -> list[tuple[float, float]]:
    """Ranges of :math:`f_1` that are not dominated; each is open at its start.

    A piece ends at a minimum of the wave and the next starts where the wave has come
    back to that height, a point that the minimum itself dominates.
    """
    found, start = [], 0.0
    for number in range(5):
        crest = 0.05 + 0.2 * number  # of the sine; the minimum lies a little behind it
        end = brentq(_slope, crest, crest + 0.05, xtol=1e-15)
        found.append((start, end))
        if number < 4:
            above = lambda f, end=end: -np.diff(_wave(np.array([f, end])))[0]
            peak = brentq(_slope, crest + 0.06, crest + 0.16, xtol=1e-15)
            start = brentq(above, peak, crest + 0.2, xtol=1e-15)
    return found


def _first_of_pieces(n: int) -> Float[np.ndarray, " n"]:
    """Evenly spread over the pieces, laid end to end."""
    starts, ends = np.array(_pieces()).T
    lengths = ends - starts
    behind = np.cumsum(lengths)
    along = np.linspace(0, behind[-1], n)
    piece = np.minimum(np.searchsorted(behind, along), len(behind) - 1)
    inside = along - (behind - lengths)[piece]
    return np.minimum(starts[piece] + inside, ends[piece])
