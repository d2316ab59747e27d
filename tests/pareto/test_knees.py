import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from morl.pareto.knees import knee_distance, trade_off

distance_of, trade_off_of = jax.jit(knee_distance), jax.jit(trade_off)


def single(values):
    return jnp.asarray(values, jnp.float32)


def circle(num):
    angle = np.linspace(0, np.pi / 2, num)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_both_measures_find_the_knee_where_the_front_bends():
    bent = jnp.array([[0.0, 1.0], [0.3, 0.95], [0.9, 0.85], [0.95, 0.4], [1.0, 0.0]])
    assert jnp.argmax(distance_of(bent)) == 2
    assert jnp.argmax(trade_off_of(bent)) == 2


def test_the_knee_of_a_circle_is_its_middle():
    points = single(circle(11))
    distance = distance_of(points)
    assert jnp.argmax(distance) == 5
    np.testing.assert_allclose(distance[5], 1 - math.sqrt(0.5), rtol=1e-5)
    np.testing.assert_allclose(distance[jnp.array([0, 10])], 0, atol=1e-6)


def test_knee_distance_is_the_distance_to_the_plane_of_the_vertices():
    rng = np.random.default_rng(0)
    sphere = np.abs(rng.normal(size=(20, 3)))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    points = np.concatenate([np.eye(3), sphere])
    expected = (points.sum(1) - 1) / math.sqrt(3)
    units = np.array([2.0, 30.0, 0.5])
    found = distance_of(single(points * units - 7))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_concave_front_lies_below_its_plane_and_trades_badly_in_the_middle():
    points = single(1 - circle(11))
    assert (distance_of(points)[1:-1] < 0).all()
    assert trade_off_of(points)[5] < 1


def test_trade_off_is_its_formula():
    points = np.array([[0.0, 4.0], [1.0, 3.5], [3.0, 3.0], [4.0, 0.0]]) / 4
    expected = []
    for i, p in enumerate(points):
        rates = []
        for j, q in enumerate(points):
            gain = sum(max(b - a, 0) for a, b in zip(p, q, strict=True))
            loss = sum(max(a - b, 0) for a, b in zip(p, q, strict=True))
            rates += [loss / gain] if i != j and gain > 0 else []
        expected.append(min(rates))
    found = trade_off_of(single(points))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("measure", [knee_distance, trade_off])
def test_masked_points_are_no_knee_and_change_no_other(measure):
    points, fn = single(circle(7)), jax.jit(measure)
    mask = jnp.array([1, 1, 0, 1, 1, 0, 1], bool)
    hidden = jnp.where(mask[:, None], points, jnp.nan)
    found = fn(hidden, mask=mask)
    np.testing.assert_allclose(found[mask], fn(points[mask]), rtol=1e-4, atol=1e-6)
    assert (found[~mask] == -jnp.inf).all()
    slope = jax.jit(jax.grad(lambda p: measure(p, mask=mask)[3]))(hidden)
    assert jnp.isfinite(slope).all()


@pytest.mark.parametrize("points", [np.ones((1, 2)), np.ones((3, 2)), np.eye(2)[:1]])
def test_points_that_are_all_equal_have_no_knee(points):
    assert (distance_of(single(points)) == 0).all()
    assert (trade_off_of(single(points)) == jnp.inf).all()


def test_a_dominated_point_has_no_trade_off_and_a_dominating_one_no_end_of_it():
    points = jnp.array([[2.0, 2.0], [1.0, 1.0], [0.0, 1.5]])
    assert trade_off_of(points).tolist() == [math.inf, 0, 0]


@pytest.mark.parametrize("measure", [distance_of, trade_off_of])
def test_a_nan_that_counts_is_seen_in_every_answer(measure):
    # Its objective has no range, so that no point has a place in it.
    points = jnp.array([[0.0, 4.0], [3.0, jnp.nan], [4.0, 0.0]])
    assert jnp.isnan(measure(points)).all()
