"""A gate learns to mix heads that stay as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.models.heads import GatedHead, States, gated, linear
from morl.rewards import Debias, Mixture, mixed_reward
from morl.training.reward_program import HEADS
from tests.training.runs import (
    CONFIG,
    EXAMPLES,
    NAMES,
    design,
    furthest,
    make_parts,
    rows,
    settings,
    trained,
)

HEAD = gated(linear(), hidden_width=8)
DEBIAS = Debias(np.float32([0.5, -0.2, 0.0]), np.float32(7), np.float32(2))
MIXTURE = Mixture(1.0, 2.0, DEBIAS)
FROZEN = settings(mode="frozen")


def mixing():
    return design(head=HEAD)._replace(mixture=MIXTURE)


def test_the_gate_is_trained_and_the_heads_are_not():
    parts = make_parts(mixing(), FROZEN)
    first = HEAD.init(jax.random.key(1), CONFIG.width, len(NAMES))
    assert furthest(parts.params[HEADS], first.gate) == 0
    assert furthest(parts.frozen[HEADS], first.heads) == 0


def test_training_lowers_the_loss_of_every_objective_with_preferences():
    every = {"mode": "frozen", "batch_size": len(EXAMPLES), "made": mixing()}
    first, last = (trained(num_steps=n, **every)[1] for n in (1, 40))
    assert last.losses.shape == (3,)
    assert np.sum(last.losses[:2]) < np.sum(first.losses[:2])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["jit", "shard_map"])
def test_a_gate_over_eight_devices_is_that_of_one(strategy):
    found, metrics = trained(strategy, devices=8, made=mixing(), mode="frozen")
    one, expected = trained(made=mixing(), mode="frozen")
    assert furthest(found.params, one.params) < 1e-5
    np.testing.assert_allclose(metrics.losses, expected.losses, atol=1e-5)


def test_the_score_that_is_trained_is_the_one_that_is_used():
    parts = make_parts(mixing(), FROZEN)
    batch = rows("frozen")(np.arange(8), 1)
    responses = jnp.asarray(batch.rows.responses)
    prompts = jnp.asarray(batch.rows.prompts)[:, None]
    states = States(responses, jnp.broadcast_to(prompts, responses.shape))
    params = GatedHead(parts.frozen[HEADS], parts.params[HEADS])
    readings = HEAD.read(params, states)
    lengths = np.array([[len(r) for r in e.record.responses] for e in EXAMPLES[:8]])
    score = mixed_reward(readings.values[..., 0], readings.gate, lengths, MIXTURE)
    gaps = np.asarray(score[:, 0] - score[:, 1])
    found = parts.program.evaluate(parts.params, parts.frozen, batch)
    for place in (0, 1):  # examples are labelled for the two objectives in turn
        own = gaps[place::2]
        loss = np.sum(np.logaddexp(0, -own))
        np.testing.assert_allclose(found.losses.total[place], loss, rtol=1e-5)
        assert found.metrics["accuracy"].total[place] == (own > 0).sum()
    assert found.losses.weight[2] == 0
