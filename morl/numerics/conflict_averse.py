"""CAGrad's program on a K x K Gramian: the best worst gain near one direction."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.numerics.pivoting import Problem, Subspace, free_entries, polished, refined
from morl.numerics.small_qp import unit_diagonal

# Share of the radius, squared, that a projection reaches at most: beyond 1 a subspace
# has no minimiser, and the walk heads far along the ray on which it falls.
NEAREST = 1e-8


class AverseSolution(NamedTuple):
    """The dual solution, and how far it is from the conditions of optimality.

    Attributes:
      point: :math:`w`, on the simplex; zeros where nothing is present.
      multiplier: :math:`\\mu = \\sqrt\\phi / \\|g_w\\|`; 0 where :math:`g_w` is zero.
      residual: The duality gap, over ``1 + c`` times the product of the lengths of
        :math:`g_0` and of a gradient (root mean square).
    """

    point: Float[Array, " k"]
    multiplier: Float[Array, ""]
    residual: Float[Array, ""]


class _Setting(NamedTuple):
    """The program in coordinates that give the lifted Gramian a diagonal of ones.

    Attributes:
      plain: The Gramian, scaled.
      matrix: The same, lifted.
      sides: Ones and :math:`b`, scaled: what is solved for.
      factors: What rows and columns were scaled by.
      phi: :math:`\\phi`, the squared radius.
      allowed: Entries that may be positive.
    """

    plain: Float[Array, "k k"]
    matrix: Float[Array, "k k"]
    sides: Float[Array, "k 2"]
    factors: Float[Array, " k"]
    phi: Float[Array, ""]
    allowed: Bool[Array, " k"]


def conflict_averse(
    gramian: Float[Array, "k k"],
    centre: Float[Array, " k"],
    radius: float | Float[Array, ""],
    *,
    present: Bool[Array, " k"] | None = None,
) -> AverseSolution:
    r"""Maximises :math:`\min_k g_k \cdot d` over :math:`\|d - g_0\| \le c \|g_0\|`.

    By its dual, with :math:`b = G u` and :math:`\phi = c^2 u^\top G u`,

    .. math:: \min_{w \in \Delta} b^\top w + \sqrt{\phi\, w^\top G w},
       \quad d = g_0 + \sqrt\phi / \|g_w\|\, g_w

    Over a set of entries the minimiser has a closed form: ``M = G + s 1 1'`` has the
    same minimisers for every ``s``, and with ``p = M^-1 1`` and ``r = M^-1 b`` it is
    ``a + z / mu`` with ``a = p / 1'p``, ``z = a 1'r - r`` and
    ``mu^2 = (phi - z'Gz) / a'Ga``. So the active-set method of the quadratic programs
    serves here too.

    Args:
      gramian: :math:`G`.
      centre: :math:`u`, the weights of :math:`g_0`; 0 where an entry is absent.
      radius: :math:`c`, at least 0.
      present: Entries that may be positive; None where all may.

    Examples:
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> found = conflict_averse(gramian, jnp.array([0.5, 0.5]), 0.5)
      >>> [f"{weight:.4f}" for weight in found.point]
      ['1.0000', '0.0000']

    References:
      Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning
      (arXiv:2110.14048), section 3.1.
    """
    allowed = jnp.ones(centre.size, bool) if present is None else present
    both = allowed[:, None] & allowed[None]
    gramian = jnp.where(both, gramian, 0)
    size = jax.lax.stop_gradient(jnp.max(jnp.diagonal(gramian)))
    gramian = gramian / jnp.where(size > 0, size, 1)
    phi = radius**2 * _square(gramian, centre)
    point = _dual(gramian, gramian @ centre, phi, allowed)
    return _judged(gramian, centre, radius, point, allowed)


def _judged(
    gramian: Float[Array, "k k"],
    centre: Float[Array, " k"],
    radius: float | Float[Array, ""],
    point: Float[Array, " k"],
    allowed: Bool[Array, " k"],
) -> AverseSolution:
    """The multiplier of a point, and its duality gap."""
    diagonal = jnp.diagonal(gramian)
    square, middle = _square(gramian, point), _square(gramian, centre)
    noise = 8 * jnp.finfo(gramian.dtype).eps * (point @ diagonal)
    known = square > noise
    ratio = jnp.where(known, middle, 1) / jnp.where(known, square, 1)
    multiplier = jnp.where(known, radius * jnp.sqrt(ratio), 0)
    slope = gramian @ (centre + multiplier * point)
    gap = point @ slope - jnp.min(jnp.where(allowed, slope, jnp.inf))
    count = jnp.maximum(jnp.sum(allowed), 1)
    scale = (1 + radius) * jnp.sqrt(middle * jnp.sum(diagonal) / count)
    gap = jnp.where(scale > 0, gap / jnp.where(scale > 0, scale, 1), 0)
    return AverseSolution(point, multiplier, jax.lax.stop_gradient(gap))


def _square(
    gramian: Float[Array, "k k"], weights: Float[Array, " k"]
) -> Float[Array, ""]:
    return jnp.maximum(weights @ gramian @ weights, 0)


def _setting(
    gramian: Float[Array, "k k"],
    linear: Float[Array, " k"],
    phi: Float[Array, ""],
    allowed: Bool[Array, " k"],
) -> _Setting:
    diagonal = jnp.diagonal(gramian)
    shift = jnp.min(jnp.where(allowed & (diagonal > 0), diagonal, 1))
    shift = jax.lax.stop_gradient(shift)
    both = allowed[:, None] & allowed[None]
    matrix, factors = unit_diagonal(gramian + jnp.where(both, shift, 0))
    plain = factors[:, None] * gramian * factors[None]
    sides = factors[:, None] * jnp.stack([jnp.ones_like(linear), linear], axis=1)
    sides = jnp.where(allowed[:, None], sides, 0)
    return _Setting(plain, matrix, sides, factors, phi, allowed)


def _problem(setting: _Setting) -> Problem:
    """The dual as the pivots see it; a point of theirs is ``w / factors``."""
    tiny = jnp.finfo(setting.matrix.dtype).tiny
    ones, linear = setting.sides.T
    allowed, plain = setting.allowed, setting.plain

    def minimiser(subspace: Subspace) -> Float[Array, " k"]:
        p, r = subspace.columns.T
        total = ones @ p
        level = p / jnp.where(total > 0, total, 1)
        tilt = level * (ones @ r) - r
        least = jnp.maximum(level @ plain @ level, tiny)
        left = setting.phi - tilt @ plain @ tilt
        left = jnp.maximum(left, NEAREST * setting.phi)
        inverse = jnp.sqrt(least / jnp.maximum(left, tiny))
        return level + inverse * tilt

    def at_start() -> Float[Array, " k"]:
        own = jnp.sqrt(setting.phi * jnp.maximum(jnp.diagonal(plain), 0))
        value = (linear + own) / jnp.where(allowed, ones, 1)
        return value - jnp.max(jnp.where(allowed, value, -jnp.inf)) - 1

    def gradient(point: Float[Array, " k"]) -> Float[Array, " k"]:
        along = plain @ point
        square = jnp.maximum(point @ along, tiny)
        slope = linear + jnp.sqrt(setting.phi / square) * along
        slope = slope - ones * (point @ slope)
        return jnp.where(ones @ point > 0, slope, at_start())

    return Problem(setting.matrix, -setting.sides, allowed, minimiser, gradient)


@jax.custom_jvp
def _dual(
    gramian: Float[Array, "k k"],
    linear: Float[Array, " k"],
    phi: Float[Array, ""],
    allowed: Bool[Array, " k"],
) -> Float[Array, " k"]:
    """The weights on the simplex."""
    setting = _setting(gramian, linear, phi, allowed)
    problem = _problem(setting)
    inside, inverse = free_entries(problem)
    found = refined(problem, inverse, Subspace(inside, jnp.zeros_like(setting.sides)))
    point = jnp.where(inside, problem.minimiser(found), 0)
    point = jnp.maximum(point, 0)
    return _on_simplex(_corrected(setting, inverse, point) * setting.factors)


def _corrected(
    setting: _Setting, inverse: Float[Array, "k k"], point: Float[Array, " k"]
) -> Float[Array, " k"]:
    """One Newton step on the conditions, kept where it brings them nearer.

    In ``x = mu w`` they are ``b + G x = v 1`` on the entries inside, ``x'Gx = phi``.
    """
    plain, (ones, linear), phi = setting.plain, setting.sides.T, setting.phi
    inside = point > 0
    inverse = jnp.where(inside[:, None] & inside[None], inverse, 0)

    def conditions(weights: Array) -> tuple[Array, Array, Array, Array]:
        along = plain @ weights
        square = weights @ along
        mu = jnp.sqrt(phi / jnp.where(square > 0, square, 1))
        slope = linear + mu * along
        level = (weights @ slope) / jnp.maximum(weights @ ones, 1e-30)
        unmet = jnp.where(inside, ones * level - slope, 0)
        return mu * weights, mu * along, unmet, jnp.max(jnp.abs(unmet))

    x, along, unmet, gap = conditions(point)
    move, free = inverse @ unmet, inverse @ ones
    bend = along @ free
    known = jnp.abs(bend) > 0
    share = (along @ move) / jnp.where(known, bend, 1)
    moved = x + move - jnp.where(known, share, 0) * free
    moved = jnp.where(inside, jnp.maximum(moved, 0), 0)
    total = moved @ ones
    moved = moved / jnp.where(total > 0, total, 1)
    better = jnp.all(jnp.isfinite(moved)) & (conditions(moved)[3] < gap)
    return jnp.where(better, moved, point)


def _on_simplex(point: Float[Array, " k"]) -> Float[Array, " k"]:
    point = jnp.maximum(point, 0)
    total = jnp.sum(point)
    return point / jnp.where(total > 0, total, 1)


@_dual.defjvp
def _dual_jvp(primals: tuple, tangents: tuple) -> tuple:
    """The zeros stay; the others have a closed form, which is differentiated."""
    gramian, linear, phi, allowed = primals
    point = _dual(*primals)

    def again(gramian: Array, linear: Array, phi: Array) -> Array:
        setting = _setting(gramian, linear, phi, allowed)
        problem = _problem(setting)
        found = polished(problem, point > 0)
        return _on_simplex(problem.minimiser(found) * setting.factors)

    return point, jax.jvp(again, (gramian, linear, phi), tangents[:3])[1]
