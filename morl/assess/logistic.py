"""Logistic regression on sparse features, to its optimum."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit

GRADIENT_NORM = 1e-6
MAX_ITERATIONS = 2000


def fit_logistic(
    features: csr_array,
    labels: Float[np.ndarray, " n"],
    penalty: Float[np.ndarray, " v"],
) -> Float[np.ndarray, " v"]:
    r"""Coefficients of the penalised maximum likelihood, by L-BFGS.

    .. math:: \min_w \frac1n \sum_i \log(1 + e^{x_i w}) - y_i x_i w
              + \tfrac12 \sum_j \lambda_j w_j^2

    Args:
      features: :math:`x`, ``[n, v]``; a column of ones gives an intercept.
      labels: :math:`y`, probabilities of "yes", in [0, 1].
      penalty: :math:`\lambda \ge 0` of each coefficient; an intercept has zero.

    Returns:
      The coefficients, at which no entry of the gradient exceeds 1e-6.

    Raises:
      ArithmeticError: The optimum was not reached: without penalty, and with classes
        that can be told apart without error, there is none.

    References:
      Liu and Nocedal, On the limited memory BFGS method (1989).
    """
    if not len(penalty):
        return np.zeros(0)
    transposed = csr_array(features.T)

    def loss_and_gradient(
        coefficients: Float[np.ndarray, " v"],
    ) -> tuple[float, Float[np.ndarray, " v"]]:
        logits = features @ coefficients
        loss = np.mean(np.logaddexp(0, logits) - labels * logits)
        pull = transposed @ (expit(logits) - labels) / len(labels)
        shrink = penalty * coefficients
        return float(loss + 0.5 * coefficients @ shrink), pull + shrink

    found = minimize(
        loss_and_gradient,
        np.zeros(len(penalty)),
        jac=True,
        method="L-BFGS-B",
        # None on the loss: near the optimum it stops moving before the gradient.
        options={"maxiter": MAX_ITERATIONS, "gtol": GRADIENT_NORM / 2, "ftol": 0.0},
    )
    residual = float(np.max(np.abs(found.jac)))
    if not residual <= GRADIENT_NORM:
        raise ArithmeticError(
            f"logistic regression stopped at a gradient of {residual:.1e}, above "
            f"{GRADIENT_NORM:.0e}: {found.message}"
        )
    return found.x
