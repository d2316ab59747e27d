import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.training.heads import HeadData


@pytest.fixture
def make_data():
    """Pairs and labels that linear heads of a few features made, drawn with a key."""
    return _head_data


def _head_data(key, num_pairs=240, width=6, num_objectives=3, num_labels=60):
    k1, k2, k3, k4, k5 = jax.random.split(key, 5)
    truth = jax.random.normal(k1, (width, num_objectives))
    better, worse = jax.random.normal(k2, (2, num_pairs, width))
    objective = np.arange(num_pairs) % num_objectives
    gap = np.asarray((better - worse) @ truth)[np.arange(num_pairs), objective]
    wins = np.asarray(jax.random.uniform(k3, (num_pairs,))) < 1 / (1 + np.exp(-gap))
    rows = np.arange(num_pairs)
    swap = lambda a, b: jnp.asarray(np.where(wins, a, b))
    labelled = jax.random.normal(k4, (num_labels, width))
    chance = jax.nn.sigmoid(labelled @ truth[:, 2])
    labels = (jax.random.uniform(k5, (num_labels,)) < chance).astype(jnp.float32)
    return HeadData(
        jnp.concatenate([better, worse, labelled]),
        swap(rows, num_pairs + rows),
        swap(num_pairs + rows, rows),
        jnp.ones(num_pairs),
        jnp.asarray(objective[:, None] == np.arange(num_objectives)),
        2 * num_pairs + jnp.arange(num_labels),
        labels,
        jnp.asarray(np.tile(np.arange(num_objectives) == 2, (num_labels, 1))),
    )
