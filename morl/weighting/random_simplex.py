"""Random weights: a baseline that many methods have not beaten."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    checked_prefs,
    preferences,
    present_of,
    watched,
)
from morl.weighting.shares import shares

Draw: TypeAlias = Callable[[Key[Array, ""], tuple[int, ...]], Float[Array, " k"]]


def random_simplex(
    key: Key[Array, ""],
    prefs: Prefs | None = None,
    *,
    scores: Draw = jax.random.normal,
) -> Weighting:
    r"""Fresh random weights at every step, the softmax of random scores.

    .. math:: w_k \propto p_k \exp(z_k)

    Args:
      key: Consumed once; the state holds its descendants.
      prefs: :math:`p`, at least 0; None for ``1 / k`` each, and then the rule is that
        of the paper.
      scores: From a key and a shape to the scores :math:`z`. Normal ones are the
        paper's default; ``lambda key, shape: jax.random.loggamma(key, 1.0, shape)``
        gives weights that are uniform on the simplex.

    Returns:
      A :class:`Weighting` with residual 0 and weights that add up to the preferences'
      total, over what is present.

    Raises:
      InputError: An entry of ``prefs`` is negative or not finite, or all are 0.

    Examples:
      >>> method = random_simplex(jax.random.key(0))
      >>> solution, state = method.update(Signals(jnp.eye(3)), method.init(3))
      >>> round(solution.weights.sum().item(), 6)
      1.0

    References:
      Lin et al., Reasonable Effectiveness of Random Weighting (arXiv:2111.10603),
      2021. A public implementation passes its Dirichlet and uniform draws through a
      softmax once more; here they are weights as they are.
    """

    wanted = checked_prefs(prefs, "random_simplex")

    def init(num_objectives: int) -> State:
        del num_objectives
        return key

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        now, later = jax.random.split(state)
        base = preferences(wanted, signals)
        drawn = scores(now, base.shape).astype(base.dtype)
        weights = jnp.sum(base) * shares(drawn + jnp.log(base), present_of(signals))
        return Solution(weights, jnp.zeros((), base.dtype)), later

    return watched(Weighting(init, update))
