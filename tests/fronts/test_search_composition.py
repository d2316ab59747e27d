"""NSGA-II over the weighting and the threshold of a composition, on fixed scores."""

import jax
import jax.numpy as jnp
import numpy as np

import morl
from morl.fronts.search import Box, nsga2
from morl.pareto import host

helpful, harmless = morl.objectives("helpful", "harmless")
# Scores of eight responses to each of 100 prompts; what helps tends to harm.
SKILL, CARE = jax.random.normal(jax.random.key(0), (2, 100, 8))
SCORES = jnp.stack([SKILL, 0.8 * CARE - 0.6 * SKILL], -1)


def rewards(design):
    """Mean help of the chosen responses, and the share of them that does no harm."""
    share, threshold = design
    rule = (share * helpful + (1 - share) * harmless).subject_to(
        harmless >= threshold, multiplier=5.0
    )
    utility, _ = rule.utility(SCORES, jnp.ones(SCORES.shape, bool))
    best = jnp.argmax(utility, axis=1)[:, None, None]
    helps, harms_not = jnp.take_along_axis(SCORES, best, axis=1)[:, 0].T
    return jnp.stack([helps.mean(), (harms_not >= 0).mean()])


def test_weighting_and_threshold_found_together_beat_a_rule_by_hand_and_weights_alone():
    box = Box(np.array([0.0, -2.0]), np.array([1.0, 2.0]))
    found = nsga2(rewards, jax.random.key(0), box=box, population=20, generations=30)
    lines = jnp.linspace(0, 1, 41)
    even = jnp.stack(jnp.meshgrid(lines, 4 * lines - 2), -1).reshape(-1, 2)
    # A threshold below all scores leaves the weighting alone.
    alone = jnp.stack([lines, jnp.full(41, -9.0)], 1)
    by_hand = jnp.array([[0.5, 0.0]])
    known = jax.jit(jax.vmap(rewards))(jnp.concatenate([by_hand, alone, even]))
    hand, weights, grid = np.split(np.asarray(known, float), [1, 42])
    points = np.asarray(found.rewards, float)
    assert (points > hand).all(1).any()
    covered = [host.hypervolume(each, np.zeros(2)) for each in (points, weights, grid)]
    assert covered[0] > 1.03 * covered[1]
    # A third of the evaluations of the grid, and nearly all that it covers.
    assert covered[0] > 0.97 * covered[2]
