"""Units of the reference policy: against NumPy, and what they are for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import morl
from morl.rewards import UncalibratedWarning

NAMES = ("helpful", "harmless")


@pytest.fixture
def scores(key):
    """Scores with a shift of its own for every prompt, as Bradley-Terry leaves them."""
    shift = 50 * jax.random.normal(key, (40, 1, 2))
    spread = jnp.array([[[2.0, 0.1]]])
    return shift + spread * jax.random.normal(jax.random.fold_in(key, 1), (40, 16, 2))


@pytest.fixture
def here(scores):
    return jnp.ones(scores.shape, bool)


def test_the_scale_is_the_pooled_deviation_within_prompts(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    wide = np.asarray(scores, np.float64)
    expected = np.sqrt(wide.var(axis=1, ddof=1).mean(0))
    np.testing.assert_allclose(calibration.scale, expected, rtol=1e-4)


@pytest.mark.parametrize("centre", ["mean", 0.5, 0.85])
def test_rewards_are_centred_prompt_by_prompt(scores, here, centre):
    calibration = morl.calibrate(scores, here, names=NAMES, centre=centre)
    wide = np.asarray(scores, np.float64)
    middle = (
        wide.mean(1, keepdims=True)
        if centre == "mean"
        else np.quantile(wide, centre, axis=1, keepdims=True)
    )
    expected = (wide - middle) / np.asarray(calibration.scale)
    np.testing.assert_allclose(calibration.apply(scores, here), expected, atol=2e-3)


def test_the_shift_of_a_prompt_drops_out(scores, here, key):
    calibration = morl.calibrate(scores, here, names=NAMES)
    shifted = scores + 8 * jax.random.normal(key, (40, 1, 2))
    np.testing.assert_allclose(
        calibration.apply(shifted, here), calibration.apply(scores, here), atol=1e-3
    )


def test_absent_scores_hold_nan_and_count_for_nothing(scores, key):
    present = jax.random.bernoulli(key, 0.7, scores.shape)
    holes = jnp.where(present, scores, jnp.nan)
    for centre in ("mean", 0.85):
        calibration = morl.calibrate(holes, present, names=NAMES, centre=centre)
        out = calibration.apply(holes, present)
        assert jnp.isfinite(out).all()
        wide = np.asarray(holes, np.float64)
        spare = np.maximum(np.isfinite(wide).sum(1) - 1, 0).sum(0)
        away = wide - np.nanmean(wide, 1, keepdims=True)
        expected = np.sqrt(np.nansum(away**2, (0, 1)) / spare)
        np.testing.assert_allclose(calibration.scale, expected, rtol=1e-4)


def test_another_policy_is_measured_from_the_reference(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    better = scores[:, :3] + 4.0
    out = calibration.apply(better, here[:, :3], scores)
    expected = (np.asarray(better) - np.asarray(scores).mean(1, keepdims=True)) / (
        np.asarray(calibration.scale)
    )
    np.testing.assert_allclose(out, expected, atol=2e-3)
    assert out.mean() > 1


def test_what_is_absent_of_the_reference_has_no_part_in_the_centre(scores, here, key):
    calibration = morl.calibrate(scores, here, names=NAMES)
    composition = (helpful + harmless).calibrated(calibration)
    seen = jax.random.bernoulli(key, 0.7, scores.shape)
    holes = jnp.where(seen, scores, jnp.nan)
    out = composition.units(scores[:, :3], here[:, :3], holes, seen)
    centre = np.nanmean(np.asarray(holes), axis=1, keepdims=True)
    expected = (np.asarray(scores[:, :3]) - centre) / np.asarray(calibration.scale)
    np.testing.assert_allclose(out, expected, atol=2e-3)


def test_the_table_is_that_of_numpy_and_reads_both_ways(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    units = np.asarray(calibration.apply(scores, here))[..., 0].ravel()
    for q in (0, 12.5, 60, 100):
        value = calibration.value_at("helpful", q)
        np.testing.assert_allclose(value, np.percentile(units, q), atol=2e-2)
        np.testing.assert_allclose(
            calibration.percentile_of("helpful", value), q, atol=1e-2
        )


def test_rules_keep_their_units(key):
    scores = jnp.stack(
        [jax.random.normal(key, (9, 4)), jnp.full((9, 4), 300.0)], axis=-1
    )
    here = jnp.ones(scores.shape, bool)
    names = ("helpful", "length")
    calibration = morl.calibrate(scores, here, names=names, keep=("length",))
    np.testing.assert_array_equal(calibration.apply(scores, here)[..., 1], 300.0)


def test_it_jits_and_is_a_pytree(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES, centre=0.85)
    compiled = jax.jit(lambda c, r, p: c.apply(r, p))(calibration, scores, here)
    np.testing.assert_allclose(compiled, calibration.apply(scores, here), atol=1e-4)
    again = jax.tree.unflatten(*reversed(jax.tree.flatten(calibration)))
    assert again == calibration
    assert hash(again) == hash(calibration)


# On a composition --------------------------------------------------------------------

helpful, harmless = (morl.objective(n, scale="per-prompt") for n in NAMES)


def test_a_calibrated_composition_does_not_warn(scores, here):
    safe = helpful.subject_to(harmless >= 0.2)
    with pytest.warns(UncalibratedWarning):
        safe.utility(scores, here)
    calibration = morl.calibrate(scores, here, names=NAMES)
    calibrated = safe.calibrated(calibration)
    calibrated.utility(calibrated.units(scores, here), here)


def test_a_reward_that_the_calibration_keeps_as_it_is_still_warns(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES, keep=("harmless",))
    kept = helpful.subject_to(harmless >= 0.2).calibrated(calibration)
    with pytest.warns(UncalibratedWarning, match="harmless"):
        kept.utility(kept.units(scores, here), here)


def test_a_threshold_prints_what_it_means(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    safe = helpful.subject_to(harmless >= 0.2).calibrated(calibration)
    units = np.asarray(calibration.apply(scores, here))[..., 1]
    share = round(100 * (units < 0.2).mean())
    assert f"the {share}" in str(safe)
    assert "percentile of the reference policy" in str(safe)


def test_a_percentile_is_a_threshold(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    safe = helpful.subject_to(harmless >= morl.percentile(60)).calibrated(calibration)
    units = safe.units(scores, here)
    admitted = safe.admissible(units, here)
    expected = np.asarray(units)[..., 1] >= np.percentile(np.asarray(units)[..., 1], 60)
    np.testing.assert_array_equal(admitted, expected)
    np.testing.assert_allclose(admitted.mean(), 0.4, atol=0.01)


def test_changing_a_percentile_recompiles_nothing(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    traces = []

    @jax.jit
    def admitted(composition, units):
        traces.append(1)
        return composition.admissible(units, here).mean()

    units = calibration.apply(scores, here)
    for q in (20, 60, 90):
        safe = helpful.subject_to(harmless >= morl.percentile(q))
        share = admitted(safe.calibrated(calibration), units)
        np.testing.assert_allclose(share, 1 - q / 100, atol=0.02)
    assert len(traces) == 1


def test_the_ideal_is_the_best_that_the_reference_policy_reached(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    fair = morl.chebyshev({helpful: 0.5, harmless: 0.5}).calibrated(calibration)
    units = fair.units(scores, here)
    utility, _ = fair.utility(units, here)
    best = np.asarray(units).max((0, 1))
    expected = (0.5 * (np.asarray(units) - best)).min(-1)
    np.testing.assert_allclose(utility, expected, atol=1e-5)
    assert (utility <= 1e-6).all()


def test_log_sigmoid_of_rewards_centred_at_a_quantile_is_the_paper_s(scores, here):
    # Wang et al. (2024): log sigma(r - ref), ref the 85th percentile for the prompt.
    calibration = morl.calibrate(scores, here, names=NAMES, centre=0.85)
    both = (
        helpful.through(morl.transforms.log_sigmoid())
        + harmless.through(morl.transforms.log_sigmoid())
    ).calibrated(calibration)
    utility, _ = both.utility(both.units(scores, here), here)
    wide = np.asarray(scores, np.float64)
    above = (wide - np.quantile(wide, 0.85, axis=1, keepdims=True)) / (
        np.asarray(calibration.scale)
    )
    expected = -np.log1p(np.exp(-above)).sum(-1)
    np.testing.assert_allclose(utility, expected, atol=3e-3)


def test_units_find_their_columns_by_name(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    length = morl.rewards.Reward("length")
    composition = (harmless + helpful - 0.01 * length).calibrated(calibration)
    assert composition.names == ("harmless", "helpful", "length")
    mixed = jnp.stack([scores[..., 1], scores[..., 0], jnp.full((40, 16), 7.0)], -1)
    out = composition.units(mixed, jnp.ones(mixed.shape, bool))
    direct = calibration.apply(scores, here)
    np.testing.assert_allclose(out[..., 0], direct[..., 1], atol=1e-5)
    np.testing.assert_allclose(out[..., 1], direct[..., 0], atol=1e-5)
    np.testing.assert_array_equal(out[..., 2], 7.0)


# Errors ------------------------------------------------------------------------------


def test_what_cannot_be_calibrated_is_named(scores, here):
    constant = scores.at[..., 1].set(3.0)
    with pytest.raises(morl.InputError, match="harmless: does not vary"):
        morl.calibrate(constant, here, names=NAMES)
    nothing = here.at[..., 0].set(False)
    with pytest.raises(morl.InputError, match="helpful: no reference sample"):
        morl.calibrate(scores, nothing, names=NAMES)


@pytest.mark.parametrize("centre", ["median", 0.0, 1.0, 2.0])
def test_an_unknown_centre_is_refused(scores, here, centre):
    with pytest.raises((morl.InputError, TypeError)):
        morl.calibrate(scores, here, names=NAMES, centre=centre)


def test_wrong_counts_and_names_are_refused(scores, here):
    with pytest.raises(morl.InputError, match="names are"):
        morl.calibrate(scores, here, names=("helpful",))
    with pytest.raises(morl.InputError, match="repeat"):
        morl.calibrate(scores, here, names=("helpful", "helpful"))
    with pytest.raises(morl.InputError, match="did you mean 'helpful'"):
        morl.calibrate(scores, here, names=NAMES, keep=("helpfull",))


def test_a_calibration_must_cover_every_per_prompt_score(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    honest = morl.objective("honest", scale="per-prompt")
    with pytest.raises(morl.InputError, match="honest"):
        (helpful + honest).calibrated(calibration)


def test_a_lone_vector_has_no_prompt_to_be_centred_by(scores, here):
    calibration = morl.calibrate(scores, here, names=NAMES)
    with pytest.raises(morl.InputError, match="responses of a prompt"):
        calibration.apply(scores[0, 0], here[0, 0])
