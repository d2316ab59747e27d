"""Each scalarizer against its formula retyped, brute force, or an outside library."""

from itertools import pairwise, permutations, product
from math import ceil, cos, exp, gamma, hypot, log, pi, prod, sin, sqrt

import jax
import jax.numpy as jnp
import moocore
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.optimize import linprog

from morl import scalarize

R, W, Z = (0.1, 0.8, 0.5), (0.2, 0.5, 0.3), (1.0, 2.0, 1.5)
GAPS = tuple(z - r for z, r in zip(Z, R, strict=True))
array = jnp.array


def close(actual, expected, rtol=1e-6):
    np.testing.assert_allclose(actual, expected, rtol=rtol)


def drawn(seed, *shape, ties=False):
    random = np.random.default_rng(seed)
    rewards = random.normal(size=shape)
    rewards = np.round(rewards) if ties else rewards
    return np.float32(rewards), np.float32(random.dirichlet(np.ones(shape[-1])))


def test_augmented_chebyshev_adds_a_share_of_the_weighted_shortfalls():
    shortfalls = [w * g for w, g in zip(W, GAPS, strict=True)]
    value = scalarize.augmented_chebyshev(array(R), array(W), ideal=array(Z), rho=0.1)
    close(value, -max(shortfalls) - 0.1 * sum(shortfalls))


def test_augmented_chebyshev_prefers_the_point_that_dominates_at_a_tie():
    # Both have their worst shortfall, 0.4, in the first objective.
    better, worse, w = array([0.2, 0.9]), array([0.2, 0.5]), array([0.5, 0.5])
    hard = [scalarize.chebyshev(r, w, ideal=jnp.ones(2)) for r in (better, worse)]
    assert hard[0] == hard[1]
    augmented = [
        scalarize.augmented_chebyshev(r, w, ideal=jnp.ones(2)) for r in (better, worse)
    ]
    assert augmented[0] > augmented[1]


def test_penalty_boundary_measures_along_the_ray_and_off_it():
    size = sqrt(sum(w * w for w in W))
    along = sum(g * w for g, w in zip(GAPS, W, strict=True)) / size
    off = sqrt(sum((g - along * w / size) ** 2 for g, w in zip(GAPS, W, strict=True)))
    value = scalarize.penalty_boundary(array(R), array(W), ideal=array(Z), penalty=3.0)
    close(value, -along - 3 * off)


def test_the_distance_off_the_ray_is_the_smallest_to_any_point_of_it():
    ray = np.linspace(0, 10, 200_001)[:, None] * np.array(W)
    nearest = np.sqrt(((np.array(GAPS) - ray) ** 2).sum(-1)).min()
    at = [
        scalarize.penalty_boundary(array(R), array(W), ideal=array(Z), penalty=penalty)
        for penalty in (0.0, 1.0)
    ]
    close(at[0] - at[1], nearest, rtol=1e-5)


def test_beyond_the_ideal_along_the_ray_is_better():
    on_ray = lambda t: scalarize.penalty_boundary(
        array(Z) + t * array(W), array(W), ideal=array(Z)
    )
    assert on_ray(1.0) > on_ray(0.0) > on_ray(-1.0)


def test_penalty_boundary_can_lower_the_utility_of_an_improvement():
    on_ray, better = array([0.5, 0.5]), array([0.5, 0.9])
    utility = lambda r: scalarize.penalty_boundary(
        r, array([0.5, 0.5]), ideal=jnp.ones(2)
    )
    assert utility(better) < utility(on_ray)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, 10.0])
def test_lp_distance_is_its_formula(p):
    value = scalarize.lp_distance(array(R), array(W), ideal=array(Z), p=p)
    terms = [(w * g) ** p for w, g in zip(W, GAPS, strict=True)]
    close(value, -(sum(terms) ** (1 / p)), rtol=2e-6)


def test_lp_distance_runs_from_linear_to_chebyshev():
    given = {"ideal": array(Z)}
    first = scalarize.lp_distance(array(R), array(W), **given, p=1.0)
    close(first, scalarize.linear(array(R) - array(Z), array(W)))
    last = scalarize.lp_distance(array(R), array(W), **given, p=1e4)
    close(last, scalarize.chebyshev(array(R), array(W), **given), rtol=2e-4)


def test_a_reward_beyond_the_ideal_counts_as_arrived():
    utility = lambda r: scalarize.lp_distance(array(r), jnp.ones(2), ideal=jnp.ones(2))
    assert utility([0.5, 3.0]) == utility([0.5, 1.0])
    assert utility([1.0, 1.0]) == utility([2.0, 3.0]) == 0


@pytest.mark.parametrize("p", [0.1, 1.0, 20.0])
def test_exponential_is_the_logarithm_of_the_criterion(p):
    total = sum((exp(p * w) - 1) * exp(-p * r) for r, w in zip(R, W, strict=True))
    value = scalarize.exponential(array(R), array(W), sharpness=p)
    close(value, -log(total) / p, rtol=2e-6)


def test_exponential_orders_points_as_the_sum_of_the_paper_does():
    points, weights = drawn(0, 100, 3)
    sums = ((np.exp(2 * weights) - 1) * np.exp(-2 * points)).sum(-1)
    values = jax.vmap(lambda r: scalarize.exponential(r, array(weights), sharpness=2.0))
    np.testing.assert_array_equal(
        np.argsort(values(array(points))), np.argsort(-np.float64(sums))
    )


@pytest.mark.parametrize("tau", [-1.0, -0.2, 0.5, 3.0])
def test_log_sum_exp_is_its_formula(tau):
    value = scalarize.log_sum_exp(array(R), array(W), temperature=tau)
    mean = sum(w * exp(r / tau) for r, w in zip(R, W, strict=True)) / sum(W)
    close(value, tau * log(mean), rtol=2e-6)


@pytest.mark.parametrize(
    ("tau", "expected"),
    [(-1e-8, min(R)), (1e-8, max(R)), (-1e6, 0.57), (1e6, 0.57), (-1e30, 0.57)],
)
def test_log_sum_exp_runs_from_the_worst_over_the_mean_to_the_best(tau, expected):
    value = scalarize.log_sum_exp(array(R), array(W), temperature=tau)
    close(value, expected, rtol=1e-5)


def test_log_sum_exp_finds_a_peak_whose_weight_is_tiny():
    value = scalarize.log_sum_exp(
        array([0.0, 1.0]), array([1.0, 1e-9]), temperature=0.01
    )
    close(value, 1 + 0.01 * log(1e-9))


def test_nash_product_is_the_weighted_geometric_mean_of_gains():
    d = (-1.0, 0.5, 0.0)
    value = scalarize.nash_product(array(R), array(W), disagreement=array(d))
    close(value, prod((r - e) ** w for r, e, w in zip(R, d, W, strict=True)))


def test_below_the_disagreement_point_the_worst_gain_counts():
    d = array([0.0, 1.0, 0.0])
    value, slope = jax.value_and_grad(scalarize.nash_product)(
        array(R), array(W), disagreement=d
    )
    close(value, 0.8 - 1.0)
    np.testing.assert_array_equal(slope, [0, 1, 0])


def test_nash_product_is_continuous_where_agreement_begins():
    edge = lambda gain: scalarize.nash_product(
        array([gain, 4.0]), array([0.5, 0.5]), disagreement=jnp.zeros(2)
    )
    assert edge(0.0) == 0
    assert abs(edge(1e-12)) < 1e-5 and abs(edge(-1e-12)) < 1e-5


@pytest.mark.parametrize("ties", [False, True])
def test_cvar_is_the_worst_mean_over_masses_that_alpha_bounds(ties):
    values = jax.jit(jax.vmap(lambda r, w, a: scalarize.cvar(r, w, alpha=a)))
    random = np.random.default_rng(1)
    points, alphas = drawn(0, 40, 5, ties=ties)[0], np.float32(random.uniform(size=40))
    weights = np.float32(random.dirichlet(np.ones(5), 40))
    expected = [
        linprog(r, A_eq=np.ones((1, 5)), b_eq=[1], bounds=[(0, x / a) for x in w]).fun
        for r, w, a in zip(
            np.float64(points),
            np.float64(weights) / np.float64(weights).sum(-1, keepdims=True),
            np.float64(alphas),
            strict=True,
        )
    ]
    actual = values(array(points), array(weights), array(alphas))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_cvar_runs_from_the_worst_case_to_the_mean():
    points, weights = drawn(2, 4)
    whole = scalarize.cvar(array(points), array(weights), alpha=1.0)
    close(whole, np.dot(np.float64(points), weights), rtol=1e-5)
    worst = scalarize.cvar(array(points), array(weights), alpha=1e-6)
    close(worst, points.min())


@pytest.mark.parametrize("ties", [False, True])
def test_owa_weighs_the_sorted_rewards(ties):
    points, weights = drawn(3, 50, 4, ties=ties)
    values = jax.vmap(scalarize.owa, (0, None))(array(points), array(weights))
    expected = np.sort(np.float64(points)) @ np.float64(weights)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_generalized_gini_is_the_worst_assignment_of_weights(ties):
    points, weights = drawn(4, 30, 4, ties=ties)
    values = jax.vmap(scalarize.generalized_gini, (0, None))(
        array(points), array(weights)
    )
    every = np.array(list(permutations(np.float64(weights))))
    np.testing.assert_allclose(
        values, (np.float64(points) @ every.T).min(-1), rtol=1e-5, atol=1e-6
    )


def test_moving_reward_to_a_worse_objective_never_lowers_gini_welfare():
    points, weights = drawn(5, 200, 4)
    low, high = points.argmin(-1), points.argmax(-1)
    index = np.arange(200)
    gift = 0.4 * (points[index, high] - points[index, low])
    shared = points.copy()
    shared[index, low] += gift
    shared[index, high] -= gift
    welfare = jax.vmap(scalarize.generalized_gini, (0, None))
    before, after = (welfare(array(p), array(weights)) for p in (points, shared))
    assert (after >= before - 1e-6).all()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((1, 0, 0), 1.0), ((0, 0, 1), 5.0), ((0, 1, 0), 3.0), ((1 / 3,) * 3, 3.0)],
    ids=["worst", "best", "median", "mean"],
)
def test_ranks_keep_their_meaning_where_an_entry_is_absent(weights, expected):
    rewards, present = array([5.0, jnp.nan, 1.0]), array([True, False, True])
    close(scalarize.owa(rewards, array(weights, float), present=present), expected)


def test_absent_ranks_deal_the_weights_out_again():
    # Every weight spread over as many cells as there are ranks left, and cut anew.
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    cut = np.repeat(weights / 3, 3).reshape(3, 4).sum(-1)
    rewards = array([7.0, 2.0, -1.0, 3.0])
    present = array([True, True, False, True])
    value = scalarize.owa(rewards, array(weights, jnp.float32), present=present)
    close(value, np.dot(np.sort([7.0, 2.0, 3.0]), cut))


PRIORITIES = (0.2, 0.5, 0.3)  # the second first, then the third
THRESHOLDS = (5.0, 2.0, 3.0)


def by_hand(point):
    return tuple(min(point[k], THRESHOLDS[k]) for k in (1, 2, 0))


def test_lexicographic_rank_is_the_order_of_capped_tuples():
    points = np.random.default_rng(6).integers(0, 5, (200, 3)).astype(np.float32)
    distinct = sorted({by_hand(point) for point in points}, reverse=True)
    expected = [distinct.index(by_hand(point)) for point in points]
    limits = array(THRESHOLDS)
    ranks = jax.jit(scalarize.lexicographic_rank)(
        array(points), array(PRIORITIES), threshold=limits
    )
    np.testing.assert_array_equal(ranks, expected)


def test_integers_are_ranked_up_to_a_threshold_between_them():
    # Cut down to whole numbers, the threshold of 1/2 would hold 0 and 1 equal.
    ranks = scalarize.lexicographic_rank(
        jnp.array([[0, 9], [1, 0], [3, 0]]),
        jnp.array([0.6, 0.4]),
        threshold=jnp.array([0.5, jnp.inf]),
    )
    assert ranks.tolist() == [1, 0, 0]


def test_lexicographic_rank_leaves_out_what_is_absent_or_has_no_priority():
    points = array([[0.0, jnp.nan, 1.0], [9.0, jnp.nan, 0.0]])
    ranks = scalarize.lexicographic_rank(
        points,
        array([0.0, 0.5, 0.3]),
        threshold=jnp.full(3, jnp.inf),
        present=array([True, False, True]),
    )
    np.testing.assert_array_equal(ranks, [0, 1])


def lexicographic(points, resolution):
    return jax.vmap(
        lambda r: scalarize.lexicographic(
            r,
            array(PRIORITIES),
            threshold=array(THRESHOLDS),
            floor=jnp.zeros(3),
            resolution=resolution,
        )
    )(array(points, jnp.float32))


def test_lexicographic_utility_has_the_order_down_to_its_resolution():
    # Steps are a fifth, a half and a third of the spans: all above 0.1 / (1 - 0.1).
    points = list(product(range(6), range(3), range(4)))
    values = np.asarray(lexicographic(points, 0.1))
    order = [by_hand(points[i]) for i in np.argsort(values, kind="stable")]
    assert all(first < second for first, second in pairwise(order))


def test_lexicographic_utility_is_its_formula():
    value = lexicographic([(2.0, 1.0, 9.0)], 0.1)[0]
    close(value, 1 / 2 + 0.1 * 1 + 0.1**2 * 2 / 5)


def test_below_its_resolution_a_lexicographic_utility_lets_priorities_trade():
    first, second = (0.0, 1.001, 0.0), (0.0, 1.0, 3.0)
    assert by_hand(first) > by_hand(second)
    values = lexicographic([first, second], 0.01)
    assert values[0] < values[1]


def test_cosmos_is_a_weighted_sum_and_a_cosine():
    z = (-0.5, 0.0, 0.2)
    gains = [r - e for r, e in zip(R, z, strict=True)]
    inner = sum(w * g for w, g in zip(W, gains, strict=True))
    size = sqrt(sum(w * w for w in W)) * sqrt(sum(g * g for g in gains))
    value = scalarize.cosmos(array(R), array(W), reference=array(z), penalty=2.0)
    close(value, inner + 2 * inner / size)


def test_hypervolume_scalarization_is_the_power_of_the_nearest_face():
    size = hypot(3, 4, 12)
    value = scalarize.hypervolume_scalarization(
        array([1.0, 2.0, 5.0]),
        array([3.0, 4.0, 12.0]),
        reference=array([0.5, 0.0, -1.0]),
    )
    close(value, min(0.5 / (3 / size), 2 / (4 / size), 6 / (12 / size)) ** 3)


def test_no_volume_is_dominated_below_the_reference():
    value, slope = jax.value_and_grad(scalarize.hypervolume_scalarization)(
        array([1.0, -1.0]), array([0.5, 0.5]), reference=jnp.zeros(2)
    )
    assert value == 0
    np.testing.assert_array_equal(slope, 0)


def volume(points, directions):
    """The hypervolume by the mean of the best utility, reference 0."""
    k = points.shape[-1]
    utility = lambda r, w: scalarize.hypervolume_scalarization(
        r, w, reference=jnp.zeros(k)
    )
    table = jax.jit(jax.vmap(jax.vmap(utility, (0, None)), (None, 0)))
    best = jnp.max(table(array(points), array(directions)), -1)
    return pi ** (k / 2) / (2**k * gamma(k / 2 + 1)) * np.mean(np.float64(best))


def test_the_mean_over_directions_is_a_hypervolume_known_in_two_objectives():
    # 39 stands in the documentation of moocore, for minimised points mirrored.
    points = np.float32([(5, 5), (4, 6), (2, 7), (7, 4)])
    angles = (np.arange(20_000) + 0.5) / 20_000 * pi / 2
    directions = np.float32([(cos(angle), sin(angle)) for angle in angles])
    close(volume(points, directions), 39, rtol=1e-5)


def test_the_mean_over_directions_is_the_hypervolume_of_moocore():
    random = np.random.default_rng(7)
    points = np.float32(random.uniform(size=(6, 3)))
    directions = np.abs(random.normal(size=(100_000, 3))).astype(np.float32)
    exact = moocore.hypervolume(points.astype(float), ref=np.zeros(3), maximise=True)
    spread = 1 / sqrt(len(directions))
    close(volume(points, directions), exact, rtol=ceil(3 * spread * 100) / 100)


def test_the_power_saturates_where_it_would_overflow():
    value = scalarize.hypervolume_scalarization(
        jnp.full(3, 1e30), jnp.ones(3), reference=jnp.zeros(3)
    )
    close(value, np.finfo(np.float32).max / 2, rtol=1e-4)


SETTINGS = {
    "augmented_chebyshev": ("rho", 0.1, "ideal"),
    "penalty_boundary": ("penalty", 2.0, "ideal"),
    "lp_distance": ("p", 2.5, "ideal"),
    "exponential": ("sharpness", 1.5, None),
    "log_sum_exp": ("temperature", -0.7, None),
    "cvar": ("alpha", 0.6, None),
    "cosmos": ("penalty", 2.0, "reference"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_and_points_have_slopes(name):
    setting, value, point = SETTINGS[name]
    with jax.enable_x64(True):
        rewards, weights = (jnp.asarray(x, jnp.float64) for x in (R, W))
        at = jnp.asarray([1.0, 2.0, 1.5] if point == "ideal" else [-1.0, -0.5, 0.0])

        def utility(value, at):
            given = {} if point is None else {point: jnp.asarray(at)}
            given[setting] = jnp.asarray(value)
            return vars(scalarize)[name](rewards, weights, **given)

        given = (jnp.asarray(value, jnp.float64), at)
        check_grads(jax.jit(utility), given, order=1, modes=["rev"])


def test_float64_stays_float64():
    with jax.enable_x64(True):
        rewards, weights = (jnp.asarray(x, jnp.float64) for x in (R, W))
        value = scalarize.log_sum_exp(rewards, weights, temperature=-0.2)
        mean = sum(w * exp(r / -0.2) for r, w in zip(R, W, strict=True)) / sum(W)
        assert value.dtype == jnp.float64
        close(value, -0.2 * log(mean), rtol=1e-13)
