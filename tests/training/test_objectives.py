"""Objectives that learn by losses of their own, in one program."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.losses import (
    gaussian_nll,
    ordered_thresholds,
    ordinal_loss,
    pinball_loss,
    plackett_luce,
    squared_error,
)
from morl.models.heads import LEVELS, States, ensemble, gaussian, linear, quantile
from morl.training.reward_batch import widths
from morl.training.reward_program import CUTS, HEADS, ObjectiveLosses
from morl.training.reward_rows import FeatureTable, RowMaker
from tests.training.runs import (
    EXAMPLES,
    NAMES,
    design,
    make_parts,
    pair_loss,
    settings,
    trained,
)

FROZEN = settings(mode="frozen")
WIDTH = 16
RANKED = [
    e._replace(pairs=(), scores=((0, 1, float(n % 3)),), ranks=((0, 0, 1), (1, 0, 0)))
    for n, e in enumerate(EXAMPLES)
]


def ordinal(points, grades, mask, *, weights=None, thresholds):
    grades = jnp.asarray(grades, jnp.int32)
    return ordinal_loss(points, grades, thresholds, mask, weights=weights)


def batch(examples):
    draw = lambda *shape: np.random.default_rng(0).normal(size=shape)
    room, count = widths(examples), len(examples)
    table = FeatureTable(
        np.float32(draw(count, room.responses, WIDTH)), np.float32(draw(count, WIDTH))
    )
    return RowMaker(examples, room, len(NAMES), table)(np.arange(count), 1)


def program(head, *losses):
    made = design(head=head)._replace(losses=losses)
    parts = make_parts(made, FROZEN)
    return parts, partial(parts.program.evaluate, parts.params, {})


PLAIN = ObjectiveLosses(pair_loss, squared_error)


def test_ranked_lists_learn_by_the_likelihood_of_their_order():
    some = batch(RANKED)
    parts, evaluate = program(linear(), PLAIN, PLAIN, PLAIN)
    found = evaluate(some)
    rewards = linear().read(parts.params[HEADS], _states(some)).values[..., 0, 0]
    ranks = jnp.asarray(some.ranks.values)[..., 0]
    expected = plackett_luce(rewards, ranks, jnp.ones(ranks.shape, bool))
    np.testing.assert_allclose(found.losses.total[0], expected.total, rtol=1e-5)
    assert found.losses.weight[0] == len(RANKED)
    right = np.sum(rewards[:, 1] > rewards[:, 0])
    assert found.metrics["accuracy"].total[0] == right
    assert found.metrics["accuracy"].weight[0] == len(RANKED)


def test_members_of_an_ensemble_learn_lists_by_draws_of_their_own():
    parts, evaluate = program(ensemble(4), PLAIN, PLAIN, PLAIN)
    some = batch(RANKED)
    alone = evaluate(some)
    drawn = parts.program.outcome(parts.params, {}, some, jax.random.key(0))
    assert alone.losses.weight[0] == 4 * len(RANKED)
    assert drawn.losses.weight[0] != alone.losses.weight[0]


def test_thresholds_of_grades_are_learned():
    graded = ObjectiveLosses(pair_loss, ordinal, 2)
    made = design()._replace(losses=(PLAIN, graded, PLAIN))
    some = batch(RANKED)
    parts = make_parts(made, FROZEN)
    cuts = parts.params[CUTS]["harmless"]
    np.testing.assert_allclose(ordered_thresholds(cuts), [-0.5, 0.5], atol=1e-6)
    found = parts.program.evaluate(parts.params, {}, some)
    rewards = linear().read(parts.params[HEADS], _states(some)).values[..., 1, 0]
    grades = jnp.asarray(some.scores.values, jnp.int32)[..., 1]
    mask = jnp.asarray(some.scores.mask)[..., 1]
    expected = ordinal_loss(rewards, grades, ordered_thresholds(cuts), mask)
    np.testing.assert_allclose(found.losses.total[1], expected.total, rtol=1e-5)
    slope = jax.grad(
        lambda params: parts.program.evaluate(params, {}, some).losses.total[1]
    )(parts.params)
    assert float(jnp.min(jnp.abs(slope[CUTS]["harmless"]))) > 1e-3


@pytest.mark.slow
def test_grades_lists_and_pairs_train_together_over_devices():
    graded = ObjectiveLosses(pair_loss, ordinal, 4)
    made = design()._replace(losses=(PLAIN, PLAIN, graded))
    every = {"mode": "frozen", "made": made, "num_steps": 10}
    one, first = trained(**every)
    many, last = trained(devices=8, **every)
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), one.params, many.params)
    assert max(jax.tree.leaves(gaps)) < 1e-5
    np.testing.assert_allclose(first.losses, last.losses, atol=1e-5)


def _pinball(values, scores, mask):
    return pinball_loss(values, scores, jnp.asarray(LEVELS), mask)


def _normal(values, scores, mask):
    return gaussian_nll(values[..., 0], values[..., 1], scores, mask)


@pytest.mark.parametrize(
    ("head", "loss"), [(quantile(), _pinball), (gaussian(), _normal)]
)
def test_a_distribution_learns_scores_by_its_own_loss(head, loss):
    own = PLAIN._replace(distribution=loss)
    some = batch(RANKED)
    parts, evaluate = program(head, PLAIN, own, PLAIN)
    values = head.read(parts.params[HEADS], _states(some)).values[..., 1, :]
    mask = jnp.asarray(some.scores.mask)[..., 1]
    expected = loss(values, jnp.asarray(some.scores.values)[..., 1], mask)
    found = evaluate(some).losses
    np.testing.assert_allclose(found.total[1], expected.total, rtol=1e-5)
    assert found.weight[1] == len(RANKED)


def test_ties_are_not_counted_as_preferences():
    tied = [e._replace(pairs=((0, 1, 0, 0.0),)) for e in EXAMPLES[:8]]
    _, evaluate = program(linear(), PLAIN, PLAIN, PLAIN)
    found = evaluate(batch(tied))
    assert found.losses.weight[0] == 8
    assert found.metrics["accuracy"].weight[0] == 0


def _states(some):
    return States(jnp.asarray(some.rows.responses))
