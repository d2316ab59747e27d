"""Logistic regression on sparse features, to its optimum."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array
from scipy.special import expit

GRADIENT_LIMIT = 1e-6
MAX_STEPS = 100
MAX_CG_STEPS = 1000
SUFFICIENT = 1e-4


def fit_logistic(
    features: csr_array,
    labels: Float[np.ndarray, " n"],
    penalty: Float[np.ndarray, " v"],
) -> Float[np.ndarray, " v"]:
    r"""Coefficients of the penalised maximum likelihood, by Newton's method.

    .. math:: \min_w \frac1n \sum_i \big(\log(1 + e^{x_i w}) - y_i x_i w\big)
              + \tfrac12 \sum_j \lambda_j w_j^2

    Newton's equations are solved by conjugate gradients, which touch the features only
    in products with vectors, as exactly as the distance to the optimum deserves.

    Args:
      features: :math:`x`, ``[n, v]``; a column of ones gives an intercept.
      labels: :math:`y`, probabilities of "yes", in [0, 1].
      penalty: :math:`\lambda \ge 0` of each coefficient; an intercept has zero.

    Returns:
      The coefficients, at which no entry of the gradient exceeds 1e-6.

    Raises:
      ArithmeticError: The optimum was not reached; a number may not be finite.

    References:
      Nocedal and Wright, Numerical Optimization (2006), algorithm 7.1.
    """
    transposed = csr_array(features.T)
    coefficients = np.zeros(len(penalty))
    value, slope = _loss(features, labels, penalty, coefficients)
    for _ in range(MAX_STEPS):
        gradient = transposed @ slope + penalty * coefficients
        if np.max(np.abs(gradient), initial=0.0) <= GRADIENT_LIMIT:
            return coefficients
        spread = _spread(features @ coefficients)
        curve = lambda v, s=spread: transposed @ (s * (features @ v)) + penalty * v
        step = _newton_step(curve, gradient)
        descent, length = _inner(gradient, step), 1.0
        while True:
            trial = coefficients + length * step
            found, slope = _loss(features, labels, penalty, trial)
            if found <= value + SUFFICIENT * length * descent:
                break
            length /= 2
            if length < np.finfo(float).eps:
                raise ArithmeticError("logistic regression found no descent")
        coefficients, value = trial, found
    raise ArithmeticError(
        f"logistic regression has no optimum within {MAX_STEPS} Newton steps"
    )


def _loss(
    features: csr_array,
    labels: Float[np.ndarray, " n"],
    penalty: Float[np.ndarray, " v"],
    coefficients: Float[np.ndarray, " v"],
) -> tuple[float, Float[np.ndarray, " n"]]:
    """The loss, and the gradient of its first part in the logits."""
    logits = features @ coefficients
    fit = np.mean(np.logaddexp(0, logits) - labels * logits)
    shrinkage = _inner(penalty * coefficients, coefficients) / 2
    return float(fit + shrinkage), (expit(logits) - labels) / len(labels)


def _spread(logits: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Second derivative of the loss's first part in each logit."""
    return expit(logits) * expit(-logits) / len(logits)


def _newton_step(
    curve: Callable[[Float[np.ndarray, " v"]], Float[np.ndarray, " v"]],
    gradient: Float[np.ndarray, " v"],
) -> Float[np.ndarray, " v"]:
    """Solves ``curve(step) = -gradient``, loosely far from the optimum."""
    size = _inner(gradient, gradient) ** 0.5
    goal = min(0.5, size**0.5) * size
    step = np.zeros_like(gradient)
    residual = -gradient
    direction, square = residual, size**2
    for _ in range(MAX_CG_STEPS):
        if square**0.5 <= goal:
            break
        bent = curve(direction)
        length = square / _inner(direction, bent)
        step = step + length * direction
        residual = residual - length * bent
        previous, square = square, _inner(residual, residual)
        direction = residual + square / previous * direction
    return step


def _inner(a: Float[np.ndarray, " v"], b: Float[np.ndarray, " v"]) -> float:
    """Inner product without BLAS.

    Threads of BLAS spin on vectors of this size: where other work shares the cores,
    a fit through ``np.dot`` takes ten times as long.
    """
    return float(np.einsum("v,v->", a, b))
