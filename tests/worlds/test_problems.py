"""Test problems: their fronts, against published numbers and each other's formula."""

from math import comb, cos, exp, gamma, log, pi, sin, sqrt, tanh

import jax
import jax.numpy as jnp
import moocore
import numpy as np
import pytest
from scipy.optimize import minimize

from morl import worlds
from morl.errors import InputError

PROBLEMS = {
    "zdt1": worlds.zdt1(),
    "zdt2": worlds.zdt2(),
    "zdt3": worlds.zdt3(),
    "zdt4": worlds.zdt4(),
    "zdt6": worlds.zdt6(),
    **{
        f"{make.__name__} k={k}": make(k)
        for make in (worlds.dtlz1, worlds.dtlz2, worlds.dtlz3, worlds.dtlz4)
        for k in (2, 3, 5)
    },
    "vlmop1": worlds.vlmop1(),
    "vlmop2": worlds.vlmop2(),
    "vlmop2 d=20": worlds.vlmop2(20),
    "cagrad_toy": worlds.cagrad_toy(),
}
every_problem = pytest.mark.parametrize(
    "problem", PROBLEMS.values(), ids=PROBLEMS.keys()
)


def hypervolume(points, reference):
    return moocore.hypervolume(points, ref=reference, maximise=True)


def uniform(problem, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(problem.lower, problem.upper, (n, len(problem.lower)))


def rewards_in_float64(problem, designs):
    with jax.enable_x64(True):
        found = jax.jit(jax.vmap(problem.rewards))(jnp.asarray(designs))
    assert found.dtype == jnp.float64
    return np.asarray(found)


@every_problem
def test_the_designs_of_the_front_attain_it(problem):
    attained = rewards_in_float64(problem, problem.designs(60))
    np.testing.assert_allclose(attained, problem.front(60), rtol=1e-9, atol=1e-9)


@every_problem
def test_the_designs_of_the_front_lie_in_the_box(problem):
    designs = problem.designs(60)
    assert (designs >= problem.lower).all() and (designs <= problem.upper).all()


@every_problem
def test_no_point_of_the_front_dominates_another(problem):
    points = problem.front(200)
    at_least = (points[:, None] >= points[None] - 1e-12).all(-1)
    better = (points[:, None] > points[None] + 1e-12).any(-1)
    assert not (at_least & better).any()
    assert len(np.unique(points.round(12), axis=0)) == len(points)


@every_problem
def test_no_random_design_dominates_the_front(problem):
    found = rewards_in_float64(problem, uniform(problem, 4000))
    front = problem.front(100)
    better = (found[:, None] >= front[None] + 1e-9).all(-1)
    assert not better.any()


@every_problem
def test_no_small_step_from_the_front_dominates_it(problem):
    # Steps of many sizes around each design of the front, kept in the box.
    designs, rng = problem.designs(40), np.random.default_rng(1)
    sizes = 10.0 ** rng.uniform(-4, 0, (50, 1, 1))
    steps = sizes * rng.standard_normal((50, *designs.shape))
    near = np.clip(designs[None] + steps, problem.lower, problem.upper)
    found = rewards_in_float64(problem, near.reshape(-1, near.shape[-1]))
    gain = found.reshape(50, len(designs), -1) - problem.front(40)[None]
    assert not (gain > 1e-9).all(-1).any()


@every_problem
def test_gradients_are_finite_inside_the_box(problem):
    inside = jnp.asarray(uniform(problem, 100), jnp.float32)
    slopes = jax.jit(jax.vmap(jax.jacrev(problem.rewards)))(inside)
    assert slopes.dtype == jnp.float32
    assert jnp.isfinite(slopes).all()


@every_problem
def test_the_front_of_two_objectives_has_the_number_of_points_asked_for(problem):
    for n in (2, 37):
        points = problem.front(n)
        assert len(points) == len(problem.designs(n)) >= n
        assert len(points) == n or points.shape[1] > 2


@every_problem
def test_the_reference_lies_below_the_front(problem):
    assert (problem.front(50) > problem.reference).all()


def test_the_hypervolume_of_zdt_fronts_is_the_published_one():
    # 120 + 2/3 and 120 + 1/3; the third is BoTorch's constant for the same reference.
    for name, best in (
        ("zdt1", 120 + 2 / 3),
        ("zdt2", 120 + 1 / 3),
        ("zdt3", 128.77811613069076),
        ("zdt4", 120 + 2 / 3),
    ):
        problem = PROBLEMS[name]
        volume = hypervolume(problem.front(20_000), problem.reference)
        assert best - 3e-4 < volume < best


@pytest.mark.parametrize(
    ("k", "best", "divisions"),
    [
        (2, 0.4246018366, 400),
        (3, 0.8074012244, 40),
        (4, 1.1556748625, 16),
        (5, 1.4460165933, 10),
    ],
)
def test_the_hypervolume_of_dtlz2_fronts_tends_to_the_published_one(k, best, divisions):
    problem = worlds.dtlz2(k)
    # All of the box above the reference but the part of the ball in it.
    exact = 1.1**k - pi ** (k / 2) / gamma(k / 2 + 1) / 2**k
    np.testing.assert_allclose(exact, best, rtol=1e-9)
    coarse, fine = (
        hypervolume(problem.front(comb(size + k - 1, k - 1)), problem.reference)
        for size in (divisions // 2, divisions)
    )
    assert coarse < fine < best
    # A lattice falls short in proportion to its spacing: two sizes cancel most of it.
    np.testing.assert_allclose(2 * fine - coarse, best, rtol=5e-3)


def test_vlmop1_has_the_hypervolume_of_its_integral():
    # Reference 5 in both: the integral of 5 - (sqrt(u) - 2)^2 over [0, 4], and 5 more.
    problem = worlds.vlmop1()
    volume = hypervolume(problem.front(4000), problem.reference)
    assert 67 / 3 - 3e-3 < volume < 67 / 3


def test_the_ten_best_points_of_vlmop2_have_the_published_hypervolume():
    problem = worlds.vlmop2()
    place = lambda s: np.stack(
        [np.expm1(-((s - 1) ** 2)), np.expm1(-((s + 1) ** 2))], 1
    )
    np.testing.assert_array_equal(problem.front(10), place(np.linspace(-1, 1, 10)))
    short = lambda s: -hypervolume(place(s), problem.reference)
    best = minimize(short, np.linspace(-0.7, 0.7, 10), tol=1e-12)
    np.testing.assert_allclose(-best.fun, 0.2997842, atol=1e-7)
    even = hypervolume(problem.front(10), problem.reference)
    assert even < -best.fun < hypervolume(problem.front(4000), problem.reference)


def test_deep_sea_tables_have_the_published_hypervolumes():
    for table, volume in (
        (worlds.deep_sea_convex(), 401.8),
        (worlds.deep_sea_concave(), 1155),
    ):
        assert table.rewards.shape == (10, 2)
        np.testing.assert_allclose(
            hypervolume(table.rewards, table.reference), volume, rtol=1e-12
        )
        assert moocore.is_nondominated(table.rewards, maximise=True).all()


@pytest.mark.parametrize(
    ("table", "missed"),
    [
        (worlds.deep_sea_convex(), {(20.3, -14.0)}),
        (
            worlds.deep_sea_concave(),
            {tuple(row) for row in worlds.deep_sea_concave().rewards[1:-1]},
        ),
    ],
    ids=["convex", "concave"],
)
def test_linear_utilities_miss_the_published_points_of_the_deep_sea(table, missed):
    share = np.linspace(0, 1, 20_001)
    chosen = np.argmax(np.stack([share, 1 - share], 1) @ table.rewards.T, axis=1)
    found = {tuple(table.rewards[i]) for i in chosen}
    assert {tuple(row) for row in table.rewards} - found == missed


def test_the_mean_of_the_toy_losses_is_least_at_the_published_place():
    problem = worlds.cagrad_toy()
    with jax.enable_x64(True):
        mean = lambda x: -float(jnp.mean(problem.rewards(jnp.asarray(x))))
        best = minimize(mean, [1.0, -7.0], tol=1e-12)
    np.testing.assert_allclose(best.x, [0, -8.3552], atol=1.5e-4)
    np.testing.assert_allclose(best.x, problem.designs(3)[1], atol=1e-5)
    assert problem.starts.tolist() == [
        [-8.5, 7.5],
        [0, 0],
        [9, 9],
        [-7.5, -0.5],
        [9, -1],
    ]
    grid = np.stack(np.meshgrid(*[np.linspace(-10, 10, 401)] * 2), -1)
    gained = rewards_in_float64(problem, grid.reshape(-1, 2))
    assert -np.mean(gained, axis=1).max() >= best.fun


def test_the_toy_losses_match_their_formula():
    x, y = 1.5, 2.5
    upper = (
        log(abs(0.5 * (-x - 7) - tanh(-y))) + 6,
        log(abs(0.5 * (-x + 3) + tanh(-y) + 2)) + 6,
    )
    losses = -worlds.cagrad_toy().rewards(jnp.array([x, y]))
    np.testing.assert_allclose(losses, np.array(upper) * tanh(y / 2), rtol=1e-6)
    y = -2.5
    lower = [((x + s) ** 2 + 0.1 * (y + 8) ** 2) / 10 - 20 for s in (-7, 7)]
    losses = -worlds.cagrad_toy().rewards(jnp.array([x, y]))
    np.testing.assert_allclose(losses, np.array(lower) * tanh(-y / 2), rtol=1e-6)


def test_zdt_problems_match_their_formulas():
    x = [0.3, 0.2, 0.7, 0.4]
    g = 1 + 9 * sum(x[1:]) / 3
    for make, h in (
        (worlds.zdt1, 1 - sqrt(x[0] / g)),
        (worlds.zdt2, 1 - (x[0] / g) ** 2),
        (worlds.zdt3, 1 - sqrt(x[0] / g) - x[0] / g * sin(10 * pi * x[0])),
    ):
        losses = -make(4).rewards(jnp.array(x))
        np.testing.assert_allclose(losses, [x[0], g * h], rtol=1e-5)
    g = 1 + 10 * 3 + sum(y**2 - 10 * cos(4 * pi * y) for y in x[1:])
    losses = -worlds.zdt4(4).rewards(jnp.array(x))
    np.testing.assert_allclose(losses, [x[0], g * (1 - sqrt(x[0] / g))], rtol=1e-5)
    g = 1 + 9 * (sum(x[1:]) / 3) ** 0.25
    f = 1 - exp(-4 * x[0]) * sin(6 * pi * x[0]) ** 6
    losses = -worlds.zdt6(4).rewards(jnp.array(x))
    np.testing.assert_allclose(losses, [f, g * (1 - (f / g) ** 2)], rtol=1e-5)


def test_dtlz_problems_match_their_formulas():
    x = [0.3, 0.8, 0.2, 0.7]
    smooth = sum((y - 0.5) ** 2 for y in x[2:])
    waves = sum((y - 0.5) ** 2 - cos(20 * pi * (y - 0.5)) for y in x[2:])
    rugged = 100 * (2 + waves)
    losses = -worlds.dtlz1(3, 4).rewards(jnp.array(x))
    flat = [x[0] * x[1], x[0] * (1 - x[1]), 1 - x[0]]
    np.testing.assert_allclose(losses, 0.5 * (1 + rugged) * np.array(flat), rtol=1e-5)
    for make, g, power in (
        (worlds.dtlz2, smooth, 1),
        (worlds.dtlz3, rugged, 1),
        (worlds.dtlz4, smooth, 100),
    ):
        a, b = (pi / 2 * y**power for y in x[:2])
        ball = np.array([cos(a) * cos(b), cos(a) * sin(b), sin(a)])
        losses = -make(3, 4).rewards(jnp.array(x))
        np.testing.assert_allclose(losses, (1 + g) * ball, rtol=1e-5, atol=1e-12)


def test_problems_refuse_sizes_they_do_not_have():
    with pytest.raises(InputError, match="num_variables: found 1, expected 2"):
        worlds.zdt1(1)
    with pytest.raises(InputError, match="num_objectives: found 1, expected 2"):
        worlds.dtlz2(1)
    with pytest.raises(InputError, match="num_variables: found 2, expected at least"):
        worlds.dtlz2(3, 2)
    with pytest.raises(InputError, match="num_variables: found 0, expected 1"):
        worlds.vlmop2(0)
