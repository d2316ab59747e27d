"""Designs whose losses stand in given proportions: exact Pareto optimal search."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree

from morl.errors import InputError
from morl.fronts.search.box import Box
from morl.fronts.search.descent import Slopes, follow
from morl.fronts.search.found import Found
from morl.fronts.search.shapes import count_objectives, expect_shape
from morl.weighting.contract import Signals, Weighting
from morl.weighting.epo import epo


def exact_search(
    rewards: Callable[[Float[Array, " d"]], Float[Array, " k"]],
    starts: Float[Array, "n d"],
    prefs: Float[Array, "m j"],
    *,
    ideal: Float[Array, " i"],
    optimizer: optax.GradientTransformation,
    num_steps: int,
    box: Box | None = None,
    weighting: Callable[[Float[Array, " k"]], Weighting] = epo,
) -> Found:
    r"""For each preference, a design of the front whose weighted losses are equal.

    The losses are the distances from the ideal, :math:`l_k = z_k - r_k`, and a
    preference :math:`p` asks for :math:`p_1 l_1 = \dots = p_K l_K`: the ray through
    :math:`1 / p`. Where the front does not meet the ray, the search ends at a point of
    the front nearby. Reaches concave parts.

    Args:
      rewards: From a design to its reward vector, maximised; differentiable.
      starts: First design of each preference, inside the box: the weights are at least
        0, so that a variable at a bound stays there if no loss falls by leaving it.
      prefs: Preferences :math:`p`, above 0, one a row: a larger one asks for a smaller
        loss.
      ideal: :math:`z`, above each reward that is met.
      optimizer: Takes the combined gradient. Its length carries little meaning, so
        normalise it (``optax.normalize_by_update_norm``) and let the steps decay.
      num_steps: Steps taken.
      box: Bounds of the designs, kept by projection; None for none.
      weighting: From one preference to a weighting that reads the Gramian and the
        losses. The tolerance of :func:`morl.weighting.epo.epo` is how uneven the
        weighted losses may stay: ``partial(epo, tolerance=1e-6)`` is nearer to the ray.

    Returns:
      One design a preference. The trace has one row a step: for each preference the
      divergence of the weighted losses from equal ones,
      :math:`\sum_k q_k \log(K q_k)` with :math:`q_k \propto p_k l_k`.

    Raises:
      InputError: Shapes that do not match, or a preference that is not above 0 and
        finite, where it is not traced: without a say on every loss there is no ray.

    References:
      Mahapatra and Rajan, Multi-Task Learning with User Preferences: Gradient Descent
      with Controlled Ascent in Pareto Optimization, ICML 2020.
    """
    k = count_objectives(rewards, starts, box)
    expect_shape("prefs", prefs.shape, (starts.shape[0], k))
    expect_shape("ideal", ideal.shape, (k,))
    if not isinstance(prefs, Tracer):
        known = np.asarray(prefs)
        if not ((known > 0) & np.isfinite(known)).all():
            raise InputError(
                f"found {known.tolist()}, expected finite numbers above 0",
                where="prefs",
            )
    return _run(
        rewards,
        starts,
        prefs,
        ideal=ideal,
        optimizer=optimizer,
        num_steps=num_steps,
        box=box,
        weighting=weighting,
    )


@partial(jax.jit, static_argnames=("rewards", "optimizer", "num_steps", "weighting"))
def _run(
    rewards: Callable[[Float[Array, " d"]], Float[Array, " k"]],
    starts: Float[Array, "n d"],
    prefs: Float[Array, "n k"],
    *,
    ideal: Float[Array, " k"],
    optimizer: optax.GradientTransformation,
    num_steps: int,
    box: Box | None,
    weighting: Callable[[Float[Array, " k"]], Weighting],
) -> Found:
    def search(
        start: Float[Array, " d"], pref: Float[Array, " k"]
    ) -> tuple[Float[Array, " d"], Float[Array, " t"]]:
        init, update = weighting(pref)

        def choose(
            here: Slopes, state: PyTree[Array]
        ) -> tuple[Float[Array, " k"], PyTree[Array], Float[Array, ""]]:
            losses = ideal.astype(here.rewards.dtype) - here.rewards
            signals = Signals(here.rows @ here.rows.T, losses=losses)
            solution, state = update(signals, state)
            return solution.weights, state, _unevenness(pref * losses)

        return follow(
            rewards,
            start,
            choose,
            init(pref.size),
            box=box,
            optimizer=optimizer,
            num_steps=num_steps,
        )

    designs, trace = jax.vmap(search, out_axes=(0, 1))(starts, prefs)
    return Found(designs, jax.vmap(rewards)(designs), trace)


def _unevenness(weighted: Float[Array, " k"]) -> Float[Array, ""]:
    shares = weighted / jnp.sum(weighted)
    return jnp.sum(jax.scipy.special.xlogy(shares, shares * weighted.size))
