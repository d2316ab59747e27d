import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from morl.training.heads import fit_heads


def test_the_fit_is_the_optimum_that_scipy_finds(key, make_data):
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


def test_the_fit_ends_at_a_stationary_point(key, make_data):
    assert (fit_heads(make_data(key), jnp.full(3, 0.03)).residual < 1e-4).all()


def test_objectives_share_nothing(key, make_data):
    data = make_data(key)
    alone = data._replace(
        pair_mask=data.pair_mask[:, :1], label_mask=data.label_mask[:, :1]
    )
    together = fit_heads(data, jnp.full(3, 0.1)).head.weight[:, 0]
    single = fit_heads(alone, jnp.full(1, 0.1)).head.weight[:, 0]
    np.testing.assert_allclose(together, single, atol=1e-3)


def test_responses_that_no_pair_or_label_stands_on_have_no_say(key, make_data):
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


def test_responses_of_one_objective_do_not_standardise_another(key, make_data):
    data = make_data(key)
    alone = data._replace(
        pair_mask=data.pair_mask & (np.arange(3) == 0)[None],
        label_mask=jnp.zeros_like(data.label_mask),
    )
    together = fit_heads(data, jnp.full(3, 1.0)).head.weight[:, 0]
    single = fit_heads(alone, jnp.full(3, 1.0)).head.weight[:, 0]
    np.testing.assert_allclose(together, single, atol=1e-4)


def test_constant_features_and_objectives_without_labels_get_no_weight(key, make_data):
    data = make_data(key)
    constant = data._replace(
        features=data.features.at[:, 2].set(1e3),
        pair_mask=data.pair_mask.at[:, 1].set(False),
    )
    fit = fit_heads(constant, jnp.full(3, 0.1))
    assert all(np.isfinite(part).all() for part in fit.head)
    np.testing.assert_allclose(fit.head.weight[2], 0, atol=1e-6)
    np.testing.assert_array_equal(fit.head.weight[:, 1], 0)


def test_a_margin_asks_for_wider_gaps(key, make_data):
    data = make_data(key)
    gap = lambda margin: float(
        jnp.mean(
            (data.features[data.better] - data.features[data.worse])
            @ fit_heads(data, jnp.full(3, 0.1), margin=margin).head.weight
        )
    )
    assert gap(1.0) > gap(0.0)
