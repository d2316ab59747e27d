from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl import losses

AGGREGATIONS = {
    "step_min": (losses.step_min, min, 0),
    "step_product": (losses.step_product, prod, 1),
    "step_sum": (losses.step_sum, sum, 0),
    "step_mean": (losses.step_mean, lambda steps: sum(steps) / len(steps), 0),
    "step_last": (losses.step_last, lambda steps: steps[-1], 0),
}
every_aggregation = pytest.mark.parametrize(
    ("fn", "plain", "empty"), AGGREGATIONS.values(), ids=AGGREGATIONS.keys()
)
every_function = pytest.mark.parametrize(
    "fn", [row[0] for row in AGGREGATIONS.values()], ids=AGGREGATIONS.keys()
)
VALUES = jnp.array([[0.9, 0.2, 0.7, 0.4], [0.5, 0.1, 0.6, 0.3], [0.1, 0.2, 0.3, 0.4]])
MASK = jnp.array([[True] * 4, [True, False, True, False], [False] * 4])


@every_aggregation
def test_it_is_what_python_makes_of_the_steps_that_exist(fn, plain, empty):
    steps = [[0.9, 0.2, 0.7, 0.4], [0.5, 0.6]]
    expected = [*map(plain, steps), empty]
    np.testing.assert_allclose(fn(VALUES, MASK), expected, rtol=1e-6)


@every_function
def test_vmap_under_jit_matches_a_batch(fn):
    batched = jax.jit(jax.vmap(fn))(VALUES, MASK)
    np.testing.assert_allclose(batched, fn(VALUES, MASK), rtol=1e-6)


@every_function
def test_steps_that_do_not_exist_may_be_nan_and_pass_no_gradient(fn):
    holed = jnp.where(MASK, VALUES, jnp.nan)
    slopes = jax.value_and_grad(lambda v: jnp.sum(fn(v, MASK)))
    value, slope = jax.jit(slopes)(holed)
    np.testing.assert_allclose(value, jnp.sum(fn(VALUES, MASK)), rtol=1e-6)
    assert jnp.isfinite(slope).all()
    assert not slope[~MASK].any()
    assert slope[MASK].any()


@every_function
def test_gradients_match_finite_differences(fn):
    with jax.enable_x64(True):
        values = jnp.asarray(VALUES, jnp.float64)
        step = 1e-6 * jnp.cos(jnp.arange(12.0).reshape(3, 4))
        value = jax.jit(lambda v: jnp.sum(fn(v, MASK) ** 2))
        rise = value(values + step) - value(values - step)
        expected = 2 * jnp.vdot(jax.grad(value)(values), step)
        np.testing.assert_allclose(rise, expected, rtol=1e-6)


@every_function
def test_bfloat16_is_aggregated_in_float32(fn):
    narrow = VALUES.astype(jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        got = fn(narrow, MASK)
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, fn(narrow.astype(jnp.float32), MASK))


@every_function
def test_one_step_is_its_own_reward(fn):
    values = jnp.array([[0.0], [0.3], [1.0]])
    np.testing.assert_array_equal(fn(values, jnp.ones((3, 1), bool)), values[:, 0])


def test_the_gradient_of_a_product_is_right_at_zero():
    steps = jnp.array([0.0, 0.5, 0.8])
    slope = jax.grad(losses.step_product)(steps, jnp.ones(3, bool))
    np.testing.assert_allclose(slope, [0.4, 0, 0], rtol=1e-6)


def test_the_sum_of_log_probabilities_is_the_log_of_the_product():
    logits, steps = jnp.array([2.0, -1.0, 0.5]), jnp.ones(3, bool)
    product = losses.step_product(jax.nn.sigmoid(logits), steps)
    total = losses.step_sum(jax.nn.log_sigmoid(logits), steps)
    np.testing.assert_allclose(total, jnp.log(product), rtol=1e-6)
