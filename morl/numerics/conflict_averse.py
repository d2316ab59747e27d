"""CAGrad's program on a K x K Gramian: the best worst gain near one direction."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.numerics.pivoting import (
    RIDGE,
    Problem,
    Subspace,
    free_entries,
    polished,
    refined,
)
from morl.numerics.small_qp import LEAST_VIOLATION, above_qp, unit_diagonal

# How far a walk heads along a ray on which the function falls without end.
FAR = 1e4
# Roundings of a squared length, below which it is zero.
NOISE = 8
# How near to the radius, squared, a move is one of full length.
ON_SPHERE = 1e-2


class AverseSolution(NamedTuple):
    """A direction of the ball, its dual solution, and how far it is from the best.

    Attributes:
      move: Weights of :math:`d - g_0`, at least 0; zeros where nothing is present.
      point: :math:`w`, on the simplex; zeros where nothing is present.
      residual: The duality gap, over ``1 + c`` times the product of the lengths of
        :math:`g_0` and of a gradient (root mean square); or how far the direction lies
        outside of the ball beyond rounding, over ``1 + c`` lengths of :math:`g_0`, if
        that is more.
    """

    move: Float[Array, " k"]
    point: Float[Array, " k"]
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


class _Optimum(NamedTuple):
    """The minimiser over a set of entries, ``level + tilt / mu``.

    Attributes:
      level: The point of the set's plane that has the least norm.
      tilt: What makes the gains on the set equal; its entries sum to zero.
      mu: The multiplier; 0 where the least norm is zero and the ball holds a direction
        without gain or loss on the set.
      inverse: One over it; a large number where the function falls without end.
    """

    level: Float[Array, " k"]
    tilt: Float[Array, " k"]
    mu: Float[Array, ""]
    inverse: Float[Array, ""]


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

    Where :math:`g_w = 0` the gradients cancel, no direction improves all, and the ball
    holds some that hurt none: the one nearest to :math:`g_0` is taken. An objective
    whose gradient is zero is left out, since no direction helps or hurts it.

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
      >>> [f"{weight:.4f}" for weight in found.move]
      ['0.2041', '0.0000']

    References:
      Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning
      (arXiv:2110.14048), section 3.1.
    """
    allowed = jnp.ones(centre.size, bool) if present is None else present
    both = allowed[:, None] & allowed[None]
    gramian = jnp.where(both, gramian, 0)
    diagonal = jnp.diagonal(gramian)
    # No direction helps or hurts an objective whose gradient is zero.
    allowed &= ~(diagonal <= 0)
    size = jax.lax.stop_gradient(jnp.max(diagonal))
    gramian = gramian / jnp.where(size > 0, size, 1)
    along = gramian @ centre
    middle = centre @ along
    middle = jnp.where(middle > square_noise(gramian, centre), middle, 0)
    move, point = _solved(gramian, along, radius**2 * middle, allowed)
    count = jnp.maximum(jnp.sum(allowed), 1)
    mean = jnp.sum(jnp.diagonal(gramian)) / count

    def squared(weights: Float[Array, " k"]) -> Float[Array, ""]:
        return jnp.maximum(
            weights @ gramian @ weights - square_noise(gramian, weights), 0
        )

    def unmet(move: Float[Array, " k"]) -> Float[Array, ""]:
        slope = gramian @ (centre + move)
        gap = point @ slope - jnp.min(jnp.where(allowed, slope, jnp.inf))
        longest = radius * jnp.sqrt(middle * squared(point))
        gap += jnp.maximum(longest - point @ gramian @ move, 0)
        scale = (1 + radius) * jnp.sqrt(middle * mean)
        gap = jnp.where(scale > 0, gap / _positive(scale), 0)
        length = jnp.sqrt(squared(move) / _positive(middle))
        excess = jnp.where(middle > 0, (length - radius) / (1 + radius), 0)
        return jnp.maximum(gap, jnp.maximum(excess, 0))

    residual = jax.lax.stop_gradient(unmet(move))
    lower = jnp.where(allowed, centre, 0)
    harmless = _harmless_move(gramian, lower, allowed, residual)
    other = jax.lax.stop_gradient(unmet(harmless))
    move = jnp.where(residual <= other, move, harmless)
    return AverseSolution(move, point, jnp.minimum(other, residual))


def _harmless_move(
    gramian: Float[Array, "k k"],
    centre: Float[Array, " k"],
    allowed: Bool[Array, " k"],
    residual: Float[Array, ""],
) -> Float[Array, " k"]:
    """To the direction nearest to the centre that hurts none; nowhere if not needed.

    Where gradients cancel, the active set leaves a combination that is zero but for
    rounding, which a move of given length then magnifies. A loop of one turn at most,
    which a batch of sound solutions passes by.
    """
    gramian, centre = jax.lax.stop_gradient((gramian, centre))
    needed = ~(residual <= LEAST_VIOLATION * jnp.finfo(gramian.dtype).eps)

    def turn(state: tuple[Array, Array]) -> tuple[Array, Array]:
        nearest = above_qp(gramian, centre, present=allowed).point
        return nearest - centre, jnp.zeros_like(state[1])

    return jax.lax.while_loop(
        lambda state: state[1], turn, (jnp.zeros_like(centre), needed)
    )[0]


def square_noise(
    gramian: Float[Array, "k k"], weights: Float[Array, " k"]
) -> Float[Array, ""]:
    """What rounding may leave of the squared length of a combination that cancels.

    Args:
      gramian: Inner products of what is combined.
      weights: Of the combination.

    Examples:
      >>> noise = square_noise(jnp.eye(2), jnp.array([3.0, -4.0]))
      >>> float(noise / jnp.finfo(noise.dtype).eps)
      200.0
    """
    eps = jnp.finfo(gramian.dtype).eps
    return NOISE * eps * (weights**2 @ jnp.diagonal(gramian))


def _positive(value: Float[Array, ""]) -> Float[Array, ""]:
    """What may stand below a fraction; 1 for 0."""
    return jnp.where(value > 0, value, 1)


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


def _optimum(setting: _Setting, subspace: Subspace) -> _Optimum:
    """The minimiser over a subspace, signs free."""
    plain, ones, phi = setting.plain, setting.sides[:, 0], setting.phi
    eps = jnp.finfo(plain.dtype).eps
    p, r = subspace.columns.T
    total = ones @ p
    level = p / jnp.where(total > 0, total, 1)
    tilt = level * (ones @ r) - r
    least = level @ plain @ level
    some = least > square_noise(plain, level)
    left = phi - tilt @ plain @ tilt
    ends = left > NOISE * eps * phi
    least, left = jnp.where(some, least, 1), jnp.where(ends, left, 1)
    mu = jnp.where(some & ends, jnp.sqrt(left / least), 0)
    inverse = jnp.where(some, jnp.sqrt(least / left), 0)
    # A radius of zero leaves no ray but the one that the gradient falls along.
    longest = jnp.max(jnp.abs(tilt))
    far = FAR * jnp.max(jnp.abs(level)) / jnp.where(longest > 0, longest, 1)
    return _Optimum(level, tilt, mu, jnp.where(ends, inverse, far))


def _problem(setting: _Setting) -> Problem:
    """The dual as the pivots see it; a point of theirs is ``w / factors``."""
    ones, linear = setting.sides.T
    allowed, plain = setting.allowed, setting.plain

    def minimiser(subspace: Subspace) -> Float[Array, " k"]:
        found = _optimum(setting, subspace)
        return found.level + found.inverse * found.tilt

    def at_start() -> Float[Array, " k"]:
        own = jnp.sqrt(setting.phi * jnp.maximum(jnp.diagonal(plain), 0))
        value = (linear + own) / jnp.where(allowed, ones, 1)
        return value - jnp.max(jnp.where(allowed, value, -jnp.inf)) - 1

    def gradient(subspace: Subspace) -> Float[Array, " k"]:
        found = _optimum(setting, subspace)
        slope = linear + plain @ (found.mu * found.level + found.tilt)
        slope = slope - ones * (found.level @ slope)
        return jnp.where(jnp.any(subspace.inside), slope, at_start())

    return Problem(setting.matrix, -setting.sides, allowed, minimiser, gradient)


@jax.custom_jvp
def _solved(
    gramian: Float[Array, "k k"],
    linear: Float[Array, " k"],
    phi: Float[Array, ""],
    allowed: Bool[Array, " k"],
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Weights of the move, and on the simplex."""
    setting = _setting(gramian, linear, phi, allowed)
    problem = _problem(setting)
    ridge = RIDGE * jnp.finfo(gramian.dtype).eps * jnp.eye(linear.size)
    raised = problem._replace(matrix=setting.matrix + ridge.astype(gramian.dtype))
    inside, inverse = free_entries(raised)
    start = Subspace(inside, jnp.zeros_like(setting.sides))
    found = refined(problem, inverse, refined(raised, inverse, start))
    move, point = _finished(setting, found)
    move = _corrected(setting, inverse, move, point)
    return setting.factors * move, _on_simplex(setting, point) * setting.factors


def _finished(
    setting: _Setting, found: Subspace
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """The move and the point of a subspace.

    Where the gradients cancel, as much of the combination that is zero is added as
    keeps the move's weights from being negative.
    """
    level, tilt, mu, inverse = _optimum(setting, found)
    inside = found.inside
    some = inside & (level > 0)
    short = jnp.max(jnp.where(some, -tilt / jnp.where(some, level, 1), 0))
    move = jnp.where(mu > 0, mu, jnp.where(inverse > 0, 0, short)) * level + tilt
    point = level + inverse * tilt
    keep = lambda weights: jnp.where(inside, jnp.maximum(weights, 0), 0)
    return keep(move), keep(point)


def _corrected(
    setting: _Setting,
    inverse: Float[Array, "k k"],
    move: Float[Array, " k"],
    point: Float[Array, " k"],
) -> Float[Array, " k"]:
    """One Newton step on the conditions, kept where it brings them nearer.

    They are ``b + G x = v 1`` on the entries inside, and ``x'Gx = phi``.
    """
    plain, (ones, linear), phi = setting.plain, setting.sides.T, setting.phi
    inside = point > 0
    inverse = jnp.where(inside[:, None] & inside[None], inverse, 0)
    share = point / jnp.maximum(ones @ point, jnp.finfo(plain.dtype).tiny)

    def on_sphere(weights: Array) -> tuple[Array, Array, Array, Array]:
        square = weights @ plain @ weights
        weights *= jnp.sqrt(phi / jnp.where(square > 0, square, 1))
        along = plain @ weights
        slope = linear + along
        unmet = jnp.where(inside, ones * (share @ slope) - slope, 0)
        return weights, along, unmet, jnp.max(jnp.abs(unmet))

    x, along, unmet, before = on_sphere(move)
    step, free = inverse @ unmet, inverse @ ones
    bend = along @ free
    ratio = jnp.where(bend != 0, (along @ step) / jnp.where(bend != 0, bend, 1), 0)
    stepped = jnp.where(inside, jnp.maximum(x + step - ratio * free, 0), 0)
    stepped, _, _, after = on_sphere(stepped)
    better = jnp.all(jnp.isfinite(stepped)) & (after < before)
    # Where gradients cancel the move may end inside the ball, and is left as it is.
    within = move @ plain @ move < (1 - ON_SPHERE) * phi
    return jnp.where(within, move, jnp.where(better, stepped, x))


def _on_simplex(setting: _Setting, point: Float[Array, " k"]) -> Float[Array, " k"]:
    return point / _positive(setting.sides[:, 0] @ point)


@_solved.defjvp
def _solved_jvp(primals: tuple, tangents: tuple) -> tuple:
    """The zeros stay; the others have a closed form, which is differentiated."""
    gramian, linear, phi, allowed = primals
    found = _solved(*primals)

    def again(gramian: Array, linear: Array, phi: Array) -> tuple[Array, Array]:
        setting = _setting(gramian, linear, phi, allowed)
        subspace = polished(_problem(setting), found[1] > 0)
        move, point = _finished(setting, subspace)
        return setting.factors * move, _on_simplex(setting, point) * setting.factors

    return found, jax.jvp(again, (gramian, linear, phi), tangents[:3])[1]
