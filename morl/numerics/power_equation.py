"""The equations of Nash-MTL and FairGrad, by Newton's method on a K x K Gramian."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Bool, Float

# Quadratic convergence needs about ten; towards a solution at infinity the weights
# double at each one, and 60 doublings pass the limit of float64.
MAX_STEPS = 60
# The best common factor of the first guess, where the gradients cancel.
LEAST_NORM = 1e-3


class PowerSolution(NamedTuple):
    """Weights that solve the equation, and how well they do.

    Attributes:
      weights: Positive; 0 where a gradient is zero or absent.
      residual: Largest violation of ``w_k (G w)_k = w_k ** (1 - 1 / alpha)``, over the
        largest of its right-hand sides. Rounding leaves a few machine epsilons of the
        largest ``w_k (G w)_k`` without its cancellations, ``w_k ** 2 * G_kk``.
    """

    weights: Float[Array, " k"]
    residual: Float[Array, ""]


def power_equation(
    gramian: Float[Array, "k k"],
    alpha: float | Float[Array, ""],
    *,
    present: Bool[Array, " k"] | None = None,
) -> PowerSolution:
    r"""Solves :math:`G w = w^{-1 / \alpha}` for positive weights.

    The solution is the only minimum of the convex function

    .. math:: \tfrac12 w^\top G w - \sum_k \frac{w_k^{1 - 1/\alpha}}{1 - 1/\alpha}

    (:math:`\sum_k \log w_k` at :math:`\alpha = 1`). Newton's method in relative steps,
    damped so that the function falls at each step; its course does not depend on the
    lengths of the gradients. Derivatives come from the equation itself.

    Where a positive combination of the gradients is zero, as with opposite ones, there
    is no solution: the weights grow without end. They stop where the rounding of the
    Gramian would decide them, finite, and the residual is about 1.

    Args:
      gramian: Inner products of the gradients; entries from 1e-20 to 1e30 in float32.
      alpha: Exponent :math:`\alpha > 0`. Far from 1, gradients of very different
        lengths are beyond float32, and the residual says so.
      present: Rows that count; None for all. Others may hold anything.

    Returns:
      Weights and their residual, in float32 at least. Zero rows have weight 0 and the
      others are solved without them.

    Examples:
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = power_equation(gramian, 1.0).weights
      >>> [f"{weight:.5f}" for weight in weights]
      ['0.59146', '0.40707']

    References:
      Navon et al., Multi-Task Learning as a Bargaining Game (arXiv:2202.01017), claim
      3.1; Ban and Ji, Fair Resource Allocation in Multi-Task Learning
      (arXiv:2402.15638), equation 6.
    """
    unit, norms, counted = unit_rows(gramian, present)
    beta = 1 / jnp.asarray(alpha, unit.dtype)
    log_norms = jnp.log(norms)
    spread = jnp.where(counted, log_norms * (beta - 1) / (beta + 1), -jnp.inf)
    # One factor for all: the equation holds with any, and this one cannot overflow.
    top = jax.lax.stop_gradient(jnp.max(spread, initial=-jnp.inf))
    tilt = jnp.exp(jnp.where(counted, spread - top, 0))
    scaled = _root(unit, tilt, beta)
    excess, _, root = _equation(scaled, unit, tilt, beta)
    violation = jnp.where(counted, jnp.abs(root * excess), 0)
    size = jnp.max(jnp.where(counted, root**2, 0))
    weights = jnp.where(counted, scaled * jnp.exp(-2 / (1 + beta) * log_norms), 0)
    return PowerSolution(weights, jnp.max(violation) / jnp.where(size > 0, size, 1))


def unit_rows(
    gramian: Float[Array, "k k"], present: Bool[Array, " k"] | None = None
) -> tuple[Float[Array, "k k"], Float[Array, " k"], Bool[Array, " k"]]:
    """The Gramian of the unit gradients, in float32 at least.

    Args:
      gramian: Inner products of the gradients.
      present: Rows that count; None for all. Others may hold anything.

    Returns:
      The cosines; the norms; and which rows are present and not zero. The others have
      norm 1 and cosine 0 with all but themselves.

    Examples:
      >>> unit, norms, counted = unit_rows(jnp.array([[4.0, 2.0], [2.0, 4.0]]))
      >>> unit.tolist(), norms.tolist()
      ([[1.0, 0.5], [0.5, 1.0]], [2.0, 2.0])
    """
    gramian = gramian.astype(jnp.promote_types(gramian.dtype, jnp.float32))
    squares = jnp.diagonal(gramian)
    counted = squares > 0 if present is None else present & (squares > 0)
    norms = jnp.sqrt(jnp.where(counted, squares, 1))
    own = jnp.eye(squares.size, dtype=bool)
    both = counted[:, None] & counted[None] & ~own
    inner = jnp.where(both, gramian, 0)
    cosines = inner / norms[:, None] / norms[None]
    return jnp.where(own, 1, cosines), norms, counted


def _equation(
    scaled: Float[Array, " k"],
    unit: Float[Array, "k k"],
    tilt: Float[Array, " k"],
    beta: Float[Array, ""],
) -> tuple[Float[Array, " k"], Float[Array, "k k"], Float[Array, " k"]]:
    """The violation, and the matrix and the roots that it is made of.

    With ``root = w ** ((1 - beta) / 2)`` and ``M`` the Gramian times
    ``w ** ((1 + beta) / 2)`` on both sides the equation is ``M root = root``, and
    ``M + beta I`` is the Hessian in relative steps times ``root``. Its eigenvalues are
    at least ``beta``, whatever the rank and the scale of the Gramian.
    """
    outer = scaled ** ((1 + beta) / 2)
    matrix = outer[:, None] * unit * outer[None]
    root = tilt * scaled ** ((1 - beta) / 2)
    return root - matrix @ root, matrix, root


def _newton(
    matrix: Float[Array, "k k"],
    root: Float[Array, " k"],
    excess: Float[Array, " k"],
    beta: Float[Array, ""],
) -> Float[Array, " k"]:
    """The relative step that cancels the violation to first order."""
    hessian = matrix + beta * jnp.eye(root.size, dtype=root.dtype)
    return cho_solve(cho_factor(hessian, lower=True), excess) / root


def _damping(step: Float[Array, " k"], beta: Float[Array, ""]) -> Float[Array, ""]:
    """The longest step over which the function is sure to fall.

    The second derivative along the step is at most ``(1 - t m) ** -(1 + beta)`` times
    the one at its start, ``m`` the largest relative decrease; so the slope stays
    negative up to the ``t`` with ``(1 - t m) ** -beta = 1 + beta m``.
    """
    fall = jnp.max(-step)
    safe = jnp.where(fall > 0, fall, 1)
    length = -jnp.expm1(-jnp.log1p(beta * safe) / beta) / safe
    return jnp.where(fall > 0, length, 1)


@jax.custom_jvp
def _root(
    unit: Float[Array, "k k"], tilt: Float[Array, " k"], beta: Float[Array, ""]
) -> Float[Array, " k"]:
    """The weights, each in units of its own gradient's norm to the right power."""
    eps = jnp.finfo(unit.dtype).eps
    limit = beta / (8 * unit.shape[0] * eps)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        scaled, size, count = carry
        solvable = jnp.max(scaled) ** (1 + beta) < limit
        return (size**2 * (1 + beta) > eps) & solvable & (count < MAX_STEPS)

    def improved(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        scaled, _, count = carry
        excess, matrix, root = _equation(scaled, unit, tilt, beta)
        step = _newton(matrix, root, excess, beta)
        moved = scaled * (1 + _damping(step, beta) * step)
        return moved, jnp.max(jnp.abs(step)), count + 1

    least = LEAST_NORM * jnp.sum(tilt**2)
    norm = jnp.maximum(tilt @ (unit @ tilt), least)
    factor = (jnp.sum(tilt**2) / norm) ** (1 / (1 + beta))
    start = jnp.broadcast_to(factor, tilt.shape)
    begin = (start, jnp.full_like(beta, jnp.inf), jnp.zeros_like(beta, int))
    return jax.lax.while_loop(unfinished, improved, begin)[0]


@_root.defjvp
def _root_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    scaled = _root(*primals)
    _, matrix, root = _equation(scaled, *primals)
    _, moved = jax.jvp(lambda *at: _equation(scaled, *at)[0], primals, tangents)
    return scaled, scaled * _newton(matrix, root, moved, primals[2])
