"""Principal pivots: the one step that active-set methods on a small matrix consist of.

A tableau holds :math:`y = M x + Q`. Pivoting on a set :math:`S` of indices exchanges
:math:`x_S` and :math:`y_S`, and so inverts :math:`M_{SS}`; the same pivot takes an
index in and out, for :math:`O(k^2)` each.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Bool, Float, Int

from morl.numerics.extremes import first_largest

# Added to a diagonal of ones, in units of rounding.
RIDGE = 64
# Below this share of its diagonal entry, in units of rounding, what is left of a pivot
# is noise: the row is a combination of those inside.
LEAST_PIVOT = 8
# Up to this many entries all subsets are solved at once; beyond, walking is faster.
MOST_ENUMERATED = 4
# Pivots an entry, beyond which an active-set run is given up; its residual says so.
MOST_PIVOTS = 6


class Tableau(NamedTuple):
    r"""A matrix and columns, pivoted on the indices that are inside.

    Attributes:
      matrix: :math:`M` where nothing is inside; :math:`M_{SS}^{-1}` in the block of
        those that are.
      columns: :math:`Q` where nothing is inside; in the rows of those that are,
        :math:`X_S = -M_{SS}^{-1} Q_S`, and in the others :math:`M X + Q`.
    """

    matrix: Float[Array, "k k"]
    columns: Float[Array, "k r"]


def pivoted(
    tableau: Tableau, inside: Bool[Array, " k"], index: Int[Array, ""] | int
) -> Tableau:
    """Exchanges one index; a second time undoes it.

    A pivot that is zero but for rounding is replaced by the rounding.

    Args:
      tableau: A tableau of a symmetric matrix.
      inside: What it is pivoted on. Its matrix is symmetric among these and among the
        others, and antisymmetric between the two, so a row says its column.
      index: What enters or leaves.

    References:
      Tucker, Principal Pivotal Transforms of Square Matrices, SIAM Review 5, 1963;
      Cottle, Pang and Stone, The Linear Complementarity Problem, section 2.3.
    """
    matrix, columns = tableau
    # The barriers keep a compiler from dividing anew for every entry of the matrix.
    row = jax.lax.optimization_barrier(matrix[index])
    column = jnp.where(inside == inside[index], row, -row)
    least = LEAST_PIVOT * jnp.finfo(matrix.dtype).eps
    pivot = jnp.maximum(row[index], least)
    here = jnp.arange(matrix.shape[0]) == index
    border = jnp.where(here, 1 / pivot, column / pivot)
    row, column, border, fresh = jax.lax.optimization_barrier(
        (row / pivot, column, border, columns[index] / pivot)
    )
    swept = matrix - column[:, None] * row[None]
    swept = jnp.where(here[:, None], -row[None], swept)
    return Tableau(
        jnp.where(here[None], border[:, None], swept),
        jnp.where(here[:, None], -fresh[None], columns - column[:, None] * fresh[None]),
    )


class Subspace(NamedTuple):
    """Where a solution lies.

    Attributes:
      inside: Entries that may be positive; the others are zero.
      columns: :math:`-M_{SS}^{-1} Q_S` in the rows inside, zero outside.
    """

    inside: Bool[Array, " k"]
    columns: Float[Array, "k r"]


class Problem(NamedTuple):
    r"""Minimise a convex function over :math:`x \ge 0`.

    Attributes:
      matrix: :math:`M`, positive semidefinite with a diagonal of ones (or zeros).
      columns: :math:`Q`, what the minimisers over subspaces are made of.
      allowed: Entries that may be positive.
      minimiser: From the columns of a subspace to the minimiser over it, signs free.
      gradient: The gradient at the minimiser over a subspace, less its multiplier of an
        equality. Where nothing is inside, only its order and signs matter.
      slopes: The same outside the subspace, from the columns of a tableau, where these
        hold it; None where they do not.
    """

    matrix: Float[Array, "k k"]
    columns: Float[Array, "k r"]
    allowed: Bool[Array, " k"]
    minimiser: Callable[[Subspace], Float[Array, " k"]]
    gradient: Callable[[Subspace], Float[Array, " k"]]
    slopes: Callable[[Float[Array, "k r"]], Float[Array, " k"]] | None = None


def refined(
    problem: Problem, inverse: Float[Array, "k k"], start: Subspace
) -> Subspace:
    """Columns corrected twice by their own residual, which pivots let grow."""
    inside, columns = start
    both = inside[:, None] & inside[None]
    inverse = jnp.where(both, inverse, 0)
    for _ in range(2):
        gap = jnp.where(inside[:, None], problem.matrix @ columns + problem.columns, 0)
        columns = columns - inverse @ gap
    return Subspace(inside, columns)


def polished(problem: Problem, inside: Bool[Array, " k"]) -> Subspace:
    """The subspace solved directly: differentiable in the matrix and the columns.

    Rows that depend on each other leave a singular block: a ridge makes it regular, and
    a second step takes out what the ridge changed elsewhere, in derivatives too.
    """
    both = inside[:, None] & inside[None]
    unit = jnp.eye(inside.size, dtype=problem.matrix.dtype)
    block = jnp.where(both, problem.matrix, unit)
    target = jnp.where(inside[:, None], -problem.columns, 0)
    raised = block + RIDGE * jnp.finfo(block.dtype).eps * unit
    factors = lu_factor(jax.lax.stop_gradient(raised))

    def solved(
        product: Callable[[Array], Array], sides: Float[Array, "k r"]
    ) -> Float[Array, "k r"]:
        first = lu_solve(factors, sides)
        return first + lu_solve(factors, sides - product(first))

    columns = jax.lax.custom_linear_solve(
        lambda columns: block @ columns, target, solved, symmetric=True
    )
    return Subspace(inside, columns)


class _Walk(NamedTuple):
    """State of an active-set run: a tableau, a feasible point, and the next index."""

    tableau: Tableau
    inside: Bool[Array, " k"]
    point: Float[Array, " k"]
    refused: Bool[Array, " k"]
    index: Int[Array, ""]
    done: Bool[Array, ""]
    count: Int[Array, ""]


def free_entries(problem: Problem) -> tuple[Bool[Array, " k"], Float[Array, "k k"]]:
    """The entries of the minimiser that are not held at zero, and their inverse block.

    Few entries: the best of all subsets. More: one index enters or leaves at a time,
    never raising the function (Lawson and Hanson's method, by pivots).

    Args:
      problem: What is minimised.

    References:
      Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23.
    """
    if problem.allowed.size <= MOST_ENUMERATED:
        return _best_subset(problem)
    return _walked(problem)


def _best_subset(problem: Problem) -> tuple[Bool[Array, " k"], Float[Array, "k k"]]:
    """Every subset solved; the one that violates the conditions of optimality least."""
    stack = Tableau(problem.matrix[None], problem.columns[None])
    inside = jnp.zeros((1, problem.allowed.size), bool)
    for index in range(problem.allowed.size):
        more = jax.vmap(pivoted, in_axes=(0, 0, None))(stack, inside, index)
        stack = Tableau(
            *(jnp.concatenate(pair) for pair in zip(stack, more, strict=True))
        )
        inside = jnp.concatenate([inside, inside.at[:, index].set(True)])
    columns = jnp.where(inside[..., None], stack.columns, 0)
    points = jax.vmap(problem.minimiser)(Subspace(inside, columns))
    points = jnp.where(inside, points, 0)
    slopes = jax.vmap(problem.gradient)(Subspace(inside, columns))
    worst = jnp.where(inside, jnp.maximum(jnp.abs(slopes), -points), -slopes)
    worst = jnp.where(problem.allowed[None], worst, jnp.where(inside, jnp.inf, 0))
    violation = jnp.max(worst, axis=1)
    best = jnp.argmin(jnp.where(jnp.isfinite(violation), violation, jnp.inf))
    return inside[best], stack.matrix[best]


def _walked(problem: Problem) -> tuple[Bool[Array, " k"], Float[Array, "k k"]]:
    """Pivots one index at a time until no entry would lower the function."""
    size, kind = problem.allowed.size, problem.matrix.dtype
    eps = jnp.finfo(kind).eps

    def decided(walk: _Walk) -> _Walk:
        """Moves the point as far as it stays feasible, and chooses the next index."""
        inside, point = walk.inside, walk.point
        columns = jnp.where(inside[:, None], walk.tableau.columns, 0)
        here = Subspace(inside, columns)
        aim = jnp.where(inside, problem.minimiser(here), 0)
        falling = inside & (aim <= 0)
        ratio = jnp.where(point > 0, point / jnp.where(falling, point - aim, 1), 0)
        beyond, leaving = first_largest(jnp.where(falling, -ratio, -jnp.inf))
        blocked, share = beyond > -jnp.inf, jnp.minimum(-beyond, 1)
        out = blocked & (jnp.arange(size) == leaving)
        moved = jnp.where(inside & ~out, point + share * (aim - point), 0)
        # An entry that leaves as it came had a slope of nothing but rounding.
        refused = walk.refused | (out & (leaving == walk.index) & (share == 0))
        # Of use where nothing blocks, and there the point is the minimiser.
        if problem.slopes is None:
            slope = problem.gradient(here)
        else:
            slope = problem.slopes(walk.tableau.columns)
        waiting = problem.allowed & ~inside & ~refused
        descent, entering = first_largest(jnp.where(waiting, -slope, -jnp.inf))
        rounding = eps * (1 + jnp.max(moved))
        return walk._replace(
            point=jnp.maximum(moved, 0),
            refused=refused,
            index=jnp.where(blocked, leaving, entering).astype(jnp.int32),
            done=~blocked & ~(descent > rounding),
        )

    def step(walk: _Walk) -> _Walk:
        return decided(
            walk._replace(
                tableau=pivoted(walk.tableau, walk.inside, walk.index),
                inside=walk.inside ^ (jnp.arange(size) == walk.index),
                count=walk.count + 1,
            )
        )

    nowhere = jnp.zeros(size, bool)
    begun = _Walk(
        tableau=Tableau(problem.matrix, problem.columns),
        inside=nowhere,
        point=jnp.zeros(size, kind),
        refused=nowhere,
        index=jnp.int32(-1),
        done=jnp.zeros((), bool),
        count=jnp.int32(0),
    )
    going = lambda walk: ~walk.done & (walk.count < MOST_PIVOTS * size)
    end = jax.lax.while_loop(going, step, decided(begun))
    return end.inside, end.tableau.matrix
