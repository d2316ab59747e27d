"""Rows and Gramians on eight devices are those of one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.numerics.rows import combine, gramian
from morl.weighting.layerwise import layerwise_gramian, single
from morl.weighting.rows import rows

K, WIDTH = 3, 64
P = jax.P


@pytest.fixture
def mesh():
    return jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))


@pytest.fixture
def params(key):
    first, second = jax.random.split(key)
    return {
        "body": jax.random.normal(first, (16, WIDTH)),
        "head": jax.random.normal(second, (WIDTH, K)),
    }


@pytest.fixture
def inputs(key):
    return jax.random.normal(jax.random.fold_in(key, 7), (32, 16))


def losses_of(params, inputs):
    outputs = jnp.tanh(inputs @ params["body"]) @ params["head"]
    return jnp.mean(jnp.square(outputs - 1), axis=0)


def step(params, inputs):
    """Rows, their Gramian and a mixture that depends on it."""
    losses, grads = rows(lambda p: losses_of(p, inputs), params)
    total = gramian(grads)
    return losses, total, combine(jnp.diagonal(total) / jnp.trace(total), grads)


def assert_close(actual, expected):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_rows_reduced_over_data_give_the_gramian_of_one_device(mesh, params, inputs):
    def parallel(params, inputs):
        mean = lambda p: jax.lax.pmean(losses_of(p, inputs), "data")
        losses, grads = rows(mean, params)
        total = gramian(grads)
        return losses, total, combine(jnp.diagonal(total) / jnp.trace(total), grads)

    spread = jax.jit(
        jax.shard_map(
            parallel, mesh=mesh, in_specs=(P(), P("data")), out_specs=(P(), P(), P())
        )
    )
    assert_close(spread(params, inputs), step(params, inputs))


def test_local_rows_are_reduced_like_any_gradient(mesh, params, inputs):
    def parallel(params, inputs):
        # Without the mean in the loss: rows of this device's data, reduced by hand.
        local = jax.tree.map(lambda p: jax.lax.pcast(p, "data", to="varying"), params)
        _, grads = rows(lambda p: losses_of(p, inputs), local)
        mean_of_gramians = jax.lax.pmean(gramian(grads), "data")
        return gramian(jax.lax.pmean(grads, "data")), mean_of_gramians

    spread = jax.jit(
        jax.shard_map(
            parallel, mesh=mesh, in_specs=(P(), P("data")), out_specs=(P(), P())
        )
    )
    reduced, averaged = spread(params, inputs)
    _, expected, _ = step(params, inputs)
    np.testing.assert_allclose(reduced, expected, rtol=1e-4, atol=1e-5)
    # Averaging the Gramians of each device's data adds its noise to the diagonal.
    assert (jnp.diagonal(averaged) > 1.05 * jnp.diagonal(expected)).all()


def test_rows_split_over_parameters_need_k_by_k_sums_only(mesh, params, inputs):
    _, grads = rows(lambda p: losses_of(p, inputs), params)
    specs = {"body": P(None, None, "data"), "head": P(None, "data")}

    def parallel(grads):
        return gramian(grads, axis_name="data")

    spread = jax.jit(
        jax.shard_map(parallel, mesh=mesh, in_specs=(specs,), out_specs=P())
    )
    np.testing.assert_allclose(spread(grads), gramian(grads), rtol=1e-5)
    text = spread.lower(grads).compile().as_text()
    assert "all-reduce" in text
    assert "all-gather" not in text


def test_leaves_that_each_device_holds_whole_are_added_apart(mesh, params, inputs):
    _, grads = rows(lambda p: losses_of(p, inputs), params)

    def parallel(body, head):
        return gramian(body, axis_name="data") + gramian(head)

    spread = jax.shard_map(
        parallel, mesh=mesh, in_specs=(P(None, None, "data"), P()), out_specs=P()
    )
    np.testing.assert_allclose(
        spread(grads["body"], grads["head"]), gramian(grads), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("body", "head", "batch"),
    [(P(), P(), P("data")), (P(None, "data"), P("data"), P()), (P("data"), P(), P())],
    ids=["data", "parameters", "rows of parameters"],
)
def test_jit_over_any_sharding_gives_the_step_of_one_device(
    mesh, params, inputs, body, head, batch
):
    put = lambda x, spec: jax.device_put(x, jax.NamedSharding(mesh, spec))
    spread = {"body": put(params["body"], body), "head": put(params["head"], head)}
    assert_close(jax.jit(step)(spread, put(inputs, batch)), step(params, inputs))


def test_the_layerwise_gramian_is_that_of_one_device(mesh, params, inputs):
    first = single(lambda p, x: jnp.tanh(x @ p))
    last = lambda p, x: jnp.mean(jnp.square(x @ p - 1), axis=0)

    def parallel(body, head, inputs):
        mean = single(lambda p, x: jax.lax.pmean(last(p, x), "data"))
        return layerwise_gramian([first, mean], [body, head], inputs)

    spread = jax.jit(
        jax.shard_map(
            parallel, mesh=mesh, in_specs=(P(), P(), P("data")), out_specs=(P(), P())
        )
    )
    losses, total = spread(params["body"], params["head"], inputs)
    expected = step(params, inputs)
    assert_close((losses, total), expected[:2])
