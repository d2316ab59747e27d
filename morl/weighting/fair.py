"""FairGrad: the direction that is alpha-fair to all objectives."""

from morl.errors import InputError
from morl.numerics.power_equation import power_equation
from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_gramian,
    watched,
)


def fair(alpha: float = 1.0) -> Weighting:
    r"""FairGrad: shares the progress of a step alpha-fairly among the objectives.

    .. math:: G w = w^{-1 / \alpha}, \quad w > 0

    Every objective improves, by :math:`g_k \cdot d = w_k^{-1 / \alpha}`. The larger
    :math:`\alpha`, the closer these are to equal; at 1 they are Nash's.

    Args:
      alpha: Fairness :math:`\alpha > 0`.

    Returns:
      A stateless :class:`Weighting`. Gradients times ``c`` have weights times
      ``c ** (-2 * alpha / (1 + alpha))``. Where gradients cancel there is no solution:
      the weights are large but finite, and the residual is about 1.

    Raises:
      InputError: ``alpha`` is not positive.

    Examples:
      >>> import jax.numpy as jnp
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = fair(2.0).update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.5f}" for weight in weights]
      ['0.47136', '0.31945']

    References:
      Ban and Ji, Fair Resource Allocation in Multi-Task Learning (arXiv:2402.15638),
      equation 6. The public implementation minimises the violation by least squares on
      the host; here Newton's method solves the equation on the device.
    """
    if not alpha > 0:
        raise InputError(f"alpha is {alpha}, expected more than 0", where="fair")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        solved = power_equation(signals.gramian, alpha, present=signals.present)
        return Solution(*solved), state

    return watched(Weighting(init, update), present_gramian)
