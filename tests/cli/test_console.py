"""Stages as a terminal shows them."""

from morl.cli.console import Stages


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
