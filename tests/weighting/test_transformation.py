"""A weighting at the head of an optax chain."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from morl.errors import InputError
from morl.weighting.constant import constant
from morl.weighting.contract import Signals, Solution, Weighting
from morl.weighting.epo import epo
from morl.weighting.modo import modo
from morl.weighting.rows import rows
from morl.weighting.transformation import as_transformation


def losses_of(params):
    ends = jnp.array([[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
    return jnp.sum(jnp.square(params["x"][None] - ends), axis=1) + params["y"] ** 2


START = {"x": jnp.array([3.0, -1.0]), "y": jnp.array(0.5)}


def seen():
    """A weighting that answers with what it saw on the diagonal of the Gramian."""

    def update(signals, state):
        return Solution(jnp.diagonal(signals.gramian), jnp.float32(0.25)), state

    return Weighting(lambda _: (), update)


def test_a_chain_of_even_weights_is_the_optimizer_on_the_mean_loss():
    chain = optax.chain(as_transformation(constant(), 3), optax.adamw(1e-2))
    plain = optax.adamw(1e-2)

    @jax.jit
    def both(params, states):
        _, grads = rows(losses_of, params[0])
        moves, first = chain.update(grads, states[0], params[0])
        mean = jax.grad(lambda p: losses_of(p).mean())(params[1])
        plain_moves, second = plain.update(mean, states[1], params[1])
        next_params = (
            optax.apply_updates(params[0], moves),
            optax.apply_updates(params[1], plain_moves),
        )
        return next_params, (first, second)

    params, states = (START, START), (chain.init(START), plain.init(START))
    for _ in range(5):
        params, states = both(params, states)
    for a, b in zip(*map(jax.tree.leaves, params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_extra_arguments_reach_the_weighting_and_pass_the_others():
    chain = optax.chain(as_transformation(epo(), 3), optax.sgd(0.1))
    losses, grads = rows(losses_of, START)
    step = jax.jit(lambda g, s, **kw: chain.update(g, s, START, **kw))
    present = jnp.array([True, True, False])
    spoilt = jax.tree.map(lambda leaf: leaf.at[2].set(jnp.nan), grads)
    moves, state = step(
        spoilt, chain.init(START), losses=losses, present=present, value=1.0
    )
    weights = state[0].solution.weights
    assert weights[2] == 0
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
    expected = -0.1 * (weights[:2] @ grads["x"][:2])
    np.testing.assert_allclose(moves["x"], expected, rtol=1e-5)
    with pytest.raises(InputError, match=r"weighting epo: needs Signals.losses"):
        chain.update(grads, chain.init(START), START)


def test_a_cross_gramian_reaches_the_weighting():
    head = as_transformation(modo(learning_rate=1.0), 2)
    cross = jnp.array([[0.2, 0.0], [0.0, 0.0]])
    _, state = head.update(jnp.ones((2, 4)), head.init(jnp.ones(4)), cross=cross)
    # (0.5 - 0.2 / 2, 0.5), and 0.05 more of each on the simplex.
    np.testing.assert_allclose(state.solution.weights, [0.45, 0.55], rtol=1e-6)


def test_a_gramian_that_is_given_replaces_that_of_the_updates():
    head = as_transformation(seen(), 2)
    grads, params = jnp.ones((2, 4)), jnp.ones(4)
    _, state = head.update(grads, head.init(params), params)
    np.testing.assert_array_equal(state.solution.weights, [4, 4])
    given = jnp.diag(jnp.array([1.0, 2.0]))
    _, state = head.update(grads, head.init(params), params, gramian=given)
    np.testing.assert_array_equal(state.solution.weights, [1, 2])
    assert state.solution.residual == 0.25


def test_the_combined_update_has_the_type_of_the_parameters():
    head = as_transformation(constant(), 3)
    params = jnp.ones(4, jnp.bfloat16)
    for kind in (jnp.bfloat16, jnp.float32):
        mixed, _ = head.update(jnp.ones((3, 4), kind), head.init(params), params)
        assert mixed.dtype == jnp.bfloat16


def test_the_state_is_stable_under_scan():
    chain = optax.chain(as_transformation(epo(), 3), optax.adam(0.05))

    def step(carry, _):
        params, state = carry
        losses, grads = rows(losses_of, params)
        moves, state = chain.update(grads, state, params, losses=losses)
        return (optax.apply_updates(params, moves), state), losses

    (_, state), losses = jax.jit(
        lambda: jax.lax.scan(step, (START, chain.init(START)), length=300)
    )()
    assert losses[-1].max() < losses[0].max()
    assert jnp.isfinite(state[0].solution.weights).all()


def test_the_first_state_shows_zeros():
    state = as_transformation(constant(), 3).init(START)
    np.testing.assert_array_equal(state.solution.weights, np.zeros(3))


def test_updates_without_the_objective_axis_are_refused():
    head = as_transformation(constant(), 3)
    with pytest.raises(InputError, match="expected 3 objectives on a leading axis"):
        head.update(jnp.ones((2, 4)), head.init(jnp.ones(4)))


def test_signals_are_what_the_transformation_passes():
    caught = []

    def update(signals, state):
        caught.append(signals)
        return Solution(jnp.ones(2), jnp.float32(0)), state

    head = as_transformation(Weighting(lambda _: (), update), 2)
    losses, present = jnp.array([1.0, 2.0]), jnp.array([True, False])
    head.update(
        jnp.ones((2, 1)),
        head.init(jnp.ones(1)),
        losses=losses,
        present=present,
        cross=jnp.eye(2),
    )
    expected = Signals(jnp.ones((2, 2)), losses, present, jnp.eye(2))
    for a, b in zip(caught[0], expected, strict=True):
        np.testing.assert_array_equal(a, b)
