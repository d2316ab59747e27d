"""A small linear program over the simplex, on device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# Pivots for each row; a program takes about one.
MOST_PIVOTS = 20
# Below this many roundings an entry of the tableau is noise.
ROUNDINGS = 16
# Roundings that are added to the diagonal of the scaled matrix.
EASE = 64
# What a unit of the weights' sum is worth beside an objective of at most 1.
REWARD = 2


class Basis(NamedTuple):
    """Which variable each constraint holds, and pivots made so far."""

    held: Int[Array, " m"]
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
    program = Program(
        gain=jnp.append(gain[0] + REWARD, jnp.zeros(k + 1, kind)),
        matrix=jnp.concatenate(
            [jnp.concatenate([-eased, one]), jnp.eye(k + 1, dtype=kind)], axis=1
        ),
        ends=jnp.append(-bound, jnp.ones((), kind)),
        allowed=jnp.append(present, jnp.ones(k + 1, bool)),
    )
    values, prices = _solved(program)
    weights = values[:k]
    gap = jnp.sum(jnp.maximum(prices, 0) * program.ends) - program.gain @ values
    short = jnp.max(bound - rows @ weights)
    dear = jnp.max(
        jnp.where(program.allowed, program.gain - prices @ program.matrix, 0)
    )
    wrong = jnp.array([gap, short, dear, jnp.abs(jnp.sum(weights) - 1)])
    return weights, jnp.where(jnp.any(present), jnp.max(wrong), 0)


def _scaled(
    rows: Float[Array, "m n"],
) -> tuple[Float[Array, "m n"], Float[Array, " m"]]:
    size = jnp.max(jnp.abs(rows), axis=1)
    size = jnp.where(size > 0, size, 1)
    return rows / size[:, None], size


def _solved(program: Program) -> tuple[Float[Array, " n"], Float[Array, " m"]]:
    """The optimal variables, and the price of each constraint."""
    m, n = program.matrix.shape
    kind = program.ends.dtype
    least = ROUNDINGS * jnp.finfo(kind).eps
    # Ends that are equal (zero, mostly) count as raised by amounts without a pattern,
    # smaller than any number: so no basis comes twice.
    raised = 1 + jnp.modf(jnp.arange(1, m + 1, dtype=kind) * 0.618034)[0]
    columns = jnp.stack([program.ends, raised], axis=1)
    basic = lambda basis: program.matrix[:, basis.held]
    prices = lambda basis: jnp.linalg.solve(basic(basis).T, program.gain[basis.held])

    def gains(basis: Basis) -> Float[Array, " n"]:
        left = program.gain - prices(basis) @ program.matrix
        left = left.at[basis.held].set(0)
        return jnp.where(program.allowed & (left > least), left, 0)

    def step(basis: Basis) -> Basis:
        enters = jnp.argmax(gains(basis))
        column = program.matrix[:, enters][:, None]
        solved = jnp.linalg.solve(basic(basis), jnp.append(columns, column, axis=1))
        leaves = _leaving(solved[:, 0], solved[:, 1], solved[:, 2])
        held = basis.held.at[leaves].set(enters)
        return Basis(held, basis.count + 1)

    more = lambda basis: jnp.any(gains(basis) > 0) & (basis.count < MOST_PIVOTS * m)
    start = Basis(n - m + jnp.arange(m), jnp.zeros((), jnp.int32))
    end = jax.lax.while_loop(more, step, start)
    held = jnp.linalg.solve(basic(end), program.ends)
    return jnp.zeros(n, kind).at[end.held].set(jnp.maximum(held, 0)), prices(end)


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
