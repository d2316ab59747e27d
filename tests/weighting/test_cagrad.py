"""CAGrad and RACO: published numbers, SciPy, promises, degenerate gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from morl.errors import InputError
from morl.numerics import conflict_averse, least_norm
from morl.numerics.conflict_averse import square_noise
from morl.weighting import Signals, cagrad, raco

TWO = np.array([[-4.0, 1, 1], [6, 1, 1]])
THREE = np.array([[2.0, 0, 1], [-1, 1, 0], [0, -1, 3]])
every_method = pytest.mark.parametrize("make", [cagrad, raco])
# What they share, where it takes long.
either_method = pytest.mark.parametrize(
    "make", [cagrad, pytest.param(raco, marks=pytest.mark.slow)]
)


def narrow(rows):
    return jnp.asarray(rows @ rows.T, jnp.float32)


@partial(jax.jit, static_argnums=(0, 2))
def solve(make, gramian, c=0.5, present=None, prefs=None):
    return make(c, prefs).update(Signals(gramian, present=present), ())[0]


@partial(jax.jit, static_argnums=(0, 2))
def batch(make, gramians, c=0.5):
    return jax.vmap(lambda gramian: solve(make, gramian, c))(gramians)


averse = jax.jit(conflict_averse)


@jax.jit
def at_radius(gramian, c, centre):
    """CAGrad's weights with a radius that is an argument of one program."""
    found = conflict_averse(gramian, centre, c)
    return centre + found.move, found.residual


def random_rows(seed, count, k):
    return np.random.default_rng(seed).standard_normal((count, k, 2 * k))


def gramians_of(rows):
    return jnp.asarray(np.einsum("nkp,nlp->nkl", rows, rows), jnp.float32)


def worst_gain(gramian, centre, c):
    """The dual of CAGrad's program, by SciPy in float64."""
    phi = c**2 * centre @ gramian @ centre

    def value(w):
        along = gramian @ w
        length = np.sqrt(max(w @ along, 1e-300))
        slope = gramian @ centre + np.sqrt(phi) * along / length
        return w @ gramian @ centre + np.sqrt(phi) * length, slope

    count = centre.size
    best = min(
        (
            minimize(
                value,
                start,
                jac=True,
                method="SLSQP",
                bounds=[(0, 1)] * count,
                constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
                options={"ftol": 1e-14, "maxiter": 500},
            )
            for start in (np.full(count, 1 / count), *np.eye(count))
        ),
        key=lambda found: found.fun,
    )
    return best.fun


def test_weights_are_the_published_numbers():
    for kind, digits in ((jnp.float32, 1e-6), (jnp.float64, 1e-10)):
        with jax.enable_x64(kind == jnp.float64):
            found = solve(cagrad, jnp.asarray(TWO @ TWO.T, kind))
            assert found.weights.dtype == kind
            expected = 0.5 + 0.25 * np.sqrt(12 / 18)
            np.testing.assert_allclose(found.weights, (expected, 0.5), atol=digits)


@pytest.mark.parametrize("c", [0.5, 2.0])
@pytest.mark.parametrize("k", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_no_direction_of_the_ball_improves_the_worst_more(k, c):
    for rows in random_rows(k, 5, k):
        gramian, centre = rows @ rows.T, np.full(k, 1 / k)
        weights, _ = at_radius(narrow(rows), c, jnp.asarray(centre, jnp.float32))
        weights = np.asarray(weights, np.float64)
        away = weights - centre
        radius = np.sqrt(away @ gramian @ away / (centre @ gramian @ centre))
        np.testing.assert_allclose(radius, c, rtol=1e-5)
        best = worst_gain(gramian, centre, c)
        np.testing.assert_allclose(
            (gramian @ weights).min(), best, rtol=1e-5, atol=1e-4
        )


def test_the_residual_is_at_most_a_millionth_on_random_gramians():
    for k in (3, 8):
        rows = random_rows(k, 500, k)
        assert float(batch(cagrad, gramians_of(rows)).residual.max()) <= 1e-6, k


@pytest.mark.slow
@pytest.mark.parametrize(
    ("c", "most"),
    # Beyond 1 the ball holds zero, where nearly opposite gradients leave few digits.
    [(0.1, 1e-6), (0.5, 1e-6), (1.0, 1e-6), (2.0, 2e-6)],
)
def test_the_residual_is_that_small_on_ten_thousand_random_gramians(c, most):
    for k in range(2, 9):
        rows = random_rows(k, 10_000, k)
        assert float(batch(cagrad, gramians_of(rows), c).residual.max()) <= most, k


@pytest.mark.parametrize("k", [pytest.param(16, marks=pytest.mark.slow), 64])
def test_the_residual_is_small_for_many_objectives(k):
    assert float(batch(cagrad, gramians_of(random_rows(k, 8, k))).residual.max()) < 1e-6


def test_more_gradients_than_dimensions_are_solved():
    rows = np.random.default_rng(0).standard_normal((500, 8, 3))
    residual = np.asarray(batch(cagrad, gramians_of(rows)).residual)
    assert residual.max() <= 1e-3
    assert np.mean(residual <= 1e-6) > 0.97


@pytest.mark.slow
def test_the_residual_sees_what_leaves_the_ball():
    rows = np.random.default_rng(8).standard_normal((500, 8, 5))
    centre, gramians = jnp.full(8, 1 / 8), gramians_of(rows)
    found = jax.jit(jax.vmap(lambda g: conflict_averse(g, centre, 2.0)))(gramians)
    move = np.einsum("nk,nkp->np", np.asarray(found.move, np.float64), rows)
    length, mean = np.linalg.norm(move, axis=1), np.linalg.norm(rows.mean(1), axis=1)
    excess = (length / mean - 2) / 3
    # A quarter of what may be noise, two roundings, is what float32 hides here.
    noise = np.asarray(jax.vmap(square_noise)(gramians, found.move)) / 4
    hidden = noise / (2 * length) / (3 * mean)
    assert (excess <= np.asarray(found.residual) + hidden).all()
    assert np.mean(hidden < 3e-3) > 0.99
    assert np.median(hidden) < 1e-5
    assert (found.residual >= 0).all()


def test_where_gradients_cancel_the_nearest_direction_that_hurts_none_is_taken():
    # The first two are opposite: what is left of the mean is across them.
    rows = np.array([[1.0, 0.0], [-2.0, 0.0], [1.0, 3.0]])
    found = solve(cagrad, narrow(rows), 0.5)
    np.testing.assert_allclose(found.weights @ rows, [0, 1], atol=1e-6)
    assert found.residual <= 1e-6


@every_method
def test_a_radius_of_zero_is_the_mean(make):
    np.testing.assert_allclose(solve(make, narrow(TWO), 0.0).weights, 1 / 2)


@pytest.mark.slow
def test_a_large_radius_has_the_direction_of_the_least_norm():
    weights, _ = at_radius(narrow(THREE), 1e4, jnp.full(3, 1 / 3))
    expected = jax.jit(least_norm)(narrow(THREE)).point
    np.testing.assert_allclose(weights / weights.sum(), expected, atol=1e-3)


def test_preferences_move_the_centre():
    prefs = jnp.array([0.2, 0.3, 0.5])
    weights = solve(cagrad, narrow(THREE), 0.4, None, prefs).weights
    gramian, centre = THREE @ THREE.T, np.asarray(prefs, np.float64)
    gains = gramian @ np.asarray(weights, np.float64)
    np.testing.assert_allclose(gains.min(), worst_gain(gramian, centre, 0.4), rtol=1e-5)


def test_raco_corrects_no_objective_beyond_its_preference():
    for rows in random_rows(0, 20, 4):
        prefs = jnp.array([0.1, 0.2, 0.3, 0.4])
        dual = averse(narrow(rows), prefs, 0.5).point
        clipped = np.minimum(dual, prefs).astype(np.float64)
        centre = np.asarray(prefs, np.float64)
        length = 0.5 * np.linalg.norm(centre @ rows) / np.linalg.norm(clipped @ rows)
        found = solve(raco, narrow(rows), 0.5, None, prefs).weights
        np.testing.assert_allclose(found, centre + length * clipped, rtol=2e-5)


@either_method
def test_permuting_objectives_permutes_weights(make):
    order = jnp.array([2, 0, 1])
    permuted = solve(make, narrow(THREE)[order][:, order]).weights
    expected = solve(make, narrow(THREE)).weights[order]
    np.testing.assert_allclose(permuted, expected, rtol=2e-6)


@every_method
@pytest.mark.parametrize("scale", [1e-10, 1e-5, 1e5, 1e15])
def test_the_size_of_all_gradients_changes_no_weight(make, scale):
    found = solve(make, narrow(THREE) * jnp.float32(scale) ** 2)
    np.testing.assert_allclose(
        found.weights, solve(make, narrow(THREE)).weights, rtol=1e-5
    )
    assert found.residual <= 1e-6


@either_method
def test_an_absent_objective_has_no_weight_and_the_others_are_solved_without_it(make):
    gramian = jnp.full((3, 3), jnp.nan).at[::2, ::2].set(narrow(TWO))
    found = solve(make, gramian, 0.5, jnp.array([True, False, True]))
    assert found.weights[1] == 0
    alone = solve(make, narrow(TWO))
    np.testing.assert_allclose(found.weights[::2], alone.weights, rtol=2e-6)


DEGENERATE = {
    "zero": np.zeros((3, 2)),
    "duplicate": np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]),
    "opposite": np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]),
    "one zero": np.array([[0.0, 0.0], [1.0, 1.0], [2.0, -1.0]]),
    "on a line": np.array([[1.0, 0.0], [2.0, 0.0], [-3.0, 0.0]]),
    "cancel": np.array([[1.0, 0.0], [-0.5, 0.5], [-0.5, -0.5]]),
    "unequal": np.array([[1e-4, 0.0], [3.0, 1e3], [-20.0, 1.0]]),
}


@pytest.mark.parametrize("rows", DEGENERATE.values(), ids=DEGENERATE.keys())
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("c", [0.5, 2.0])
def test_degenerate_rows_give_finite_weights_and_the_best_worst_gain(rows, copies, c):
    rows = np.tile(rows, (copies, 1))
    gramian, centre = rows @ rows.T, np.full(len(rows), 1 / len(rows))
    weights, gap = at_radius(narrow(rows), c, jnp.asarray(centre, jnp.float32))
    weights = np.asarray(weights, np.float64)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert gap <= 1e-5
    length = np.sqrt(centre @ gramian @ centre)
    away = weights - centre
    assert np.sqrt(away @ gramian @ away) <= c * length * (1 + 1e-3) + 1e-6
    best = worst_gain(gramian, centre, c)
    size = (1 + c) * length * np.sqrt(np.diagonal(gramian).mean())
    assert (gramian @ weights).min() >= best - 1e-4 * size - 1e-9


def dependent(kind, rows):
    rows = rows.copy()
    if kind == "zero":
        rows[:, 1] = 0
    if kind == "opposite":
        rows[:, 1] = -rows[:, 0]
    if kind == "opposite in another unit":
        rows[:, 1] = -30 * rows[:, 0]
    if kind == "three that cancel":
        rows[:, 2] = -(rows[:, 0] + rows[:, 1])
    return rows


@pytest.mark.slow
def test_some_dependent_gradients_among_others_are_solved():
    half = random_rows(12, 300, 6)
    kinds = ("zero", "opposite", "opposite in another unit", "three that cancel")
    gramians = gramians_of(np.concatenate([dependent(kind, half) for kind in kinds]))
    found = batch(cagrad, gramians)
    assert float(found.residual.max()) <= 1e-6
    # The residual does not flatter: the move stays in the ball.
    away, exact = np.asarray(found.weights, float) - 1 / 6, np.asarray(gramians, float)
    lengths = np.einsum("nk,nkl,nl->n", away, exact, away)
    assert (lengths <= 0.25 * exact.mean((1, 2)) * (1 + 1e-4)).all()
    # A gradient that is zero changes nothing for the others.
    others = np.delete(np.arange(6), 1)
    left = batch(cagrad, gramians[:300][:, others][:, :, others])
    scaled = 6 / 5 * found.weights[:300, others]  # their mean is of five
    np.testing.assert_allclose(scaled, left.weights, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("k", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_the_weights_are_differentiable_where_they_are_unique(k):
    rng = np.random.default_rng(k)
    with jax.enable_x64(True):
        rows = jnp.asarray(rng.standard_normal((k, 2 * k)))
        aims = jnp.asarray(rng.standard_normal(k))

        @jax.jit
        def value(rows):
            return solve(cagrad, rows @ rows.T).weights @ aims

        along = jnp.asarray(rng.standard_normal(rows.shape))
        slope = jnp.vdot(jax.jit(jax.grad(value))(rows), along)
        step = 1e-6
        numeric = (value(rows + step * along) - value(rows - step * along)) / (2 * step)
        np.testing.assert_allclose(slope, numeric, rtol=1e-5)


@every_method
@pytest.mark.parametrize("c", [-0.1, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(make, c):
    with pytest.raises(InputError, match="expected a finite number that is at least 0"):
        make(c)
