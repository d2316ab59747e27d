"""Small quadratic programs on a Gramian: over the simplex, and above lower bounds."""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from morl.numerics.pivoting import (
    RIDGE,
    Problem,
    Subspace,
    free_entries,
    polished,
    refined,
)

REFINEMENTS = 3
# Beyond this violation, in units of rounding, up to so many proximal steps are taken.
LEAST_VIOLATION = 8
MOST_PULLS = 12


class QPSolution(NamedTuple):
    """A minimiser, and how far it is from the conditions of optimality.

    Attributes:
      point: The minimiser.
      residual: Largest violation of the Karush-Kuhn-Tucker conditions, relative to the
        size of the terms that cancel there.
    """

    point: Float[Array, " k"]
    residual: Float[Array, ""]


# A point, the best so far, its violation, and the number of steps.
_Pulled: TypeAlias = tuple[
    Float[Array, " k"], Float[Array, " k"], Float[Array, ""], Int[Array, ""]
]


class Scaled(NamedTuple):
    """A matrix with a diagonal of ones, and what its rows and columns were scaled by.

    Attributes:
      matrix: :math:`d_i M_{ij} d_j`.
      factors: :math:`d`, one over the roots of the diagonal; 1 where that is zero.
    """

    matrix: Float[Array, "k k"]
    factors: Float[Array, " k"]


def unit_diagonal(matrix: Float[Array, "k k"]) -> Scaled:
    """Scales rows and columns alike, so that no row's size decides what is small."""
    diagonal = jnp.diagonal(matrix)
    some = diagonal > 0
    factors = jnp.where(some, jax.lax.rsqrt(jnp.where(some, diagonal, 1)), 1)
    return Scaled(factors[:, None] * matrix * factors[None], factors)


def nonnegative_qp(
    matrix: Float[Array, "k k"],
    linear: Float[Array, " k"],
    *,
    present: Bool[Array, " k"] | None = None,
) -> QPSolution:
    r"""Minimises :math:`\tfrac12 x^\top M x + q^\top x` over :math:`x \ge 0`.

    Differentiable in both arguments where the minimiser is unique and keeps its zeros.

    Args:
      matrix: :math:`M`, symmetric positive semidefinite, such that there is a minimum.
      linear: :math:`q`.
      present: Entries that may be positive; None where all may.

    Examples:
      >>> nonnegative_qp(jnp.eye(2), jnp.array([-1.0, 1.0])).point.tolist()
      [1.0, 0.0]
    """
    allowed = jnp.ones(linear.size, bool) if present is None else present
    both = allowed[:, None] & allowed[None]
    scaled, factors = unit_diagonal(jnp.where(both, matrix, 0))
    slope = jnp.where(allowed, factors * linear, 0)
    size = jnp.max(jnp.abs(slope))
    size = jnp.where(size > 0, size, 1)
    point = _nonnegative(scaled, slope / size, allowed)
    residual = violation(_linear_problem(scaled, slope / size, allowed), point)
    return QPSolution(factors * point * size, jax.lax.stop_gradient(residual))


def violation(problem: Problem, point: Float[Array, " k"]) -> Float[Array, ""]:
    """How far a point is from the conditions of optimality, relative to its size."""
    gap = problem.gradient(Subspace(point > 0, point[:, None]))
    worst = jnp.where(point > 0, jnp.abs(gap), jnp.maximum(-gap, 0))
    worst = jnp.where(problem.allowed & jnp.isfinite(worst), worst, 0)
    broken = ~jnp.all(jnp.isfinite(point))
    return jnp.where(broken, jnp.inf, jnp.max(worst) / (1 + jnp.max(point)))


def _linear_problem(
    matrix: Float[Array, "k k"], linear: Float[Array, " k"], allowed: Bool[Array, " k"]
) -> Problem:
    """The program as one column; its minimisers are that column."""

    def minimiser(subspace: Subspace) -> Float[Array, " k"]:
        return subspace.columns[:, 0]

    def gradient(subspace: Subspace) -> Float[Array, " k"]:
        return matrix @ minimiser(subspace) + linear

    def slopes(columns: Float[Array, "k r"]) -> Float[Array, " k"]:
        return columns[:, 0]

    return Problem(matrix, linear[:, None], allowed, minimiser, gradient, slopes)


@jax.custom_jvp
def _nonnegative(
    matrix: Float[Array, "k k"], linear: Float[Array, " k"], allowed: Bool[Array, " k"]
) -> Float[Array, " k"]:
    """The minimiser; in steps towards it where rows depend on each other.

    There it is not unique and its free block is singular. A diagonal of a few roundings
    makes it unique, and refinement against the matrix as it is takes out what that
    changed. Where this is not enough, a larger diagonal pulls towards the point before:
    each step has one solution, and the steps end at a minimiser.

    References:
      Rockafellar, Monotone Operators and the Proximal Point Algorithm, SIAM J. Control
      Optim. 14, 1976.
    """
    eps = float(jnp.finfo(matrix.dtype).eps)
    unit = jnp.eye(linear.size, dtype=matrix.dtype)
    exact = _linear_problem(matrix, linear, allowed)

    def solved(
        pull: float, towards: Float[Array, " k"]
    ) -> tuple[Subspace, Float[Array, "k k"]]:
        near = _linear_problem(matrix + pull * unit, linear - pull * towards, allowed)
        inside, inverse = free_entries(near)
        best = refined(near, inverse, Subspace(inside, jnp.zeros_like(exact.columns)))
        return best, inverse

    best, inverse = solved(RIDGE * eps, jnp.zeros_like(linear))
    point, worst = _feasible(best), violation(exact, _feasible(best))
    for _ in range(REFINEMENTS):
        best = refined(exact, inverse, best)
        gap = violation(exact, _feasible(best))
        point = jnp.where(gap < worst, _feasible(best), point)
        worst = jnp.minimum(gap, worst)

    def unmet(state: _Pulled) -> Bool[Array, ""]:
        _, _, worst, count = state
        return (worst > LEAST_VIOLATION * eps) & (count < MOST_PULLS)

    def nearer(state: _Pulled) -> _Pulled:
        here, point, worst, count = state
        here = _feasible(solved(eps**0.5, here)[0])
        gap = violation(exact, here)
        point = jnp.where(gap < worst, here, point)
        return here, point, jnp.minimum(gap, worst), count + 1

    begun = (point, point, worst, jnp.int32(0))
    return jax.lax.while_loop(unmet, nearer, begun)[1]


def _feasible(subspace: Subspace) -> Float[Array, " k"]:
    return jnp.where(subspace.inside, jnp.maximum(subspace.columns[:, 0], 0), 0)


@_nonnegative.defjvp
def _nonnegative_jvp(primals: tuple, tangents: tuple) -> tuple:
    """The zeros stay; the others solve a linear system, which is differentiated."""
    matrix, linear, allowed = primals
    point = _nonnegative(matrix, linear, allowed)
    inside = point > 0

    def again(matrix: Array, linear: Array) -> Array:
        return polished(_linear_problem(matrix, linear, allowed), inside).columns[:, 0]

    return point, jax.jvp(again, (matrix, linear), tangents[:2])[1]


def above_qp(
    gramian: Float[Array, "k k"],
    lower: Float[Array, " k"],
    *,
    present: Bool[Array, " k"] | None = None,
) -> QPSolution:
    r"""Minimises :math:`v^\top G v` over :math:`v \ge u`.

    Args:
      gramian: :math:`G`.
      lower: :math:`u`; 0 where an entry is absent.
      present: Entries that may lie above; None where all may.

    Examples:
      >>> opposed = jnp.array([[1.0, -0.5], [-0.5, 1.0]])
      >>> above_qp(opposed, jnp.array([1.0, 0.0])).point.tolist()
      [1.0, 0.5]
    """
    solution = nonnegative_qp(gramian, gramian @ lower, present=present)
    return QPSolution(lower + solution.point, solution.residual)


def least_norm(
    gramian: Float[Array, "k k"], *, present: Bool[Array, " k"] | None = None
) -> QPSolution:
    r"""Minimises :math:`w^\top G w` over the probability simplex.

    With :math:`s 1 1^\top` added to :math:`G` the constraint may be dropped: the
    minimiser of :math:`\tfrac12 x^\top (G + s 1 1^\top) x - s 1^\top x` over
    :math:`x \ge 0` is a multiple of :math:`w`, for every :math:`s > 0`.

    Args:
      gramian: :math:`G`.
      present: Entries that may be positive; None where all may.

    Returns:
      The weights, all zero where nothing is present; the residual is the duality gap
      :math:`w^\top G w - \min_k (G w)_k` over the mean of the diagonal.

    Examples:
      >>> least_norm(jnp.diag(jnp.array([1.0, 3.0]))).point.round(6).tolist()
      [0.75, 0.25]

    References:
      Wolfe, Finding the Nearest Point in a Polytope, Mathematical Programming 11, 1976.
    """
    allowed = jnp.ones(gramian.shape[0], bool) if present is None else present
    both = allowed[:, None] & allowed[None]
    gramian = jnp.where(both, gramian, 0)
    diagonal = jnp.diagonal(gramian)
    size = jax.lax.stop_gradient(jnp.max(diagonal))
    gramian = gramian / jnp.where(size > 0, size, 1)
    diagonal = jnp.diagonal(gramian)
    shift = jnp.min(jnp.where(allowed & (diagonal > 0), diagonal, 1))
    shift = jax.lax.stop_gradient(shift)
    lifted = gramian + jnp.where(both, shift, 0)
    point = nonnegative_qp(lifted, jnp.where(allowed, -shift, 0), present=allowed).point
    total = jnp.sum(point)
    weights = point / jnp.where(total > 0, total, 1)
    weights += jax.lax.stop_gradient(_levelled(gramian, weights, shift) - weights)
    slope = gramian @ weights
    gap = weights @ slope - jnp.min(jnp.where(allowed, slope, jnp.inf))
    count = jnp.maximum(jnp.sum(allowed), 1)
    mean = jnp.sum(diagonal) / count
    gap = jnp.where(jnp.any(allowed), gap, 0) / jnp.where(mean > 0, mean, 1)
    return QPSolution(weights, jax.lax.stop_gradient(gap))


def _levelled(
    gramian: Float[Array, "k k"], weights: Float[Array, " k"], shift: Float[Array, ""]
) -> Float[Array, " k"]:
    """Weights corrected so that their slopes are level, as rounding left them not.

    The shift is large beside the least norm, and so is its rounding; here it only
    preconditions. What the correction does not improve is kept.
    """
    inside = weights > 0
    both = inside[:, None] & inside[None]
    block = jnp.where(both, gramian + shift, jnp.eye(weights.size, dtype=gramian.dtype))
    level = weights @ gramian @ weights
    sides = jnp.where(inside, jnp.stack([level - gramian @ weights, inside]), 0)
    move, ones = jnp.linalg.solve(block, sides.T).T
    count = jnp.sum(ones)
    move -= ones * jnp.sum(move) / jnp.where(count > 0, count, 1)
    moved = jnp.maximum(weights + jnp.where(inside, move, 0), 0)
    moved /= jnp.maximum(jnp.sum(moved), jnp.finfo(moved.dtype).tiny)

    def gap(point: Float[Array, " k"]) -> Float[Array, ""]:
        slope = jnp.where(inside, gramian @ point, 0)
        return jnp.max(jnp.where(inside, jnp.abs(slope - point @ slope), 0))

    # A block may be singular, and XLA's maximum need not pass a NaN on.
    better = jnp.all(jnp.isfinite(moved)) & (gap(moved) < gap(weights))
    return jnp.where(better, moved, weights)
