from dataclasses import replace

import numpy as np
import pytest

import morl
import morl.plots
from morl.errors import InputError
from morl.fronts import text_candidates, weightings
from morl.pareto import read_front, write_front

helpful, harmless = morl.objectives("helpful", "harmless")
reward = 0.5 * helpful + 0.5 * harmless - 0.01 * morl.rules.length(unit="word")
SHAPE = (24, 5)


@pytest.fixture(scope="module")
def candidates():
    rng = np.random.default_rng(0)
    judged = rng.normal(size=(*SHAPE, 2))
    seen = judged + 0.5 * rng.normal(size=judged.shape)
    texts = [["word " * int(n) for n in row] for row in rng.integers(1, 60, SHAPE)]
    return text_candidates(
        reward,
        [f"prompt {i}" for i in range(SHAPE[0])],
        texts,
        judged,
        columns={"helpful": seen[..., 0], "harmless": seen[..., 1]},
    )


def swept(front, method="best-of-n"):
    return [p for p in front.points if p.method == method and p.role == "sweep"]


def utilities(candidates, weights):
    """Retyped: given weights for the objectives, the rule's own for the rule."""
    return candidates.rewards @ np.array([*weights, -0.01])


def test_weights_replace_the_coefficients_of_objectives_and_rules_keep_theirs(
    candidates,
):
    weights = np.array([[0.9, 0.1], [1.0, 0.0], [0.0, 1.0]])
    front = morl.trace(reward, candidates, weights=weights, resamples=10)
    for point, row in zip(swept(front), weights, strict=True):
        best = np.argmax(utilities(candidates, row), axis=1)
        expected = candidates.judged[np.arange(SHAPE[0]), best].mean(axis=0)
        assert point.weights == tuple(row)
        np.testing.assert_allclose(point.rewards, expected, atol=1e-6)


def test_weights_may_be_any_and_vertices_are_added(candidates):
    weights = np.array([[0.3, 0.3], [2.0, 1.0], [1.0, 0.5]])
    front = morl.trace(reward, candidates, weights=weights, resamples=10)
    found = np.array([point.weights for point in swept(front)])
    np.testing.assert_array_equal(found, [*weights, [1, 0], [0, 1]])
    assert [p.label for p in front.experts] == ["helpful expert", "harmless expert"]
    assert [p.weights for p in front.experts] == [(1.0, 0.0), (0.0, 1.0)]


def test_without_weights_the_lattice_and_the_centroid_are_traced(candidates):
    front = morl.trace(reward, candidates, resamples=10)
    found = np.array([point.weights for point in swept(front)])
    np.testing.assert_array_equal(found, weightings(2, 10))


def test_betas_name_the_tilts(candidates):
    front = morl.trace(
        reward, candidates, weights=np.eye(2), betas=(0.25, 3.0), resamples=10
    )
    assert front.methods == ("best-of-n", "tilt beta=0.25", "tilt beta=3")


def test_the_control_and_the_base_policy_are_part_of_every_front(candidates):
    front = morl.trace(reward, candidates, weights=np.eye(2), resamples=10)
    assert front.controls[0] == "noise best-of-n"
    np.testing.assert_allclose(front.base.rewards, candidates.judged.mean(axis=(0, 1)))
    assert front.exact is None


def test_with_gold_rewards_the_exact_front_is_traced_and_closes_the_gap(candidates):
    front = morl.trace(reward, candidates, gold=True, resamples=10)
    assert 0 < front.exact.share_closed["best-of-n"] < 1
    seen = np.concatenate([candidates.judged, candidates.rewards[..., 2:]], axis=-1)
    knowing = replace(candidates, rewards=seen)
    closed = morl.trace(reward, knowing, gold=True, resamples=10).exact.share_closed
    assert closed["best-of-n"] == pytest.approx(1)


def test_a_front_says_where_it_comes_from_and_survives_its_file(candidates, tmp_path):
    front = morl.trace(reward, candidates, weights=np.eye(2), resamples=10, seed=3)
    assert front.provenance.config_hash == reward.spec_hash
    assert front.provenance.seeds == (0, 3)
    sizes = front.provenance.sizes
    assert (sizes["prompts"], sizes["candidates"]) == (24, 5)
    write_front(tmp_path / "front.json", front)
    assert read_front(tmp_path / "front.json") == front


def test_a_reward_without_a_name_to_save_can_be_traced():
    nameless = morl.scalarized(
        lambda r, w, *, present: (r * w * present).sum(),
        {helpful: 0.5, harmless: 0.5},
    )
    rng = np.random.default_rng(0)
    judged = rng.normal(size=(4, 3, 2))
    columns = {"helpful": judged[..., 0], "harmless": judged[..., 1]}
    scored = text_candidates(
        nameless, ["p"] * 4, [["a", "b", "c"]] * 4, judged, columns=columns
    )
    front = morl.trace(nameless, scored, weights=np.eye(2), resamples=10)
    assert front.provenance.config_hash == ""


def test_a_traced_front_can_be_drawn(candidates):
    front = morl.trace(reward, candidates, resamples=10)
    (ax,) = morl.plots.front(front).axes
    assert "helpful" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("weights", "where"),
    [
        (np.ones((3, 3)), "weights"),
        (np.ones((0, 2)), "weights"),
        (np.array([[0.5, 0.5], [0.5, np.nan]]), r"weights\[1\]"),
        (np.array([[0.5, 0.5], [-0.5, 1.5]]), r"weights\[1\]"),
        (np.array([[0.0, 0.0]]), r"weights\[0\]"),
    ],
)
def test_weights_that_are_none_are_named(candidates, weights, where):
    with pytest.raises(InputError, match=f"^{where}: "):
        morl.trace(reward, candidates, weights=weights)


def test_candidates_of_another_reward_are_refused(candidates):
    other = 0.5 * harmless + 0.5 * helpful - 0.01 * morl.rules.length(unit="word")
    with pytest.raises(
        InputError, match=r"'helpful', 'harmless', 'length'.*'harmless'"
    ):
        morl.trace(other, candidates)
    with pytest.raises(InputError, match="candidates: have rewards"):
        morl.trace(helpful + harmless, candidates)


def test_an_objective_that_only_a_constraint_reads_is_judged_like_the_others():
    safe = helpful.subject_to(harmless >= 0.2)
    judged = np.zeros((2, 2, 1))
    columns = {name: np.zeros((2, 2)) for name in ("helpful", "harmless")}
    scored = text_candidates(
        safe, ["p", "q"], [["a", "b"]] * 2, judged, columns=columns
    )
    assert scored.names == ("helpful", "harmless")
    assert scored.objectives == ("helpful",)


def test_texts_and_columns_that_do_not_fit_are_named():
    judged = np.zeros((1, 2, 1))
    with pytest.raises(InputError, match="responses: found 1 lists"):
        text_candidates(helpful, ["p", "q"], [["a", "b"]], judged)
    with pytest.raises(InputError, match="responses: found 2 lists"):
        text_candidates(helpful, ["p", "q"], [["a", "b"], ["a"]], judged)
    with pytest.raises(InputError, match=r"columns\.helpful: has shape \(1, 3\)"):
        text_candidates(
            helpful, ["p"], [["a", "b"]], judged, columns={"helpful": np.zeros((1, 3))}
        )
    with pytest.raises(InputError, match="helpful: has no source"):
        text_candidates(helpful, ["p"], [["a", "b"]], judged)
