"""Aligned-MTL: gradients made orthogonal and equally long, then mixed."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    checked_prefs,
    preferences,
    present_gramian,
    present_of,
    watched,
)
from morl.weighting.equal_projection import spectrum


def aligned(prefs: Prefs | None = None) -> Weighting:
    r"""Aligned-MTL: the nearest gradients whose Gramian is a multiple of the identity.

    .. math:: w = \sqrt{\lambda_{\min}}\, V \Lambda^{-1/2} V^\top p, \quad
       G = V \Lambda V^\top

    over the eigenvalues that are not zero: above ``10 * k`` times the machine epsilon
    of the largest one. So absent and zero gradients have weight 0, and so has one that
    is too short beside the longest for its square to be told from rounding.

    Args:
      prefs: Preferences :math:`p`, at least 0; None for ``1 / k`` each.

    Returns:
      A stateless :class:`Weighting` with residual 0.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    Examples:
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = aligned().update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.4f}" for weight in weights]
      ['0.5591', '0.4083']

    References:
      Senushkin et al., Independent Component Alignment for Multi-Task Learning
      (arXiv:2305.19000), algorithm 1, the scale by the least singular value.
    """

    wanted = checked_prefs(prefs, "aligned")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        base = preferences(wanted, signals)
        gramian = present_gramian(signals)
        size = jnp.max(jnp.diagonal(gramian))
        weights = _mixed(gramian / jnp.where(size > 0, size, 1), base)
        alive = present_of(signals) & (jnp.diagonal(gramian) > 0)
        weights = jnp.where(alive, weights, 0)
        return Solution(weights, jnp.zeros((), weights.dtype)), state

    return watched(Weighting(init, update), present_gramian)


class _Roots(NamedTuple):
    """The spectrum of a Gramian, and what it is turned into.

    Attributes:
      values: Eigenvalues.
      vectors: Eigenvectors.
      kept: Eigenvalues that are not zero.
      least: The least of these.
      roots: The root of the least one over each; 0 where that is zero.
    """

    values: Float[Array, " k"]
    vectors: Float[Array, "k k"]
    kept: Bool[Array, " k"]
    least: Float[Array, ""]
    roots: Float[Array, " k"]


def _roots(gramian: Float[Array, "k k"]) -> _Roots:
    values, vectors, kept = spectrum(gramian)
    least = jnp.min(jnp.where(kept, values, jnp.inf))
    ratio = jnp.where(kept, least, 0) / jnp.where(kept, values, 1)
    roots = jnp.where(kept, jnp.sqrt(jnp.where(kept, ratio, 1)), 0)
    return _Roots(values, vectors, kept, least, roots)


@jax.custom_jvp
def _mixed(
    gramian: Float[Array, "k k"], prefs: Float[Array, " k"]
) -> Float[Array, " k"]:
    """The weights, with derivatives that are finite at equal eigenvalues too."""
    return _applied(_roots(gramian), prefs)


def _applied(found: _Roots, prefs: Float[Array, " k"]) -> Float[Array, " k"]:
    return found.vectors @ (found.roots * (prefs @ found.vectors))


@_mixed.defjvp
def _mixed_jvp(primals: tuple, tangents: tuple) -> tuple:
    gramian, prefs = primals
    found = _roots(gramian)
    weights = _applied(found, prefs)
    vectors = found.vectors
    moved = vectors.T @ tangents[0] @ vectors
    turned = vectors @ ((_slopes(found) * moved) @ (prefs @ vectors))
    # Of equal least eigenvalues the first one counts.
    first = jnp.argmax(found.kept)
    growth = moved[first, first] / (2 * found.least)
    growth = jnp.where(jnp.isfinite(found.least), growth, 0)
    return weights, turned + growth * weights + _applied(found, tangents[1])


def _slopes(found: _Roots) -> Float[Array, "k k"]:
    r"""Divided differences of the roots, without the differences of eigenvalues.

    Between two that are not zero
    :math:`-\sqrt{\lambda_{\min} / (\lambda_i \lambda_j)} /
    (\sqrt{\lambda_i} + \sqrt{\lambda_j})`; beside one that is, and stays so,
    :math:`\sqrt{\lambda_{\min}} \lambda_i^{-3/2}`.
    """
    safe = jnp.where(found.kept, found.values, 1)
    sizes = jnp.sqrt(safe)
    least = jnp.where(jnp.isfinite(found.least), found.least, 1)
    column, row = sizes[:, None], sizes[None]
    pairs = column * row * (column + row)
    edge = found.roots / safe
    both = found.kept[:, None] & found.kept[None]
    return jnp.where(both, -jnp.sqrt(least) / pairs, edge[:, None] + edge[None])
