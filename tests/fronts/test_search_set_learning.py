"""A preference-conditioned network learns the whole front, if its utility lets it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from morl.errors import InputError
from morl.fronts.search.box import Box
from morl.fronts.search.set_learning import SetLearning, learn_pareto_set
from morl.pareto import host
from morl.scalarize.chebyshev import smooth_chebyshev
from morl.scalarize.cosmos import cosmos
from morl.scalarize.linear import linear
from morl.worlds.vlmop import vlmop2
from morl.worlds.zdt import zdt1, zdt2

NUM_STEPS = 800
DECAY = optax.cosine_decay_schedule(3e-3, NUM_STEPS)
ADAM = optax.adam(DECAY)
SMOOTH = partial(smooth_chebyshev, ideal=jnp.zeros(2), temperature=0.01)
COSMOS = partial(cosmos, reference=jnp.full(2, -1.1), penalty=5.0)
PREFERENCES = np.stack([np.linspace(0, 1, 100), 1 - np.linspace(0, 1, 100)], 1)
CONCAVE = vlmop2(6)
SLOW = pytest.mark.slow


def learn(problem, scalarizer, key):
    return learn_pareto_set(
        problem.rewards,
        key,
        num_objectives=2,
        box=Box(problem.lower, problem.upper),
        scalarizer=scalarizer,
        optimizer=ADAM,
        settings=SetLearning(num_steps=NUM_STEPS),
    )


def share_of_front(problem, learned, reference):
    """Hypervolume of 100 preferences over that of 100 even points of the front."""
    designs = learned(jnp.asarray(PREFERENCES, jnp.float32))
    rewards = np.asarray(jax.vmap(problem.rewards)(designs), float)
    reference = np.full(2, reference)
    best = host.hypervolume(problem.front(100), reference)
    return host.hypervolume(rewards, reference) / best


@pytest.mark.parametrize(
    ("problem", "scalarizer", "reference", "least"),
    [
        pytest.param(CONCAVE, SMOOTH, -1.0, 0.995, id="smooth vlmop2"),
        pytest.param(CONCAVE, COSMOS, -1.0, 0.985, id="cosmos vlmop2", marks=SLOW),
        pytest.param(zdt2(5), SMOOTH, -1.1, 0.98, id="smooth zdt2", marks=SLOW),
        pytest.param(zdt1(5), SMOOTH, -1.1, 0.985, id="smooth zdt1", marks=SLOW),
    ],
)
def test_a_hundred_preferences_cover_the_front(
    problem, scalarizer, reference, least, key
):
    learned = learn(problem, scalarizer, key)
    assert least < share_of_front(problem, learned, reference) < 1.01
    assert learned.trace.shape == (NUM_STEPS,)
    assert learned.trace[-50:].mean() > learned.trace[:50].mean()


def test_a_linear_utility_leaves_the_middle_of_a_concave_front_empty(key):
    learned = learn(CONCAVE, linear, key)
    designs = learned(jnp.asarray(PREFERENCES, jnp.float32))
    rewards = np.asarray(jax.vmap(CONCAVE.rewards)(designs))
    at_ends = rewards.max(1) > -0.05
    assert at_ends.mean() > 0.8
    assert share_of_front(CONCAVE, learned, -1.0) < 0.95


def test_preferences_come_in_any_number_and_designs_stay_in_the_box(key):
    learned = learn(CONCAVE, SMOOTH, key)
    weights = jnp.asarray(PREFERENCES, jnp.float32)
    many = learned(weights)
    assert many.shape == (100, 6)
    np.testing.assert_allclose(learned(weights[3]), many[3], atol=1e-6)
    assert learned(weights.reshape(10, 10, 2)).shape == (10, 10, 6)
    assert (jnp.abs(many) <= 2).all()


def test_a_learned_set_is_a_pytree_and_the_key_alone_decides_it(key):
    first, again = (learn(CONCAVE, SMOOTH, key) for _ in range(2))
    other = learn(CONCAVE, SMOOTH, jax.random.key(1))
    weights = jnp.array([0.3, 0.7])
    jitted = jax.jit(lambda learned, w: learned(w))
    np.testing.assert_array_equal(jitted(first, weights), jitted(again, weights))
    assert (jitted(first, weights) != jitted(other, weights)).any()


def test_another_number_of_rewards_is_refused(key):
    with pytest.raises(InputError, match=r"rewards: found shape \(2,\), expected \(3,"):
        learn_pareto_set(
            CONCAVE.rewards,
            key,
            num_objectives=3,
            box=Box(CONCAVE.lower, CONCAVE.upper),
            scalarizer=linear,
            optimizer=optax.adam(1e-3),
        )
