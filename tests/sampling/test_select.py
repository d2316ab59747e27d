import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from morl.sampling.select import best_of_n, best_of_n_kl, kl_to_candidates, tilt


@pytest.fixture
def utility(key):
    return jax.random.normal(key, (5, 8))


def test_the_tilt_matches_scipy(utility):
    got = tilt(utility, jnp.ones_like(utility, bool), beta=0.3)
    np.testing.assert_allclose(got, softmax(utility / 0.3, axis=-1), rtol=1e-5)


def test_the_tilt_is_the_optimum_of_utility_less_kl(utility, key):
    present = jnp.ones_like(utility, bool)
    worth = lambda p: jnp.sum(p * utility, -1) - 0.5 * kl_to_candidates(p, present)
    best = worth(tilt(utility, present, beta=0.5))
    others = jax.random.dirichlet(key, jnp.ones(8), (200, 5))
    assert (jax.vmap(worth)(others) <= best[None] + 1e-6).all()


def test_the_tilt_becomes_best_of_n_as_beta_falls(utility):
    present = jnp.ones_like(utility, bool)
    sharp = tilt(utility, present, beta=1e-30)
    np.testing.assert_allclose(sharp, best_of_n(utility, present), atol=1e-6)


def test_the_tilt_becomes_the_reference_as_beta_grows(utility):
    flat = tilt(utility, jnp.ones_like(utility, bool), beta=1e9)
    np.testing.assert_allclose(flat, 1 / 8, rtol=1e-5)


@pytest.mark.parametrize("select", [best_of_n, lambda u, p: tilt(u, p, beta=0.1)])
def test_absent_candidates_are_never_chosen_and_may_hold_nan(select):
    utility = jnp.array([jnp.nan, 1.0, 2.0])
    present = jnp.isfinite(utility)
    got = select(utility, present)
    assert got[0] == 0
    np.testing.assert_allclose(got.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("select", [best_of_n, lambda u, p: tilt(u, p, beta=0.1)])
def test_a_prompt_without_utilities_keeps_the_reference_policy(select):
    got = select(jnp.full(4, jnp.nan), jnp.zeros(4, bool))
    np.testing.assert_allclose(got, 0.25)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_selection_is_finite_at_any_scale(utility, scale):
    got = tilt(utility * scale, jnp.ones_like(utility, bool), beta=0.1)
    assert jnp.isfinite(got).all()


def test_kl_of_a_choice_is_log_n_and_of_the_reference_zero():
    present = jnp.ones(8, bool)
    chosen = jax.nn.one_hot(3, 8)
    np.testing.assert_allclose(kl_to_candidates(chosen, present), np.log(8), rtol=1e-6)
    np.testing.assert_allclose(
        kl_to_candidates(jnp.full(8, 0.125), present), 0, atol=1e-6
    )


def test_best_of_n_kl_matches_a_simulation_of_ranks():
    n, cells = 4, 2000
    grid = np.arange(cells + 1) / cells
    chosen = np.diff(grid**n)  # the best of n uniforms falls into each cell
    kl = np.sum(chosen * np.log(chosen * cells))
    np.testing.assert_allclose(best_of_n_kl(n), kl, atol=1e-3)
