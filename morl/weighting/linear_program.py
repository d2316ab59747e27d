"""A small linear program over the simplex, on device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve
from jaxtyping import Array, Bool, Float, Int

# Pivots for each row; a program takes about one.
MOST_PIVOTS = 20
# Below this many roundings an entry of the tableau is noise.
ROUNDINGS = 16
# Roundings that are added to the diagonal of the scaled matrix.
EASE = 64
# What a unit of the weights' sum is worth beside an objective of at most 1.
REWARD = 2
REFINEMENTS = 2


class Basis(NamedTuple):
    """Which variable each constraint holds.

    Attributes:
      held: The variables.
      factors: Of their columns, and pivots. One factorisation serves all that is
        solved: batched ones side by side may wait for each other without end on a CPU
        (jaxlib 0.10.2, where each holds a worker that the other's parts need).
      count: Pivots made so far.
    """

    held: Int[Array, " m"]
    factors: tuple[Float[Array, "m m"], Int[Array, " m"]]
    count: Int[Array, ""]


class Program(NamedTuple):
    """Maximise ``gain @ x`` over ``x >= 0`` with ``matrix @ x == ends``.

    Attributes:
      gain: Of the weights and the slacks.
      matrix: Constraints over the weights and the slacks.
      ends: At least 0.
      allowed: Variables that may be positive.
    """

    gain: Float[Array, " n"]
    matrix: Float[Array, "m n"]
    ends: Float[Array, " m"]
    allowed: Bool[Array, " n"]


def simplex_program(
    gain: Float[Array, " k"],
    matrix: Float[Array, "k k"],
    bound: Float[Array, " k"],
    present: Bool[Array, " k"],
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    r"""Maximises :math:`c^\top w` over the simplex subject to :math:`A w \ge b`.

    For :math:`b \le 0` and some point of the simplex with :math:`A w \ge 0`, as a
    Gramian has one: what is added to any :math:`w` of a smaller sum then costs at most
    the largest :math:`|c_k|`, so that a reward of twice as much for the sum makes it 1.
    The primal simplex method, from :math:`w = 0`.

    Args:
      gain: :math:`c`.
      matrix: :math:`A`.
      bound: :math:`b \le 0`; minus infinity where a row asks for nothing.
      present: Weights that may be positive, and rows that count.

    Returns:
      The weights, and the residual: the largest violation of a constraint or of the
      duality that proves the optimum, each row scaled to a largest entry of 1.
    """
    k, kind = gain.size, gain.dtype
    both = present[:, None] & present[None]
    rows, size = _scaled(jnp.where(both, matrix, 0))
    gain, _ = _scaled(jnp.where(present, gain, 0)[None])
    # Scaled, no row can fall below -1: -2 asks for nothing.
    bound = jnp.maximum(jnp.where(present, bound, -jnp.inf) / size, -2)
    one = jnp.ones((1, k), kind)
    # Where gradients cancel, only weights that cancel them are feasible: a set without
    # an inside, which rounding would leave empty.
    eased = rows + EASE * jnp.finfo(kind).eps * jnp.eye(k, dtype=kind)

    def constraints(rows: Float[Array, "k k"]) -> Float[Array, "m n"]:
        slacks = jnp.eye(k + 1, dtype=kind)
        return jnp.concatenate([jnp.concatenate([-rows, one]), slacks], axis=1)

    program = Program(
        gain=jnp.append(gain[0] + REWARD, jnp.zeros(k + 1, kind)),
        matrix=constraints(eased),
        ends=jnp.append(-bound, jnp.ones((), kind)),
        allowed=jnp.append(present, jnp.ones(k + 1, bool)),
    )
    exact = program._replace(matrix=constraints(rows))
    basis = _optimal_basis(program)
    found = [_solution(near, basis) for near in (program, exact)]
    residuals = jnp.stack([_violation(exact, *each) for each in found])
    residuals = jnp.where(jnp.isfinite(residuals), residuals, jnp.inf)
    best = jnp.argmin(residuals)
    weights = jnp.stack([values[:k] for values, _ in found])[best]
    off = jnp.abs(jnp.sum(weights) - 1)
    worst = jnp.maximum(residuals[best], off)
    return weights, jnp.where(jnp.any(present), worst, 0)


def _scaled(
    rows: Float[Array, "m n"],
) -> tuple[Float[Array, "m n"], Float[Array, " m"]]:
    size = jnp.max(jnp.abs(rows), axis=1)
    size = jnp.where(size > 0, size, 1)
    return rows / size[:, None], size


class _Pair(NamedTuple):
    """The variables of a basis, and the price of each constraint."""

    values: Float[Array, " n"]
    prices: Float[Array, " m"]


def _violation(
    program: Program, values: Float[Array, " n"], prices: Float[Array, " m"]
) -> Float[Array, ""]:
    """Of the constraints, or of the duality that proves the optimum."""
    gap = jnp.sum(jnp.maximum(prices, 0) * program.ends) - program.gain @ values
    num_weights = values.size - program.ends.size
    used = program.matrix[:, :num_weights] @ values[:num_weights]
    short = jnp.max((used - program.ends)[:-1])
    dear = program.gain - prices @ program.matrix
    dear = jnp.max(jnp.where(program.allowed, dear, 0))
    return jnp.maximum(jnp.maximum(gap, short), dear)


def _solution(program: Program, basis: Basis) -> _Pair:
    """Of a basis, in its own program or in one that is near."""
    columns, gain = program.matrix[:, basis.held], program.gain[basis.held]
    values, prices = jnp.zeros_like(program.ends), jnp.zeros_like(program.ends)
    for _ in range(1 + REFINEMENTS):
        values += lu_solve(basis.factors, program.ends - columns @ values)
        prices += lu_solve(basis.factors, gain - prices @ columns, trans=1)
    every = jnp.zeros_like(program.gain).at[basis.held].set(jnp.maximum(values, 0))
    return _Pair(every, prices)


def _optimal_basis(program: Program) -> Basis:
    """The simplex method, from a basis of slacks."""
    m, n = program.matrix.shape
    kind = program.ends.dtype
    least = ROUNDINGS * jnp.finfo(kind).eps
    # Ends that are equal (zero, mostly) count as raised by amounts without a pattern,
    # smaller than any number: so no basis comes twice.
    raised = 1 + jnp.modf(jnp.arange(1, m + 1, dtype=kind) * 0.618034)[0]
    sides = jnp.stack([program.ends, raised], axis=1)

    def gains(basis: Basis) -> Float[Array, " n"]:
        prices = lu_solve(basis.factors, program.gain[basis.held], trans=1)
        left = program.gain - prices @ program.matrix
        left = left.at[basis.held].set(0)
        return jnp.where(program.allowed & (left > least), left, 0)

    def step(basis: Basis) -> Basis:
        enters = jnp.argmax(gains(basis))
        targets = jnp.append(sides, program.matrix[:, enters][:, None], axis=1)
        solved = lu_solve(basis.factors, targets)
        leaves = _leaving(solved[:, 0], solved[:, 1], solved[:, 2])
        held = basis.held.at[leaves].set(enters)
        return Basis(held, lu_factor(program.matrix[:, held]), basis.count + 1)

    more = lambda basis: jnp.any(gains(basis) > 0) & (basis.count < MOST_PIVOTS * m)
    slacks = n - m + jnp.arange(m)
    start = Basis(slacks, lu_factor(jnp.eye(m, dtype=kind)), jnp.int32(0))
    return jax.lax.while_loop(more, step, start)


def _leaving(
    values: Float[Array, " m"],
    raised: Float[Array, " m"],
    entries: Float[Array, " m"],
) -> Int[Array, ""]:
    """The row that binds first; of equals, the one that binds first when raised."""
    least = ROUNDINGS * jnp.finfo(entries.dtype).eps
    usable = entries > least
    safe = jnp.where(usable, entries, 1)
    ratios = jnp.where(values > least, values, 0) / safe
    first = jnp.min(jnp.where(usable, ratios, jnp.inf))
    ties = usable & (ratios <= first * (1 + least))
    return jnp.argmin(jnp.where(ties, raised / safe, jnp.inf))
