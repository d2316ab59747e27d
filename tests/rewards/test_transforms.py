"""The contract of every transform, and outside oracles for each."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import morl
from morl import transforms
from morl.rewards.moments import Moments, merge, moments, pool

TRANSFORMS = {
    "clip": transforms.clip(-1, 1),
    "tanh": transforms.tanh(2.0),
    "min_max": transforms.min_max(-2, 2),
    "running_min_max": transforms.running_min_max(),
    "standardize": transforms.standardize(),
    "group_standardize": transforms.group_standardize(),
    "quantile": transforms.quantile(np.linspace(-2, 2, 21)),
    "running_quantile": transforms.running_quantile(size=16),
    "log_sigmoid": transforms.log_sigmoid(0.5),
}
every_transform = pytest.mark.parametrize(
    "transform", TRANSFORMS.values(), ids=TRANSFORMS.keys()
)
RISING = [name for name in TRANSFORMS if name != "group_standardize"]


def run(transform, values, present=None):
    present = jnp.ones(values.shape, bool) if present is None else present
    state = transform.observe(values, present, transform.init())
    return transform.apply(values, present, state)


# The contract ------------------------------------------------------------------------


@every_transform
def test_state_keeps_its_structure_under_scan(transform, key):
    batches = jax.random.normal(key, (5, 4, 6))
    present = jax.random.bernoulli(key, 0.7, (5, 4, 6))

    def step(state, batch):
        values, here = batch
        state = transform.observe(values, here, state)
        return state, transform.apply(values, here, state)

    state, scanned = jax.lax.scan(step, transform.init(), (batches, present))
    looped = transform.init()
    for values, here in zip(batches, present, strict=True):
        looped = transform.observe(values, here, looped)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), state, looped
    )
    assert scanned.shape == batches.shape


@every_transform
def test_jit_changes_nothing_and_settings_are_traced(transform, key):
    values = jax.random.normal(key, (3, 5))
    here = jnp.ones((3, 5), bool)
    traces = []

    @jax.jit
    def changed(transform, values):
        traces.append(1)
        state = transform.observe(values, here, transform.init())
        return transform.apply(values, here, state)

    np.testing.assert_allclose(
        changed(transform, values), run(transform, values), rtol=1e-5, atol=1e-6
    )
    leaves, shape = jax.tree.flatten(transform)
    changed(jax.tree.unflatten(shape, [leaf * 1.25 for leaf in leaves]), values)
    assert len(traces) == 1


@every_transform
def test_absent_values_may_hold_nan_and_count_for_nothing(transform, key):
    values = jax.random.normal(key, (6, 5))
    present = jax.random.bernoulli(key, 0.6, (6, 5))
    holes = jnp.where(present, values, jnp.nan)
    others = jnp.where(present, values, 99.0)
    first, second = run(transform, holes, present), run(transform, others, present)
    assert jnp.isfinite(first).all()
    np.testing.assert_array_equal(
        jnp.where(present, first, 0), jnp.where(present, second, 0)
    )


@every_transform
@pytest.mark.parametrize("value", [0.0, 1e-30, -1e-30, 1e30, -1e30])
def test_ties_at_any_scale_are_finite(transform, value):
    assert jnp.isfinite(run(transform, jnp.full((2, 3), value))).all()


@every_transform
def test_extremes_side_by_side_are_finite(transform):
    values = jnp.array([[1e30, -1e30, 1e-30, 0.0]])
    assert jnp.isfinite(run(transform, values)).all()


@every_transform
def test_nothing_present_is_finite_and_teaches_nothing(transform):
    values, nothing = jnp.full((2, 3), jnp.nan), jnp.zeros((2, 3), bool)
    state = transform.observe(values, nothing, transform.init())
    jax.tree.map(np.testing.assert_array_equal, state, transform.init())
    assert jnp.isfinite(transform.apply(values, nothing, state)).all()
    fresh = transform.apply(jnp.ones((2, 3)), ~nothing, transform.init())
    assert jnp.isfinite(fresh).all()


@every_transform
def test_bfloat16_in_gives_bfloat16_out(transform):
    values = jnp.array([[0.5, -1.0, 1.5, 1.0]], jnp.bfloat16)
    out = run(transform, values)
    assert out.dtype == jnp.bfloat16
    wide = run(transform, values.astype(jnp.float32))
    np.testing.assert_allclose(out.astype(jnp.float32), wide, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", RISING)
def test_a_larger_reward_never_becomes_a_smaller_one(name, key):
    values = jnp.sort(jax.random.normal(key, (50,)))
    assert (jnp.diff(run(TRANSFORMS[name], values)) >= 0).all()


@pytest.mark.parametrize("name", ["clip", "tanh", "min_max", "quantile", "log_sigmoid"])
def test_the_ceiling_is_the_value_of_the_largest_input(name):
    transform = TRANSFORMS[name]
    for high in (-3.0, 0.3, 5.0):
        largest = run(transform, jnp.linspace(-9, high, 40)).max()
        assert float(transform.ceiling(high)) >= largest - 1e-6
    assert float(transform.ceiling(None)) >= run(transform, jnp.array([1e9]))[0]


@every_transform
def test_equal_settings_are_equal_and_hash_equal(transform):
    again = jax.tree.unflatten(*reversed(jax.tree.flatten(transform)))
    assert again == transform
    assert hash(again) == hash(transform)


# Bounds ------------------------------------------------------------------------------


def test_tanh_log_sigmoid_and_min_max_are_their_formulas():
    x = 0.7
    values = jnp.array([x])
    np.testing.assert_allclose(run(TRANSFORMS["tanh"], values), math.tanh(x / 2))
    expected = -math.log(1 + math.exp(-(x - 0.5)))
    np.testing.assert_allclose(run(TRANSFORMS["log_sigmoid"], values), expected)
    np.testing.assert_allclose(run(TRANSFORMS["min_max"], values), (x + 2) / 4)


def test_log_sigmoid_has_a_gradient_far_below_its_reference():
    slope = jax.grad(lambda x: run(transforms.log_sigmoid(), x[None])[0])(-200.0)
    np.testing.assert_allclose(slope, 1.0, rtol=1e-6)


def test_running_bounds_are_the_least_and_largest_of_all_batches():
    transform = transforms.running_min_max()
    state = transform.init()
    here = jnp.ones(2, bool)
    for batch in ([1.0, 5.0], [-3.0, 2.0]):
        state = transform.observe(jnp.array(batch), here, state)
    out = transform.apply(jnp.array([-3.0, 1.0, 5.0, 9.0]), jnp.ones(4, bool), state)
    np.testing.assert_allclose(out, [0.0, 0.5, 1.0, 1.0])


# Moments -----------------------------------------------------------------------------


def test_moments_are_those_of_numpy(key):
    values = 100 + 3 * jax.random.normal(key, (4, 300))
    seen = moments(values, jnp.ones((4, 300), bool))
    wide = np.asarray(values, np.float64)
    np.testing.assert_allclose(seen.mean, wide.mean(-1), rtol=1e-6)
    np.testing.assert_allclose(seen.std, wide.std(-1), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e18, 1e30])
def test_merged_moments_are_those_of_all_values_at_any_scale(scale, key):
    values = scale * (5 + jax.random.normal(key, (90,)))
    everything = jnp.ones(90, bool)
    parts = jnp.split(values, [1, 7, 40])
    merged = None
    for part in parts:
        one = moments(part, jnp.ones(part.shape, bool))
        merged = one if merged is None else merge(merged, one)
    whole = moments(values, everything)
    wide = np.asarray(values, np.float64)
    for seen in (merged, whole):
        assert seen.count == 90
        np.testing.assert_allclose(seen.mean, wide.mean(), rtol=1e-6)
        np.testing.assert_allclose(seen.std, wide.std(), rtol=1e-5)


def test_merging_with_nothing_changes_nothing():
    seen = Moments(jnp.asarray(7.0), jnp.asarray(0.1), jnp.asarray(0.3))
    nothing = moments(jnp.zeros(3), jnp.zeros(3, bool))
    jax.tree.map(np.testing.assert_array_equal, merge(seen, nothing), seen)
    jax.tree.map(np.testing.assert_array_equal, merge(nothing, seen), seen)


def test_merging_is_a_matter_of_grouping_only(key):
    parts = moments(jax.random.normal(key, (3, 20)), jnp.ones((3, 20), bool))
    a, b, c = (jax.tree.map(lambda x, i=i: x[i], parts) for i in range(3))
    left, right = merge(merge(a, b), c), merge(a, merge(c, b))
    for one, other, all_three in zip(left, right, pool(parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
        np.testing.assert_allclose(one, all_three, rtol=1e-5)


def test_devices_that_share_an_axis_learn_the_statistics_of_all(key):
    values = jax.random.normal(key, (8, 12)) + jnp.arange(8.0)[:, None]
    here = jnp.ones((8, 12), bool)
    shared = transforms.standardize(axis_name="devices")

    def learn(values, here):
        return shared.observe(values, here, shared.init())

    each = jax.vmap(learn, axis_name="devices")(values, here)
    alone = transforms.standardize()
    whole = alone.observe(values, here, alone.init())
    for seen, expected in zip(each, whole, strict=True):
        np.testing.assert_allclose(seen, np.full(8, expected), rtol=1e-5)


def test_a_million_values_in_small_batches_keep_their_mean():
    transform = transforms.standardize()
    here = jnp.ones(1024, bool)

    def step(state, key):
        values = 1000 + jax.random.normal(key, (1024,))
        return transform.observe(values, here, state), values.mean()

    keys = jax.random.split(jax.random.key(1), 1000)
    state, means = jax.lax.scan(step, transform.init(), keys)
    assert state.count == 1024_000
    expected = np.asarray(means, np.float64).mean()
    np.testing.assert_allclose(state.mean, expected, atol=2e-3)
    np.testing.assert_allclose(state.std, 1.0, rtol=1e-2)


# Groups ------------------------------------------------------------------------------


@pytest.mark.parametrize("ddof", [0, 1])
def test_groups_are_standardized_as_scipy_does(ddof, key):
    values = 3 + jax.random.normal(key, (5, 8))
    out = run(transforms.group_standardize(ddof=ddof), values)
    expected = scipy.stats.zscore(np.asarray(values, float), axis=-1, ddof=ddof)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 1e30, -7e20, 12345.678])
@pytest.mark.parametrize("size", [2, 3, 7, 64])
def test_constant_groups_give_exactly_zero_at_every_scale(value, size):
    values = jnp.full((2, size), value)
    assert (run(transforms.group_standardize(), values) == 0).all()


@pytest.mark.parametrize("value", [0.1, 1.0, 1e-30, 1e30])
def test_one_ulp_of_difference_is_no_difference(value):
    # With eps = 1e-8 in the divisor public code gives |z| = 1.08 here.
    group = np.full(8, value, np.float32)
    group[3] = np.nextafter(group[3], np.float32(np.inf))
    assert (run(transforms.group_standardize(), jnp.asarray(group)) == 0).all()


def test_a_group_that_varies_little_but_truly_is_standardized():
    values = jnp.array([[1.0, 1.0001, 1.0, 1.0001]])
    out = run(transforms.group_standardize(), values)
    np.testing.assert_allclose(out, [[-1, 1, -1, 1]], rtol=1e-2)


def test_shifting_and_scaling_a_group_changes_nothing(key):
    values = jax.random.normal(key, (4, 6))
    transform = transforms.group_standardize()
    np.testing.assert_allclose(
        run(transform, 5 * values - 3), run(transform, values), rtol=1e-4, atol=1e-5
    )


def test_a_group_of_one_gives_zero():
    for ddof in (0, 1):
        transform = transforms.group_standardize(ddof=ddof)
        assert run(transform, jnp.array([[3.0]])) == 0


def test_a_lone_reward_vector_has_no_group():
    composition = morl.objective("a").through(transforms.group_standardize())
    with pytest.raises(morl.InputError, match="responses of a prompt"):
        composition.utility(jnp.zeros(1), jnp.ones(1, bool))


# Quantiles ---------------------------------------------------------------------------


def test_the_share_below_is_that_of_scipy(key):
    sample = np.round(np.asarray(jax.random.normal(key, (40,))), 1)
    values = np.round(np.linspace(-3, 3, 25), 1).astype(np.float32)
    out = run(transforms.quantile(sample), jnp.asarray(values))
    wide = sample.astype(np.float32)
    expected = [scipy.stats.percentileofscore(wide, v, kind="mean") for v in values]
    np.testing.assert_allclose(100 * out, expected, atol=1e-3)


def test_the_running_sample_is_the_latest_values(key):
    size = 10
    transform = transforms.running_quantile(size=size)
    state, kept = transform.init(), []
    for index, count in enumerate((4, 3, 12, 0, 25, 6)):
        values = jax.random.normal(jax.random.fold_in(key, index), (count + 2,))
        here = jnp.arange(count + 2) < count
        kept = [*kept, *np.asarray(values)[:count]][-size:]
        state = transform.observe(values, here, state)
        assert int(jnp.minimum(state.count, size)) == len(kept)
        seen = np.sort(np.asarray(state.values))[: len(kept)]
        np.testing.assert_allclose(seen, np.sort(kept))
        probe = jnp.array([-0.5, 0.0, 0.5])
        expected = [scipy.stats.percentileofscore(kept, p, kind="mean") for p in probe]
        out = transform.apply(probe, jnp.ones(3, bool), state)
        np.testing.assert_allclose(100 * out, expected, atol=1e-3)


# Errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: transforms.clip(1, 1), "clip"),
        (lambda: transforms.min_max(2, 1), "min_max"),
        (lambda: transforms.tanh(0), "tanh scale"),
        (lambda: transforms.clip(float("nan"), 1), "clip low"),
        (lambda: transforms.standardize(eps=-1), "standardize eps"),
        (lambda: transforms.group_standardize(ddof=2), "group_standardize"),
        (lambda: transforms.quantile([]), "quantile sample"),
        (lambda: transforms.quantile([1.0, float("nan")]), "quantile sample"),
        (lambda: transforms.running_quantile(size=0), "running_quantile"),
    ],
)
def test_settings_without_meaning_are_refused(make, where):
    with pytest.raises(morl.InputError) as caught:
        make()
    assert caught.value.where == where
