"""Weightings that repel each other: minimal Riesz energy on the simplex."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import logsumexp

from morl.errors import InputError
from morl.pareto.directions import sobol_simplex

MOST_STEPS = 300


def riesz_directions(
    num_objectives: int, num_points: int, *, seed: int = 0
) -> Float[np.ndarray, "n k"]:
    r"""Evenly spaced weightings, any number of them, the vertices among them.

    They are a local minimum, from a start that ``seed`` draws, of the energy

    .. math:: U_s(z) = \sum_{i < j} \|z_i - z_j\|^{-s}, \quad s = K^2

    Unlike the lattice's, their number is free. The authors' own code (pymoo 0.6) says
    :math:`s = K^2` in words and takes :math:`2 K`; it follows the gradient, projected
    on the plane :math:`\sum_k z_k = 1`, with Adam. Here the vertices are fixed and the
    other points are :math:`z = x^2 / \sum_k x_k^2`, on which a quasi-Newton method
    needs no projection. 100 points of three objectives take a tenth of a second,
    1,000 half a minute.

    Args:
      num_objectives: :math:`K`, at least 2.
      num_points: At least :math:`K`.
      seed: Of the start; equal arguments give equal points on one machine.

    Returns:
      One weighting a row, the vertices first, float64.

    Raises:
      InputError: Fewer than two objectives, or fewer points than objectives.

    Examples:
      >>> riesz_directions(2, 3).round(3)
      array([[1. , 0. ],
             [0. , 1. ],
             [0.5, 0.5]])

    References:
      Blank, Deb, Dhebar, Bandaru and Seada, Generating Well-Spaced Points on a Unit
      Simplex for Evolutionary Many-Objective Optimization, IEEE Trans. Evol. Comput.
      25(1), 2021.
    """
    if num_objectives < 2 or num_points < num_objectives:
        raise InputError(
            f"found {num_objectives} objectives and {num_points} points, expected at "
            "least 2 objectives, and as many points (the vertices) or more",
            where="riesz_directions",
        )
    vertices = np.eye(num_objectives)
    free = num_points - num_objectives
    if not free:
        return vertices
    start = np.sqrt(sobol_simplex(num_objectives, free, seed=seed))
    solved = minimize(
        _log_energy_of_roots,
        start.ravel(),
        args=(vertices,),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MOST_STEPS, "maxcor": 20},
    )
    return np.concatenate([vertices, _on_simplex(solved.x.reshape(start.shape))])


def _on_simplex(roots: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    squares = roots**2
    return squares / squares.sum(axis=1, keepdims=True)


def _log_energy(
    points: Float[np.ndarray, "n k"],
) -> tuple[float, Float[np.ndarray, "n k"]]:
    """Logarithm of the energy, over ``s``, and its gradient."""
    # The logarithm: a distance of 0.01 to the power -64 leaves float64.
    power = points.shape[1] ** 2
    gaps = points[:, None] - points[None]
    squares = np.einsum("ijk,ijk->ij", gaps, gaps)
    np.fill_diagonal(squares, np.inf)
    terms = -power / 2 * np.log(squares)
    total = logsumexp(terms)
    pull = np.exp(terms - total) / squares
    slope = pull @ points - pull.sum(axis=1, keepdims=True) * points
    return float(total) / power, 2 * slope


def _log_energy_of_roots(
    flat: Float[np.ndarray, " m"], vertices: Float[np.ndarray, "k k"]
) -> tuple[float, Float[np.ndarray, " m"]]:
    """The same for points given by their roots, and the vertices."""
    roots = flat.reshape(-1, len(vertices))
    points = _on_simplex(roots)
    value, slope = _log_energy(np.concatenate([vertices, points]))
    slope = slope[len(vertices) :]
    along = (slope * points).sum(axis=1, keepdims=True)
    size = (roots**2).sum(axis=1, keepdims=True)
    return value, (2 * roots / size * (slope - along)).ravel()
