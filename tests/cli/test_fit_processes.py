import re
import signal

import pytest

from morl.storage import read_json
from tests.cli.command_runs import (
    LIMITED,
    finished,
    gap,
    heads_gap,
    lines,
    make_folder,
    model_arrays,
    run,
    start_two,
    steps,
    wait_for_step,
)

pytestmark = pytest.mark.slow
FULL = ("--training.mode", "full", "--mesh.fsdp", "2")


def printed(folder, number):
    """What a process printed, without what its collectives library says of itself."""
    text = (folder / f"said{number}").read_text()
    return re.sub(r"\[Gloo\].*\n", "", text)


def test_a_model_split_over_two_processes_is_killed_goes_on_and_is_that_of_one(
    tmp_path,
):
    folder = make_folder(tmp_path / "run")
    run(folder, *FULL, "--out", "one", devices=2)
    both = start_two(folder, *FULL, "--out", "two", devices=1)
    wait_for_step(folder / "two", both, 2)
    for process in both:
        process.kill()
        process.wait()
    assert not (folder / "two" / "heads").exists()
    finished(folder, start_two(folder, *FULL, "--out", "two", devices=1))
    one, two = folder / "one", folder / "two"
    assert gap(model_arrays(one), model_arrays(two)) < 1e-5
    assert heads_gap(one, two) < 1e-5
    assert steps(two) == steps(one)
    assert [line["step"] for line in lines(two)] == [
        line["step"] for line in lines(one)
    ]
    assert {path.name for path in two.iterdir()} == {
        path.name for path in one.iterdir()
    }
    assert "On held-out prompts" in printed(folder, 0)
    assert printed(folder, 1) == ""


@pytest.mark.parametrize(
    ("mode", "strategy"), [("frozen", "pmap"), ("heads", "shard_map")]
)
def test_copies_in_two_processes_train_the_heads_of_one(mode, strategy, tmp_path):
    folder = make_folder(tmp_path / "run")
    flags = ("--training.mode", mode, "--strategy", strategy)
    best = ("--checkpoint.best-by", "evaluation/accuracy/helpful")
    run(folder, *flags, *best, "--out", "one", devices=4)
    both = start_two(folder, *flags, *best, "--out", "two", devices=2)
    finished(folder, both)
    one, two = folder / "one", folder / "two"
    assert heads_gap(one, two) < 1e-5
    assert steps(two) == steps(one)
    evaluation = [read_json(out / "result.json")["evaluation"] for out in (one, two)]
    assert evaluation[0] == pytest.approx(evaluation[1], abs=1e-5)


@pytest.mark.parametrize("dies", [True, False])
def test_a_process_that_is_lost_leaves_no_other_waiting(dies, tmp_path):
    folder = make_folder(tmp_path / "run")
    long = ("--loop.num-steps", "1000000", "--checkpoint.every", "50")
    long = (*long, "--training.mode", "heads")  # which keeps no features in files
    before = ("", "") if dies else (LIMITED, "")
    both = start_two(folder, *long, "--out", "out", devices=1, before=before)
    if dies:
        wait_for_step(folder / "out", both, 50)
        both[1].kill()
    codes = [process.wait(timeout=150) for process in both]
    assert all(codes)
    if not dies:
        said = "morl fit: out/metrics.jsonl: File too large"
        assert said in (folder / "shown0").read_text()


def test_sigterm_at_one_process_saves_and_ends_all(tmp_path):
    folder = make_folder(tmp_path / "run")
    flags = ("--loop.num-steps", "1000000", "--loop.log-every", "1000000")
    rare = ("--loop.evaluate-every", "0", "--checkpoint.every", "50")
    both = start_two(folder, *flags, *rare, "--out", "out", devices=1)
    wait_for_step(folder / "out", both, 50)
    both[1].send_signal(signal.SIGTERM)
    finished(folder, both, codes=[75, 75])
    assert read_json(folder / "out" / "result.json")["ended"] == "stopped"
    assert "stopped, 1000000 steps asked" in printed(folder, 0)
    assert steps(folder / "out")[-1] < 1000000


def test_processes_that_were_told_something_else_are_refused(tmp_path):
    folder = make_folder(tmp_path / "run")
    own = ((), ("--optimizer.learning-rate", "0.02"))
    both = start_two(folder, "--out", "out", devices=1, own=own)
    shown = finished(folder, both, codes=[2, 2])
    for text in shown:
        assert "process 1 has another optimizer than process 0" in text
    assert not (folder / "out").exists()
