"""Well-spread weightings on the probability simplex, and rays on the sphere."""

from itertools import combinations
from math import ceil, comb, log2

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import betaincinv
from scipy.stats import qmc

from morl.errors import InputError

MOST_POINTS = 1_000_000


def simplex_lattice(num_objectives: int, divisions: int) -> Float[np.ndarray, "n k"]:
    r"""All weightings whose entries are multiples of ``1 / divisions`` and sum to 1.

    There are :math:`\binom{D + K - 1}{K - 1}` of them for :math:`K` objectives and
    :math:`D` divisions: 11 for (2, 10), 66 for (3, 10). The vertices are always among
    them; the centroid is when ``divisions`` is a multiple of ``num_objectives``.

    Args:
      num_objectives: :math:`K`, at least 1.
      divisions: :math:`D`, at least 1: steps between two vertices.

    Returns:
      One weighting a row, in lexicographic order, float64.

    Raises:
      InputError: A count below 1, or a lattice of more than a million points.

    Examples:
      >>> simplex_lattice(2, 2)
      array([[0. , 1. ],
             [0.5, 0.5],
             [1. , 0. ]])

    References:
      Das and Dennis, Normal-Boundary Intersection, SIAM J. Optim. 8(3), 1998.
    """
    if num_objectives < 1 or divisions < 1:
        raise InputError(
            f"found {num_objectives} objectives and {divisions} divisions, expected at "
            "least 1 of each",
            where="simplex_lattice",
        )
    size = comb(divisions + num_objectives - 1, num_objectives - 1)
    if size > MOST_POINTS:
        raise InputError(
            f"{num_objectives} objectives with {divisions} divisions make {size} "
            f"weightings, expected at most {MOST_POINTS}",
            where="simplex_lattice",
        )
    # Stars and bars: a weighting is the gaps between K - 1 bars among D + K - 1 places.
    places = divisions + num_objectives - 1
    bars = np.array(
        list(combinations(range(places), num_objectives - 1)), dtype=np.int64
    ).reshape(size, num_objectives - 1)
    fence = np.full((size, 1), -1), bars, np.full((size, 1), places)
    return (np.diff(np.concatenate(fence, axis=1), axis=1) - 1) / divisions


def _check_counts(
    num_objectives: int, num_points: int, *, least: int, where: str
) -> None:
    if num_objectives < 1 or num_points < least or num_points > MOST_POINTS:
        raise InputError(
            f"found {num_objectives} objectives and {num_points} points, expected at "
            f"least 1 objective and {least} to {MOST_POINTS} points",
            where=where,
        )


def sobol_simplex(
    num_objectives: int, num_points: int, *, seed: int = 0
) -> Float[np.ndarray, "n k"]:
    r"""Weightings that fill the simplex evenly, any number of them.

    Scrambled Sobol points :math:`u` of the cube break a stick of length 1, piece by
    piece,

    .. math:: w_j = \Big(1 - \sum_{i<j} w_i\Big) \big(1 - (1 - u_j)^{1/(K-j)}\big)

    which carries the uniform distribution of the cube to that of the simplex. They are
    most even for a power of 2; a longer sequence begins with the shorter one.

    Args:
      num_objectives: :math:`K`, at least 1.
      num_points: At least 1.
      seed: Of the scrambling; equal arguments give equal points.

    Returns:
      One weighting a row, float64.

    Raises:
      InputError: A count below 1, or more than a million points.

    Examples:
      >>> sobol_simplex(3, 8).shape
      (8, 3)

    References:
      Fang and Wang, Number-Theoretic Methods in Statistics, 1994 (the map); Owen,
      Scrambled Net Variance for Integrals of Smooth Functions, Ann. Statist. 25(4),
      1997 (the scrambling).
    """
    _check_counts(num_objectives, num_points, least=1, where="sobol_simplex")
    if num_objectives == 1:
        return np.ones((num_points, 1))
    cube = _sobol_cube(num_objectives - 1, num_points, seed)
    left = np.ones((num_points, num_objectives))
    pieces_after = np.arange(num_objectives - 1, 0, -1)
    left[:, 1:] = np.cumprod((1 - cube) ** (1 / pieces_after[None]), axis=1)
    return np.append(left[:, :-1] - left[:, 1:], left[:, -1:], axis=1)


def _sobol_cube(width: int, num_points: int, seed: int) -> Float[np.ndarray, "n d"]:
    """The first points of a scrambled Sobol sequence in the cube."""
    sequence = qmc.Sobol(width, rng=np.random.default_rng(seed))
    return sequence.random_base2(ceil(log2(num_points)))[:num_points]


def sobol_sphere(
    num_objectives: int, num_points: int, *, seed: int = 0
) -> Float[np.ndarray, "n k"]:
    r"""Unit vectors that fill the positive part of the sphere evenly.

    Their squares are a stick of length 1 that scrambled Sobol points :math:`u` break
    piece by piece, so that they have the Dirichlet distribution of the squares of a
    uniform direction (all concentrations 1/2):

    .. math:: w_j^2 = \Big(1 - \sum_{i<j} w_i^2\Big) \,
      I^{-1}_{u_j}\big(\tfrac12, \tfrac{K - j}{2}\big)

    Args:
      num_objectives: :math:`K`, at least 1.
      num_points: At least 1; a power of 2 is most even.
      seed: Of the scrambling; equal arguments give equal points.

    Returns:
      One direction a row, float64.

    Raises:
      InputError: A count below 1, or more than a million points.

    Examples:
      >>> sobol_sphere(3, 8).shape
      (8, 3)

    References:
      Fang and Wang, Number-Theoretic Methods in Statistics, 1994, for maps from the
      cube.
    """
    _check_counts(num_objectives, num_points, least=1, where="sobol_sphere")
    if num_objectives == 1:
        return np.ones((num_points, 1))
    cube = _sobol_cube(num_objectives - 1, num_points, seed)
    after = np.arange(num_objectives - 1, 0, -1)
    # 1 - I^{-1}_u(a, b) = I^{-1}_{1 - u}(b, a), without the loss of digits near 1.
    remain = np.cumprod(betaincinv(after[None] / 2, 0.5, 1 - cube), axis=1)
    before = np.append(np.ones((num_points, 1)), remain[:, :-1], axis=1)
    pieces = before * betaincinv(0.5, after[None] / 2, cube)
    return np.sqrt(np.append(pieces, remain[:, -1:], axis=1))


def dirichlet(
    key: Key[Array, ""],
    num_objectives: int,
    num_points: int,
    *,
    alpha: Float[Array, " k"] | float = 1.0,
) -> Float[Array, "n k"]:
    r"""Random weightings from a Dirichlet distribution, under jit as well.

    Args:
      key: Consumed once.
      num_objectives: :math:`K`, at least 1.
      num_points: At least 1.
      alpha: Concentration, above 0, shared or one an objective: 1 is uniform on the
        simplex, less prefers its corners and edges, more its middle.

    Returns:
      One weighting a row, in float32 at least.

    Raises:
      InputError: A count below 1, more than a million points, or a wrong number of
        concentrations.

    Examples:
      >>> dirichlet(jax.random.key(0), 3, 8).shape
      (8, 3)
    """
    _check_counts(num_objectives, num_points, least=1, where="dirichlet")
    shape = np.shape(alpha)
    if shape not in ((), (num_objectives,)):
        raise InputError(
            f"alpha has shape {shape}, expected a number or {num_objectives} of them",
            where="dirichlet",
        )
    given = jnp.asarray(alpha)
    given = given.astype(jnp.promote_types(given.dtype, jnp.float32))
    given = jnp.broadcast_to(given, (num_objectives,))
    return jax.random.dirichlet(key, given, (num_points,))
