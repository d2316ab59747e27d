"""Rewards of heads that are averse to what the heads do not know.

Each reads what any kind of head says, ``[*batch, k, m]`` raw numbers, as one reward an
objective: the mean, or less where the head is unsure.
"""

from jaxtyping import Array, Float

from morl.errors import InputError
from morl.models.heads.family import Estimate, Head, Readings


def estimates(head: Head, readings: Readings) -> Estimate:
    """Mean and deviation of every objective's reward, ``[*batch, k]`` each.

    Args:
      head: Says what the readings mean.
      readings: From ``head.read``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from morl.models.heads.ensemble import ensemble
      >>> members = Readings(jnp.array([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]]))
      >>> print(*estimates(ensemble(3), members))
      [1. 3.] [1. 0.]
    """
    return head.estimate(readings.values)


def low_quantile(
    head: Head, readings: Readings, *, level: float | Float[Array, ""] = 0.1
) -> Float[Array, "*batch k"]:
    """The reward that is reached with probability ``1 - level``.

    Quantile heads are interpolated between the levels that they say, and flat beyond.

    Args:
      head: Says what the readings mean.
      readings: From ``head.read``.
      level: In [0, 1]; below a half for aversion to risk.

    Raises:
      InputError: The level is outside.

    References:
      Dorka, Quantile Regression for Distributional Reward Models (arXiv:2409.10164).
    """
    if isinstance(level, float | int) and not 0 <= level <= 1:
        raise InputError(f"found {level}, expected a number in [0, 1]", where="level")
    return head.quantile(readings.values, level)


def mean_minus_variance(
    head: Head, readings: Readings, *, aversion: float | Float[Array, ""] = 1.0
) -> Float[Array, "*batch k"]:
    r"""The mean less the variance: :math:`\mu_k - \lambda\, \sigma_k^2`.

    Args:
      head: Says what the readings mean.
      readings: From ``head.read``.
      aversion: Factor :math:`\lambda`, per unit of reward; 0 gives the mean.

    References:
      Coste et al., Reward Model Ensembles Help Mitigate Overoptimization
      (arXiv:2310.02743): uncertainty-weighted optimisation.
    """
    mean, deviation = estimates(head, readings)
    return mean - aversion * deviation**2


def worst_case(head: Head, readings: Readings) -> Float[Array, "*batch k"]:
    """The least reward that the head holds possible: of members, or of quantiles.

    Args:
      head: Says what the readings mean.
      readings: From ``head.read``.

    Raises:
      InputError: The head holds every reward possible, as a normal one does.

    References:
      Coste et al. (arXiv:2310.02743): worst-case optimisation.
    """
    if head.least is None:
        raise InputError(
            "found a head whose rewards have no least one (gaussian), expected one "
            "with finitely many values (ensemble, quantile) or one value; use "
            "low_quantile",
            where="worst_case",
        )
    return head.least(readings.values)
