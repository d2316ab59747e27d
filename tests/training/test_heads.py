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
    here = np.asarray(data.pair_mask[:, 0])
    own = np.unique(np.concatenate([data.better[here], data.worse[here]]))
    centre, scale = every[own].mean(0), every[own].std(0)
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


def test_responses_that_no_pair_or_label_stands_on_have_no_say(key):
    data = make_data(key)
    pairs, labels = np.arange(len(data.better)) % 2, np.arange(len(data.labels)) % 2
    half = data._replace(
        pair_mask=data.pair_mask & (pairs == 0)[:, None],
        label_mask=data.label_mask & (labels == 0)[:, None],
    )
    strangers = np.concatenate(
        [data.better[pairs == 1], data.worse[pairs == 1], data.labelled[labels == 1]]
    )
    other = half._replace(features=half.features.at[strangers].add(7.0))
    one, two = (fit_heads(each, jnp.full(3, 0.1)).head for each in (half, other))
    np.testing.assert_array_equal(one.weight, two.weight)
    np.testing.assert_array_equal(one.bias, two.bias)


def test_responses_of_one_objective_do_not_standardise_another(key):
    data = make_data(key)
    alone = data._replace(
        pair_mask=data.pair_mask & (np.arange(3) == 0)[None],
        label_mask=jnp.zeros_like(data.label_mask),
    )
    together = fit_heads(data, jnp.full(3, 1.0)).head.weight[:, 0]
    single = fit_heads(alone, jnp.full(3, 1.0)).head.weight[:, 0]
    np.testing.assert_allclose(together, single, atol=1e-4)


def test_features_that_do_not_vary_and_objectives_without_labels_get_no_weight(key):
    data = make_data(key)
    constant = data._replace(
        features=data.features.at[:, 2].set(1e3),
        pair_mask=data.pair_mask.at[:, 1].set(False),
    )
    fit = fit_heads(constant, jnp.full(3, 0.1))
    assert all(np.isfinite(part).all() for part in fit.head)
    np.testing.assert_allclose(fit.head.weight[2], 0, atol=1e-6)
    np.testing.assert_array_equal(fit.head.weight[:, 1], 0)


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


def test_the_path_of_penalties_ends_behind_the_best(key):
    data = make_data(key)
    noise = jax.random.normal(key, data.features.shape)
    data = data._replace(features=data.features + noise)
    folds = np.arange(len(data.better)) % 4, np.arange(len(data.labels)) % 4
    grid = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    found = cross_validate(data, *folds, num_folds=4, grid=grid)
    assert 2 < len(found.losses) < len(grid)
    alone = [
        cross_validate(data, *folds, num_folds=4, grid=(penalty,)).losses[0]
        for penalty in grid
    ]
    np.testing.assert_array_equal(found.l2, np.array(grid)[np.argmin(alone, axis=0)])
    assert np.unique(found.l2).size > 1
