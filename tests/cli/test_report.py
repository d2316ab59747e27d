"""The page of a run, from what a run leaves."""

import numpy as np
import pytest

from morl.assess import (
    Accuracy,
    Baselines,
    cross_accuracy,
    head_table,
    label_row,
    order_agreement,
    outside_accuracy,
)
from morl.cli.report import agreement, report_stage
from morl.fronts import Candidates, SweepSettings, assemble_front
from morl.fronts.evaluation import Evaluation
from morl.fronts.examples import HOW_CHOSEN, choose_examples
from morl.fronts.pipeline import Run, Traced
from morl.rewards import objectives

NAMES = ("helpful", "harmless")
RNG = np.random.default_rng(0)
SETTINGS = SweepSettings(divisions=3, betas=(0.5,), noise_draws=4, resamples=50)


class Silence:
    """A console that says nothing."""

    def begin(self, stage, unit):
        del stage, unit

        def progress(done, total):
            del done, total

        return progress

    def end(self, stage, seconds, remark):
        pass

    def abandon(self):
        pass


def evaluation(across):
    """An assessment of heads on random margins."""
    margins = RNG.normal(size=(80, 2)) + 0.5
    objective, groups = np.arange(80) % 2, np.arange(80)
    beside = Baselines(*RNG.normal(size=(3, 80)))
    rows = head_table(margins, objective, groups, objectives=NAMES, baselines=beside)
    labels = objective == 1
    rows.append(
        label_row(margins[:, 0], labels, groups, objective="honest", baselines=beside)
    )
    cross = cross_accuracy(margins, objective, groups, heads=NAMES, columns=NAMES)
    outside = outside_accuracy({"other": margins}, {"other": groups}, heads=NAMES)
    return Evaluation(rows, cross, outside, across, {}, 0.0)


def traced(*, gold, across):
    """A run over random candidates that the selector sees through noise."""
    helpful, harmless = objectives(*NAMES)
    reward = helpful + harmless
    judged = RNG.normal(size=(20, 4, 2))
    candidates = Candidates(
        NAMES,
        judged + 0.5 * RNG.normal(size=judged.shape),
        np.ones(judged.shape, bool),
        NAMES,
        judged,
        RNG.integers(5, 50, (20, 4)),
        prompts=tuple(f"prompt {i}" for i in range(20)),
        responses=tuple(tuple(f"{i} {j}" for j in range(4)) for i in range(20)),
    )
    front = assemble_front(reward, candidates, SETTINGS, gold=gold)
    examples = choose_examples(reward, candidates)
    return Traced(front, reward, candidates, evaluation(across), examples)


ACROSS = {"helpful": Accuracy(0.612, 0.58, 0.65, 400, 300)}


def test_heads_that_judge_are_set_beside_the_selector_on_feedback_and_candidates():
    run = traced(gold=False, across=ACROSS)
    feedback, answers = agreement(run).items()
    assert feedback == ("selector on the judge's feedback, and the reverse", ACROSS)
    assert answers[0] == "selector and the judge, on the candidates"
    for place, name in enumerate(NAMES):
        assert answers[1][name] == order_agreement(
            run.candidates.rewards[..., place],
            run.candidates.judged[..., place],
            run.candidates.present[..., place],
        )
        assert answers[1][name].low > 0.5


def test_true_rewards_that_judge_are_called_so():
    assert list(agreement(traced(gold=True, across={}))) == [
        "selector and the true rewards, on the candidates"
    ]


@pytest.mark.parametrize("gold", [True, False])
def test_the_page_holds_all_that_was_measured_of_the_heads(gold, tmp_path):
    run = Run(tmp_path, tmp_path / "cache", Silence(), [])
    result = traced(gold=gold, across={} if gold else ACROSS)
    figures = report_stage(run, result, title="A run")
    assert {path.stem for path in figures} == {"front", "parallel", "reward_kl"}
    page = (tmp_path / "report.html").read_text().replace("&#x27;", "'")
    assert "Outside test, on data that no head was fitted to" in page
    assert ("selector on the judge's feedback" in page) is not gold
    assert "accuracy or AUC [95% interval]" in page
    assert HOW_CHOSEN in page
    for row in result.evaluation.rows:
        assert f"The {row['objective']} head {row['verdict']}." in page
