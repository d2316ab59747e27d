import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.training.cross_validation import cross_validate


def test_readings_are_out_of_fold(key, make_data):
    data = make_data(key)
    num_pairs, num_labels = len(data.better), len(data.labels)
    rng = np.random.default_rng(0)
    shape = (len(data.features), 200)
    noise = data._replace(features=jnp.asarray(rng.normal(size=shape), jnp.float32))
    told = []
    found = cross_validate(
        noise,
        np.arange(num_pairs) % 4,
        np.arange(num_labels) % 4,
        num_folds=4,
        grid=(0.01, 0.1),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 8) for done in range(1, 9)]
    own = found.margins[np.asarray(noise.pair_mask)]
    # Heads that had seen their pairs would order nearly all of this noise.
    assert (own > 0).mean() == pytest.approx(0.5, abs=0.12)
    assert found.losses.shape == (2, 3)


def test_the_path_of_penalties_ends_behind_the_best(key, make_data):
    data = make_data(key)
    noise = jax.random.normal(jax.random.fold_in(key, 9), data.features.shape)
    data = data._replace(features=data.features + noise)
    folds = np.arange(len(data.better)) % 4, np.arange(len(data.labels)) % 4
    grid = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 1.0, 10.0)
    found = cross_validate(data, *folds, num_folds=4, grid=grid)
    assert 2 < len(found.losses) < len(grid)
    alone = [
        cross_validate(data, *folds, num_folds=4, grid=(penalty,)).losses[0]
        for penalty in grid
    ]
    np.testing.assert_array_equal(found.l2, np.array(grid)[np.argmin(alone, axis=0)])
    assert np.unique(found.l2).size > 1
