"""Nash-MTL: the bargaining solution between the objectives."""

from morl.numerics.power_equation import power_equation
from morl.weighting.contract import (
    Signals,
    Solution,
    State,
    Weighting,
    present_gramian,
    watched,
)


def nash() -> Weighting:
    r"""Nash-MTL: the direction that maximises the product of the improvements.

    .. math:: G w = 1 / w, \quad w > 0

    Every objective improves, by :math:`g_k \cdot d = 1 / w_k`, and :math:`\|d\|^2` is
    the number of objectives that count. The direction does not depend on the lengths of
    the gradients: scaling one by ``c`` divides its weight by ``c``.

    Returns:
      A stateless :class:`Weighting`. Where gradients cancel there is no solution: the
      weights are large but finite, and the residual is about 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> gramian = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
      >>> weights = nash().update(Signals(gramian), ())[0].weights
      >>> [f"{weight:.5f}" for weight in weights]
      ['0.59146', '0.40707']

    References:
      Navon et al., Multi-Task Learning as a Bargaining Game (arXiv:2202.01017), claim
      3.1. The public implementation solves a sequence of convex programs on the host,
      divides the Gramian by its norm, and keeps its previous weights where the solver
      fails; here the equation is solved as it is, at every step.
    """

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        solved = power_equation(signals.gramian, 1.0, present=signals.present)
        return Solution(*solved), state

    return watched(Weighting(init, update), present_gramian)
