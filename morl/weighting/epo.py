"""EPO: the Pareto-optimal point where preferences times losses are equal."""

from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.weighting.contract import (
    Prefs,
    Signals,
    Solution,
    State,
    Weighting,
    positive_prefs,
    preferences,
    present_gramian,
    present_losses,
    present_of,
    watched,
)
from morl.weighting.linear_program import simplex_program


def epo(prefs: Prefs | None = None, *, tolerance: float = 1e-4) -> Weighting:
    r"""Balances preferences times losses, and descends where they are balanced.

    With :math:`\hat\ell_k \propto p_k \ell_k`, summing to 1, and the non-uniformity
    :math:`\mu = \sum_k \hat\ell_k \log (K \hat\ell_k)`, the balancing direction is
    :math:`\sum_k a_k g_k` with :math:`a_k = p_k (\log (K \hat\ell_k) - \mu)`. A linear
    program over the simplex picks the weights:

    - *balance*, where :math:`\mu` exceeds the tolerance: maximise
      :math:`w^\top G a`. The largest :math:`p_k \ell_k` must not rise, and no loss may
      rise by more than it does along the balancing direction. If no loss falls along
      it, none may rise.
    - *descent*, elsewhere: maximise :math:`\sum_k (G w)_k` where no loss may rise.

    Args:
      prefs: :math:`p > 0`; the larger, the smaller that loss. None for ``1 / k`` each.
      tolerance: Non-uniformity that counts as balanced.

    Returns:
      A stateless :class:`Weighting` that needs positive losses; its weights lie on the
      simplex, and its residual is that of the linear program. Of sets with duplicate
      gradients some are not solved in float32, and the residual says so. At an end of
      the front where a loss is 0 its gradient vanishes too, and steps can come to rest
      there.

    Raises:
      InputError: An entry of ``prefs`` is not above 0 or not finite.

    References:
      Mahapatra and Rajan, Multi-Task Learning with User Preferences, ICML 2020 (PMLR
      119:6597-6607). Public code has a restricted descent with one constraint more,
      under which the program can have no solution (it then falls back on the
      preferences), and scales its steps by :math:`\mu`: both are left out.
    """

    checked = positive_prefs(prefs, "epo")
    losses_of = partial(present_losses, method="epo")

    def init(num_objectives: int) -> State:
        del num_objectives
        return ()

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        losses = losses_of(signals)
        present, gramian = present_of(signals), present_gramian(signals)
        largest = jnp.max(jnp.abs(gramian))
        gramian = gramian / jnp.where(largest > 0, largest, 1)
        wanted = preferences(checked, signals)
        scaled = wanted * losses.astype(gramian.dtype)
        anchor, uneven = _balancing(wanted, scaled, present)
        along = gramian @ anchor
        falls = present & (along > 0)
        # -inf where the balancing direction lowers the loss: it may do what it likes.
        bound = jnp.where(falls, -jnp.inf, jnp.minimum(along, 0))
        worst = scaled >= jnp.max(jnp.where(present, scaled, -jnp.inf))
        bound = jnp.where(worst | ~jnp.any(falls), 0, bound)
        balance = uneven > tolerance
        weights, residual = simplex_program(
            jnp.where(balance, along, jnp.sum(gramian, axis=0)),
            gramian,
            jnp.where(balance, bound, 0),
            present,
        )
        return Solution(weights, residual), state

    return watched(Weighting(init, update), present_gramian, losses_of)


def _balancing(
    prefs: Float[Array, " k"], scaled: Float[Array, " k"], present: Bool[Array, " k"]
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    """Weights of the balancing direction, and the non-uniformity."""
    least = jnp.finfo(scaled.dtype).eps
    positive = jnp.maximum(scaled, 0)
    total = jnp.sum(positive)
    count = jnp.sum(present).astype(scaled.dtype)
    even = 1 / jnp.maximum(count, 1)
    # A loss of 0 has a logarithm of minus infinity; its share stops at the rounding.
    share = jnp.where(total > 0, positive / jnp.where(total > 0, total, 1), even)
    share = jnp.where(present, share, 0)
    logs = jnp.where(present, jnp.log(jnp.maximum(share, least) * count), 0)
    # The same as log less non-uniformity, without the cancellation that would leave a
    # wrong sign where one share is nearly 1.
    apart = jnp.sum(share[None] * (logs[:, None] - logs[None]), axis=1)
    return jnp.where(present, prefs * apart, 0), jnp.sum(share * logs)
