"""Stages as a terminal shows them."""

import sys
import warnings

import pytest
from tqdm import tqdm

from morl.cli.console import Stages
from morl.cli.main import COMMANDS, main
from morl.fronts.pipeline import Run


def test_a_stage_shows_how_far_it_is_and_the_time_left(capsys):
    stages = Stages(2)
    progress = stages.begin("features", "tokens")
    for done in range(0, 8, 2):
        progress(done, 8)
    stages.bar.refresh()
    stages.end("features", 1.25, "eight tokens")
    said = capsys.readouterr()
    assert "features:  75%" in said.err
    assert "6/8 [" in said.err and "tokens/s" in said.err
    assert "<" in said.err.rpartition("6/8 [")[2]
    assert said.out.split() == ["[1/2]", "features", "eight", "tokens", "1.2", "s"]


def test_a_part_with_another_total_has_a_bar_of_its_own():
    stages = Stages(1)
    progress = stages.begin("heads", "fits")
    progress(0, 30)
    progress(30, 30)
    first = stages.bar
    progress(0, 5)
    assert first.disable  # closed
    assert (stages.bar.n, stages.bar.total) == (0, 5)
    progress(2, 5)
    assert stages.bar.n == 2
    stages.end("heads", 1.0, "done")
    assert stages.bar is None


def test_what_was_done_before_has_no_bar(capsys):
    stages = Stages(1)
    stages.begin("features", "tokens")(8, 8)
    stages.end("features", 0.0, "kept")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_stage_that_fails_leaves_no_bar_open(tmp_path, error):
    stages = Stages(1)
    run = Run(tmp_path, tmp_path, stages, [])
    with pytest.raises(error), run.stage("features", "tokens") as stage:
        stage.progress(1, 8)
        bar = stages.bar
        raise error
    assert bar.disable  # closed
    assert stages.bar is None
    assert run.stages == []


def test_a_warning_has_a_line_of_its_own_beside_a_bar(monkeypatch, capsys):
    def warn(argv):
        del argv
        with tqdm(total=8, desc="features", file=sys.stderr) as bar:
            bar.update(3)
            warnings.warn("look", UserWarning, stacklevel=1)

    monkeypatch.setitem(COMMANDS, "warn", (warn, ""))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        main(["warn"])
    before = capsys.readouterr().err.partition("morl warn: look\n")[0]
    assert before.endswith("\r")  # the bar's line was cleared
