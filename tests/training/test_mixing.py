"""The gate of a mixture learns beside its heads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.errors import InputError
from morl.models.heads import States, gated, linear
from morl.rewards import Debias, Mixture, mixed_reward
from morl.training.mixing import Mixing, mixture_outcome
from tests.training.runs import (
    CONFIG,
    EXAMPLES,
    design,
    furthest,
    make_parts,
    pair_loss,
    rows,
    settings,
    trained,
)

HEAD = gated(linear(), hidden_width=8)
DEBIAS = Debias(np.float32([0.5, -0.2, 0.0]), np.float32(7), np.float32(2))
MIXING = Mixing(Mixture(1.0, 2.0, DEBIAS), pair_loss)
FROZEN = settings(mode="frozen")


def with_mixing(**changes):
    return design(head=HEAD)._replace(mixing=MIXING._replace(**changes))


def slopes(made, at):
    """Gradient of the heads for one of the losses."""
    parts = make_parts(made, FROZEN)
    batch = rows("frozen")(np.arange(8), 1)
    loss = lambda params: parts.program.evaluate(params, {}, batch).losses.total[at]
    return jax.grad(loss)(parts.params)["heads"]


def largest(tree):
    return furthest(tree, jax.tree.map(jnp.zeros_like, tree))


def test_the_mixture_moves_its_gate_and_not_the_heads_that_it_mixes():
    found = slopes(with_mixing(), -1)
    assert largest(found.heads) == 0
    assert largest(found.gate) > 1e-3


def test_the_mixture_moves_the_heads_too_where_they_are_not_held():
    assert largest(slopes(with_mixing(held=lambda rewards: rewards), -1).heads) > 1e-3


def test_objectives_learn_the_same_beside_a_mixture_that_holds_them():
    assert furthest(slopes(with_mixing(), 0), slopes(design(head=HEAD), 0)) < 1e-6


def test_a_gate_that_is_trained_alone_lowers_the_loss_of_its_mixture():
    made = with_mixing()._replace(weights=(0.0, 0.0, 0.0))
    every = {"mode": "frozen", "batch_size": len(EXAMPLES), "made": made}
    first, last = (trained(num_steps=n, **every)[1] for n in (1, 40))
    assert last.losses.shape == (4,)
    assert last.losses[-1] < first.losses[-1]
    np.testing.assert_allclose(last.losses[:3], first.losses[:3], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["jit", "shard_map"])
def test_a_mixture_over_eight_devices_is_that_of_one(strategy):
    found, metrics = trained(strategy, devices=8, made=with_mixing(), mode="frozen")
    one, expected = trained(made=with_mixing(), mode="frozen")
    assert furthest(found.params, one.params) < 1e-5
    np.testing.assert_allclose(metrics.losses, expected.losses, atol=1e-5)


def test_the_score_that_is_trained_is_the_one_that_is_used():
    batch = rows("frozen")(np.arange(8), 1)
    responses = jnp.asarray(batch.rows.responses)
    prompts = jnp.asarray(batch.rows.prompts)[:, None]
    states = States(responses, jnp.broadcast_to(prompts, responses.shape))
    readings = HEAD.read(HEAD.init(jax.random.key(1), CONFIG.width, 3), states)
    lengths = np.array([[len(r) for r in e.record.responses] for e in EXAMPLES[:8]])
    score = mixed_reward(readings.values[..., 0], readings.gate, lengths, MIXING[0])
    gaps = score[:, 0] - score[:, 1]
    found, right = mixture_outcome(HEAD, readings, batch, MIXING)
    np.testing.assert_allclose(found.mean, np.mean(np.logaddexp(0, -gaps)), rtol=1e-5)
    assert right.total == (gaps > 0).sum()


def test_a_head_without_a_gate_has_no_mixture():
    with pytest.raises(InputError, match="mixture: found a head without a gate"):
        slopes(design()._replace(mixing=MIXING), -1)


def test_no_objective_may_have_the_name_of_the_mixture():
    made = with_mixing()._replace(names=("mixture", "harmless", "honest"))
    with pytest.raises(InputError, match="found 'mixture', expected another name"):
        make_parts(made, FROZEN)
