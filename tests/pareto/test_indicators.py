"""The contract of every indicator under jit, their laws by name, outside oracles."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from morl import pareto
from morl.errors import InputError
from morl.pareto.distances import igd, igd_plus
from morl.pareto.epsilon import epsilon_additive
from morl.pareto.expected import expected_utility, maximum_utility_loss
from morl.pareto.kept import same_objectives
from morl.pareto.r2 import r2, r2_exact
from morl.pareto.spread import mean_inner_product, spacing

AIM = np.array([[0.9, 0.2], [0.7, 0.65], [0.55, 0.8], [0.1, 1.0]])
WEIGHTS = np.array([[0.85, 0.15], [0.6, 0.4], [0.35, 0.65], [0.05, 0.95]])
POINTS = np.array([[0.85, 0.1], [0.35, 0.62], [0.6, 0.43], [0.02, 0.81]])
PART = np.array([True, False, True, True])
ALL = np.ones(4, bool)


def to(values, points, scale=1.0):
    """A constant in the points' type, or float32 beside bfloat16."""
    wide = jnp.float64 if points.dtype == jnp.float64 else jnp.float32
    return scale * jnp.asarray(values, wide)


# Each takes four points of two objectives; a scale multiplies what is in their unit.
INDICATORS = {
    "igd": lambda p, m=None, c=1.0: igd(p, to(AIM, p, c), mask=m),
    "igd_plus": lambda p, m=None, c=1.0: igd_plus(p, to(AIM, p, c), mask=m),
    "epsilon_additive": lambda p, m=None, c=1.0: epsilon_additive(
        p, to(AIM, p, c), mask=m
    ),
    "r2": lambda p, m=None, c=1.0: r2(
        p, to(WEIGHTS, p), ideal=to(np.ones(2), p, c), mask=m
    ),
    "r2_exact": lambda p, m=None, c=1.0: r2_exact(
        p, ideal=to(np.ones(2), p, c), mask=m
    ),
    "expected_utility": lambda p, m=None, _=1.0: expected_utility(
        p, to(WEIGHTS, p), mask=m
    ),
    "maximum_utility_loss": lambda p, m=None, c=1.0: maximum_utility_loss(
        p, to(AIM, p, c), to(WEIGHTS, p), mask=m
    ),
    "mean_inner_product": lambda p, m=None, _=1.0: mean_inner_product(
        p, to(WEIGHTS, p), mask=m
    ),
    "spacing": lambda p, m=None, _=1.0: spacing(p, mask=m),
}
# Compiled once for all tests: value and gradient of points, mask and scale.
COMPILED = {name: jax.jit(jax.value_and_grad(fn)) for name, fn in INDICATORS.items()}
WITHOUT_POINTS = {
    "expected_utility": -math.inf,
    "mean_inner_product": 0.0,
    "spacing": 0.0,
}
LARGER_IS_BETTER = {"expected_utility", "mean_inner_product"}
COMPLIANT = sorted(INDICATORS.keys() - {"igd", "spacing"})
every_indicator = pytest.mark.parametrize("name", INDICATORS)
SETS = sorted(INDICATORS.keys() - {"mean_inner_product"})
compliant = pytest.mark.parametrize("name", COMPLIANT)


def worse(name, before, after):
    """How much an indicator has worsened."""
    return before - after if name in LARGER_IS_BETTER else after - before


# Everything below is compiled: one by one, its operations would compile at each shape.
exact = jax.jit(r2_exact)


def single(values):
    return jnp.asarray(values, jnp.float32)


def measure_both(name, points, mask=ALL, scale=1.0):
    """Value and gradient, in float32."""
    value, slope = COMPILED[name](single(points), mask, scale)
    return float(value), np.asarray(slope)


@every_indicator
def test_vmap_under_jit_matches_a_loop(name, key):
    points = jax.random.uniform(key, (6, 4, 2))
    mask = jax.random.bernoulli(key, 0.6, (6, 4))
    batched = jax.jit(jax.vmap(INDICATORS[name]))(points, mask)
    looped = [measure_both(name, *case)[0] for case in zip(points, mask, strict=True)]
    np.testing.assert_allclose(batched, looped, rtol=1e-6, atol=1e-7)


@every_indicator
def test_gradients_match_finite_differences(name):
    with jax.enable_x64(True):
        points = jnp.asarray(POINTS, jnp.float64)
        one = jax.jit(lambda p: INDICATORS[name](p, jnp.asarray(PART)))
        check_grads(one, (points,), order=1, modes=["rev"], eps=1e-6)


@every_indicator
def test_masked_points_may_hold_nan_and_drop_out(name):
    hidden = np.where(PART[:, None], POINTS, np.nan)
    value, slope = measure_both(name, hidden, PART)
    assert value == measure_both(name, POINTS, PART)[0]
    assert np.isfinite(slope).all()
    assert (slope[1] == 0).all()


@every_indicator
def test_a_nan_that_counts_is_seen_in_the_answer(name):
    for place in np.argwhere(PART[:, None] & np.ones((1, 2), bool)):
        holed = POINTS.copy()
        holed[tuple(place)] = np.nan
        assert np.isnan(measure_both(name, holed)[0])
        assert np.isnan(measure_both(name, holed, PART)[0])
    aimed = name not in {"expected_utility", "mean_inner_product", "spacing"}
    assert np.isnan(measure_both(name, POINTS, scale=np.nan)[0]) == aimed


@pytest.mark.parametrize("name", ["igd", "igd_plus"])
def test_a_point_at_minus_infinity_is_infinitely_far_and_the_others_count(name):
    fallen = POINTS.copy()
    fallen[1, 0] = -np.inf
    value, _ = measure_both(name, fallen)
    assert value == pytest.approx(measure_both(name, POINTS, PART)[0], rel=1e-6)
    assert measure_both(name, np.full((4, 2), -np.inf))[0] == np.inf


@pytest.mark.parametrize("name", SETS)
def test_a_mask_is_the_same_as_fewer_points(name):
    value, slope = measure_both(name, POINTS, PART)
    fewer, bare = jax.jit(jax.value_and_grad(INDICATORS[name]))(single(POINTS[PART]))
    np.testing.assert_allclose(value, fewer, rtol=1e-6)
    np.testing.assert_allclose(slope[PART], bare, rtol=1e-5, atol=1e-7)


@every_indicator
def test_a_mask_of_all_points_is_no_mask(name):
    bare = jax.jit(INDICATORS[name])(single(POINTS))
    assert measure_both(name, POINTS)[0] == pytest.approx(float(bare), rel=1e-7)


@every_indicator
def test_no_point_at_all_has_the_documented_value_and_no_gradient(name):
    value, slope = measure_both(name, np.full((4, 2), np.nan), ~ALL)
    assert value == WITHOUT_POINTS.get(name, math.inf)
    assert (slope == 0).all()


@every_indicator
@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
def test_narrow_types_are_widened_once_and_promoted_nowhere_by_accident(name, kind):
    with jax.numpy_dtype_promotion("strict"):
        points = jax.ShapeDtypeStruct((4, 2), jnp.dtype(kind))
        mask = jax.ShapeDtypeStruct((4,), jnp.dtype(bool))
        assert jax.eval_shape(INDICATORS[name], points, mask).dtype == jnp.float32


def everything(points, ends):
    """What each function of the room says of four points of two objectives."""
    ranks = pareto.front_rank(points)
    rays = jnp.asarray(pareto.sobol_sphere(2, 16), jnp.float32)
    archive = pareto.update_archive(pareto.init_archive(3, 2), points, jnp.arange(4))
    return {
        **{name: fn(points) for name, fn in INDICATORS.items()},
        "ideal": (
            r2(points, to(WEIGHTS, rays), ideal=ends[1]),
            exact(points, ideal=ends[1]),
        ),
        "front": [fn(points, ends) for fn in (igd, igd_plus, epsilon_additive)],
        "volume": pareto.hypervolume(points, ends[0]),
        "contributions": pareto.hypervolume_contributions(points, ends[0]),
        "polar": pareto.polar_hypervolume(points, ends[0], rays),
        "kept": pareto.non_dominated(points),
        "ranks": ranks,
        "crowding": pareto.crowding_distance(points, ranks),
        "knees": (pareto.knee_distance(points), pareto.trade_off(points)),
        "archive": archive,
        "attainment": pareto.attainment(points[None], ends),
    }


def test_integer_points_are_measured_as_the_same_numbers():
    points, ends = (
        jnp.array([[0, 9], [5, 6], [7, 1], [1, 1]]),
        jnp.array([[-1, 0], [9, 9]]),
    )
    fn = jax.jit(everything)
    found, expected = fn(points, ends), fn(single(points), single(ends))
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_array_equal(found["crowding"], [np.inf, 2, np.inf, np.inf])


@pytest.mark.parametrize(
    "fn",
    [
        pareto.front_rank,
        lambda points: pareto.crowding_distance(points, jnp.zeros(0, int)),
    ],
)
def test_no_points_have_no_ranks_and_no_distances(fn):
    with pytest.raises(InputError, match="found 0 and 0 rows, expected at least one"):
        fn(jnp.zeros((0, 2)))


@every_indicator
def test_float64_stays_float64(name):
    with jax.enable_x64(True):
        points = jax.ShapeDtypeStruct((4, 2), jnp.dtype("float64"))
        assert jax.eval_shape(INDICATORS[name], points).dtype == jnp.float64


@every_indicator
@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize(
    "points",
    [POINTS, np.zeros((4, 2)), np.ones((4, 2)), AIM, np.full((4, 2), 0.5)],
    ids=["some", "zero", "ideal", "the front", "equal"],
)
def test_value_and_gradient_are_finite_at_ties_and_extremes(name, points, scale):
    value, slope = measure_both(name, scale * points, scale=scale)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@every_indicator
@pytest.mark.parametrize("scale", [1e-30, 3.0, 1e30])
def test_rewards_in_another_unit_give_the_value_in_that_unit(name, scale):
    value, slope = measure_both(name, POINTS)
    scaled, scaled_slope = measure_both(name, scale * POINTS, scale=scale)
    assert scaled == pytest.approx(scale * value, rel=2e-6)
    np.testing.assert_allclose(scaled_slope, slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_the_order_of_the_points_does_not_matter(name):
    order = np.array([2, 0, 3, 1])
    value, slope = measure_both(name, POINTS)
    turned, turned_slope = measure_both(name, POINTS[order])
    assert turned == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(turned_slope, slope[order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("measure", [igd, igd_plus, epsilon_additive])
def test_the_order_of_the_objectives_does_not_matter(measure, key):
    points, front = np.asarray(jax.random.uniform(key, (2, 6, 4)))
    order, fn = np.array([2, 0, 3, 1]), jax.jit(measure)
    turned = fn(single(points[:, order]), single(front[:, order]))
    np.testing.assert_allclose(turned, fn(single(points), single(front)), rtol=1e-6)


@compliant
def test_pareto_compliant_improving_a_point_never_makes_the_indicator_worse(name, key):
    low, gain = jax.random.uniform(key, (2, 1000, 4, 2))
    fn = jax.jit(jax.vmap(INDICATORS[name]))
    before, after = np.asarray(fn(low - 1)), np.asarray(fn(low - 1 + gain))
    assert (worse(name, before, after) <= 1e-6).all()


@pytest.mark.parametrize("name", sorted({*COMPLIANT} & {*SETS}))
def test_another_point_never_makes_the_indicator_of_a_set_worse(name, key):
    points = jax.random.uniform(key, (1000, 4, 2))
    fn = jax.jit(jax.vmap(INDICATORS[name], (0, None)))
    three = jnp.asarray(np.arange(4) < 3)
    before, after = np.asarray(fn(points, three)), np.asarray(fn(points, ALL))
    assert (worse(name, before, after) <= 1e-6).all()


def test_exact_r2_is_strictly_better_for_every_point_that_is_not_dominated():
    points = jnp.array([[0.2, 0.9], [0.5, 0.5], [0.9, 0.2]])
    ideal = jnp.ones(2)
    for new in ([0.21, 0.89], [0.6, 0.45], [0.91, 0.0], [0.0, 0.91]):
        more = jnp.concatenate([points, jnp.array([new])])
        assert exact(more, ideal=ideal) < exact(points, ideal=ideal)
    dominated = jnp.concatenate([points, jnp.array([[0.4, 0.5]])])
    np.testing.assert_allclose(
        exact(dominated, ideal=ideal), exact(points, ideal=ideal), rtol=1e-6
    )


def test_r2_of_few_directions_can_miss_a_new_point_that_exact_r2_sees():
    points, more = jnp.array([[0.5, 0.5]]), jnp.array([[0.5, 0.5], [0.51, 0.49]])
    ideal, middle = jnp.ones(2), jnp.array([[0.5, 0.5]])
    assert r2(more, middle, ideal=ideal) == r2(points, middle, ideal=ideal)
    assert exact(more, ideal=ideal) < exact(points, ideal=ideal)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((3, 2), (3, 3), "igd: found 2 and 3 objectives"),
        ((3, 0), (3, 0), "igd: found 0 and 0 objectives"),
        ((0, 2), (3, 2), "igd: found 0 and 3 rows"),
        ((3, 2), (0, 2), "igd: found 3 and 0 rows"),
    ],
)
def test_sets_that_do_not_fit_are_refused_while_tracing(first, second, message):
    with pytest.raises(InputError, match=message):
        same_objectives(jnp.zeros(first), jnp.zeros(second), where="igd")


def test_exact_r2_is_refused_for_three_objectives():
    with pytest.raises((InputError, TypeError)):
        r2_exact(jnp.zeros((4, 3)), ideal=jnp.zeros(3))
