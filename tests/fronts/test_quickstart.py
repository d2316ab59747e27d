import json
from dataclasses import replace

import pytest

from morl.cli.main import main
from morl.cli.quickstart import quickstart_reward
from morl.fronts.pipeline import Run, RunSettings
from morl.fronts.quickstart import QuickstartSettings, run_quickstart
from morl.fronts.settings import CandidateSettings, HeadSettings, SweepSettings
from morl.training.language import LanguageSettings

pytestmark = pytest.mark.slow

TINY = QuickstartSettings(
    language=LanguageSettings(
        width=32,
        num_layers=1,
        num_heads=2,
        vocab_size=512,
        num_documents=64,
        batch_size=8,
    ),
    responses=2,
    records=30,
    compared=4,
    run=RunSettings(
        HeadSettings(max_pairs=60, folds=2, pooling="sum"),
        CandidateSettings(
            num_prompts=6, num_samples=3, max_new_tokens=40, batch_prompts=3
        ),
        SweepSettings(divisions=3, betas=(0.5,), noise_draws=2, resamples=50),
    ),
)


class Quiet:
    def begin(self, stage, unit):
        del stage, unit

        def progress(done, total):
            del done, total

        return progress

    def end(self, stage, seconds, remark):
        pass

    def abandon(self):
        pass


class Killed(Exception):
    pass


class Deadly(Quiet):
    """Stops a run in the middle of a stage."""

    def __init__(self, stage):
        self.stage = stage

    def begin(self, stage, unit):
        del unit

        def progress(done, total):
            if stage == self.stage and done > total / 3:
                raise Killed

        return progress


def run_in(folder, console, settings=TINY):
    run = Run(folder, folder / "cache", console, [])
    return run_quickstart(run, quickstart_reward(), settings, "test")[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    return folder, run_in(folder, Quiet())


def test_a_run_leaves_its_record(finished):
    folder, _ = finished
    front = json.loads((folder / "front.json").read_text())
    assert front["objectives"] == ["helpful", "harmless", "honest"]
    # A model this small may write nothing that gold rewards tell apart.
    assert set(front["exact"]["share_closed"]) <= {"best-of-n", "tilt beta=0.5"}
    assert (folder / "heads" / "heads.json").exists()
    # Gold rewards judge: no part of the feedback is kept back for a judge of heads.
    assert not (folder / "judge").exists()
    assert json.loads((folder / "metrics.json").read_text())["heads"]
    assert len((folder / "candidates.jsonl").read_text().splitlines()) == 6


def test_the_same_run_again_gives_the_same_front(finished):
    folder, traced = finished
    assert run_in(folder, Quiet()).front.points == traced.front.points


@pytest.mark.parametrize("stage", ["features", "candidates"])
def test_an_interrupted_run_goes_on_to_the_same_front(tmp_path, stage):
    settings = replace(
        TINY,
        run=replace(TINY.run, heads=replace(TINY.run.heads, batch_tokens=512)),
    )
    with pytest.raises(Killed):
        run_in(tmp_path, Deadly(stage), settings)
    resumed = run_in(tmp_path, Quiet(), settings)
    whole = run_in(tmp_path / "whole", Quiet(), settings)
    assert resumed.front.points == whole.front.points


def test_the_default_run_closes_four_fifths_of_the_gap(tmp_path, capsys):
    main(["quickstart", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    front = json.loads((tmp_path / "front.json").read_text())
    exact = front["exact"]
    assert exact["share_closed"]["best-of-n"] >= 0.8
    best, base = exact["hypervolume"], exact["base_hypervolume"]
    reached = front["hypervolume"]["best-of-n"]["value"]
    assert (reached - base) / (best - base) == pytest.approx(
        exact["share_closed"]["best-of-n"]
    )
    assert f"closes {exact['share_closed']['best-of-n']:.0%} of the gap" in said
    assert "[8/8] report" in said
    assert "The control is sound" in said
    for weighting in ("helpful only", "harmless only", "honest only"):
        assert weighting in said
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"front.png", "front.svg", "parallel.png", "reward_kl.png"} <= figures
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    main(["quickstart", "--out", str(tmp_path / "out"), "--dry-run"])
    assert "would train" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
