"""The direction on which unit gradients project equally, or as is preferred."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.numerics.power_equation import unit_rows
from morl.weighting.contract import Prefs, Signals, preferences


class EqualProjection(NamedTuple):
    """A combination of unit gradients with given inner products with each.

    Attributes:
      coefficients: Of the unit gradients; 0 where a gradient is zero or absent.
      projections: Inner product of each unit gradient with the combination: what is
        wanted, as far as the gradients allow it.
      wanted: 1 where a gradient counts; with preferences 1 for the largest, and less
        for the others in proportion.
      norms: Norms of the gradients; 1 where one does not count.
      counted: Gradients that are present and not zero.
    """

    coefficients: Float[Array, " k"]
    projections: Float[Array, " k"]
    wanted: Float[Array, " k"]
    norms: Float[Array, " k"]
    counted: Bool[Array, " k"]


def equal_projection(signals: Signals, prefs: Prefs | None = None) -> EqualProjection:
    r"""Solves :math:`R \omega = 1` on the Gramian :math:`R` of the unit gradients.

    With preferences :math:`R \omega = p / \max_k p_k`.

    Where :math:`R` is singular, the least :math:`\omega` of least squares. Derivatives
    are exact where it is not, equal eigenvalues included.

    Args:
      signals: Its Gramian is used, and what is present.
      prefs: :math:`p`, at least 0; None for equal ones.

    Examples:
      >>> equal_projection(Signals(jnp.diag(jnp.array([4.0, 0.0])))).coefficients
      Array([1., 0.], dtype=float32)
    """
    unit, norms, counted = unit_rows(signals.gramian, signals.present)
    wanted = counted.astype(unit.dtype)
    if prefs is not None:
        wanted = jnp.where(counted, preferences(prefs, signals), 0)
        most = jnp.max(wanted)
        wanted = wanted / jnp.where(most > 0, most, 1)
    values, vectors, kept = spectrum(jax.lax.stop_gradient(unit))

    def inverted(vector: Float[Array, " k"]) -> Float[Array, " k"]:
        parts = vector @ vectors
        return vectors @ jnp.where(kept, parts / jnp.where(kept, values, 1), 0)

    first = inverted(wanted)
    # The second step takes off the rounding of the first, and has the derivative.
    omega = first + inverted(wanted - unit @ first)
    # Gradients that cancel leave rounding errors only, which the caller would blow up.
    # A NaN is not less than noise, and stays.
    size = jnp.max(jnp.abs(omega))
    omega = jnp.where(counted & ~(size <= _noise(unit)), omega, 0)
    return EqualProjection(omega, unit @ omega, wanted, norms, counted)


def spectrum(
    matrix: Float[Array, "k k"],
) -> tuple[Float[Array, " k"], Float[Array, "k k"], Bool[Array, " k"]]:
    """Eigenvalues, eigenvectors, and which of them are not rounding errors.

    An eigenvalue counts above ``10 * k`` times the machine epsilon of the largest one.
    """
    # The solver's own symmetrisation costs more than a small problem.
    vectors, values = jax.lax.linalg.eigh(matrix, symmetrize_input=False)
    return values, vectors, values > _noise(matrix) * values[-1]


def _noise(matrix: Float[Array, "k k"]) -> float:
    return 10 * matrix.shape[0] * float(jnp.finfo(matrix.dtype).eps)
