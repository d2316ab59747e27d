"""On a concave front linear methods collapse to the ends; the others cover it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from morl.fronts.search.box import Box
from morl.fronts.search.exact_search import exact_search
from morl.fronts.search.hypervolume_ascent import hypervolume_ascent
from morl.fronts.search.linear_support import linear_support
from morl.pareto import host
from morl.scalarize.chebyshev import smooth_chebyshev
from morl.scalarize.linear import linear
from morl.weighting.constant import constant
from morl.weighting.epo import epo
from morl.worlds.vlmop import vlmop2

PROBLEM = vlmop2()
BOX = Box(PROBLEM.lower, PROBLEM.upper)
NUM_STEPS = 500
DECAY = optax.cosine_decay_schedule(0.05, NUM_STEPS)
ADAM = optax.adam(DECAY)
NORMALISED = optax.chain(optax.normalize_by_update_norm(), optax.sgd(DECAY))
# Ten even weightings; the same ten starts, spread along the front and off it.
WEIGHTS = jnp.stack([jnp.linspace(0.05, 0.95, 10), jnp.linspace(0.95, 0.05, 10)], 1)
STARTS = jnp.asarray(PROBLEM.designs(10), jnp.float32) + jnp.array([[0.2, -0.1]])
SMOOTH = partial(smooth_chebyshev, ideal=jnp.zeros(2), temperature=0.01)


@partial(jax.jit, static_argnames="scalarizer")
def by_scalarizer(scalarizer):
    """Rewards of the designs that gradient ascent of each utility ends in."""
    utility = lambda x, w: scalarizer(PROBLEM.rewards(x), w)

    def step(carry, _):
        designs, memory = carry
        slope = jax.vmap(jax.grad(utility))(designs, WEIGHTS)
        updates, memory = ADAM.update(-slope, memory)
        return (designs + updates, memory), None

    carry, _ = jax.lax.scan(step, (STARTS, ADAM.init(STARTS)), length=NUM_STEPS)
    return jax.vmap(PROBLEM.rewards)(carry[0])


def by_weighting(weighting, prefs):
    return exact_search(
        PROBLEM.rewards,
        STARTS,
        prefs,
        ideal=jnp.zeros(2),
        optimizer=NORMALISED,
        num_steps=NUM_STEPS,
        box=BOX,
        weighting=weighting,
    ).rewards


def by_hypervolume():
    return hypervolume_ascent(
        PROBLEM.rewards,
        STARTS,
        reference=jnp.asarray(PROBLEM.reference, jnp.float32),
        optimizer=ADAM,
        num_steps=NUM_STEPS,
        box=BOX,
    ).rewards


COLLAPSING = {
    "linear utility": lambda: by_scalarizer(linear),
    "constant weighting": lambda: by_weighting(constant, WEIGHTS),
}
COVERING = {
    "smooth Chebyshev": lambda: by_scalarizer(SMOOTH),
    "exact search": lambda: by_weighting(epo, WEIGHTS),
    "hypervolume": by_hypervolume,
}


def widest_gap(rewards):
    """Longest stretch of the front, as a share of it, without a point."""
    losses = -np.asarray(rewards, float)
    angles = np.sort(np.arctan2(losses[:, 1], losses[:, 0])) / (np.pi / 2)
    return np.diff(np.concatenate([[0], angles, [1]])).max()


@pytest.mark.parametrize("run", COLLAPSING.values(), ids=COLLAPSING.keys())
def test_linear_methods_collapse_to_the_ends(run):
    rewards = np.asarray(run())
    assert (rewards.max(1) > -0.02).all()
    assert widest_gap(rewards) > 0.9


@pytest.mark.parametrize("run", COVERING.values(), ids=COVERING.keys())
def test_the_others_cover_the_front(run):
    rewards = np.asarray(run(), float)
    assert widest_gap(rewards) < 0.25
    # The best ten points have 0.2997842.
    assert host.hypervolume(rewards, PROBLEM.reference) > 0.28


def test_a_linear_outer_loop_over_all_designs_finds_the_ends_alone():
    front = PROBLEM.front(2001)
    found = linear_support(lambda w: front[np.argmax(front @ w)], 2)
    kept = found.rewards[found.kept]
    # It bends outwards for a little at either end, and nowhere between.
    assert len(kept) > 2 and (kept.max(1) > -0.02).all()
    assert widest_gap(kept) > 0.9
