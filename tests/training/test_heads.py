import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from morl.training.heads import HeadData, cross_validate, fit_heads


def make_data(key, num_pairs=240, width=6, num_objectives=3, num_labels=60):
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


def test_the_fit_is_the_optimum_that_scipy_finds(key):
    data = make_data(key)
    fit = fit_heads(data, jnp.full(3, 0.1))
    every = np.asarray(data.features, float)
    centre, scale = every.mean(0), every.std(0)
    here = np.asarray(data.pair_mask[:, 0])
    gaps = ((every[data.better] - every[data.worse]) / scale)[here]

    def loss(weight):
        return np.logaddexp(0, -gaps @ weight).mean() + 0.1 * weight @ weight

    best = minimize(loss, np.zeros(gaps.shape[1]), tol=1e-12).x / scale
    np.testing.assert_allclose(fit.head.weight[:, 0], best, atol=2e-4)
    np.testing.assert_allclose(fit.head.bias[0], -centre @ best, atol=2e-4)


def test_the_fit_ends_at_a_stationary_point(key):
    assert (fit_heads(make_data(key), jnp.full(3, 0.03)).residual < 1e-4).all()


def test_objectives_share_nothing(key):
    data = make_data(key)
    alone = data._replace(
        pair_mask=data.pair_mask[:, :1], label_mask=data.label_mask[:, :1]
    )
    together = fit_heads(data, jnp.full(3, 0.1)).head.weight[:, 0]
    single = fit_heads(alone, jnp.full(1, 0.1)).head.weight[:, 0]
    np.testing.assert_allclose(together, single, atol=1e-3)


def test_a_margin_asks_for_wider_gaps(key):
    data = make_data(key)
    gap = lambda margin: float(
        jnp.mean(
            (data.features[data.better] - data.features[data.worse])
            @ fit_heads(data, jnp.full(3, 0.1), margin=margin).head.weight
        )
    )
    assert gap(1.0) > gap(0.0)


def test_readings_are_out_of_fold(key):
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
