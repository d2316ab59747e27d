import signal

import pytest

from morl.storage import read_json
from tests.cli.command_runs import (
    finished,
    gap,
    heads_gap,
    make_folder,
    model_arrays,
    run,
    start,
    steps,
    wait_for_step,
)

pytestmark = pytest.mark.slow
NUM_STEPS = 40


def stopped(folder, *argv, devices, beyond):
    """Stops the command behind a step, before its end; returns where it stopped."""
    process = start(folder, *argv, devices=devices)
    wait_for_step(folder / "out", [process], beyond)
    process.send_signal(signal.SIGTERM)
    finished(folder, [process], codes=[75])
    assert read_json(folder / "out" / "result.json")["ended"] == "stopped"
    found = steps(folder / "out")[-1]
    assert beyond <= found < NUM_STEPS
    return found


@pytest.mark.parametrize("mode", ["frozen", "full"])
def test_a_run_goes_from_eight_devices_to_two_and_back(mode, tmp_path):
    folder = make_folder(
        tmp_path / "run",
        training={"mode": mode, "batch_size": 8},
        loop={"num_steps": NUM_STEPS, "evaluate_every": 0},
    )
    run(folder, "--out", "whole", "--mesh.fsdp", "8", devices=8)
    mesh = lambda fsdp: ("--out", "out", "--mesh.fsdp", str(fsdp))
    first = stopped(folder, *mesh(8), devices=8, beyond=2)
    second = stopped(folder, *mesh(2), devices=2, beyond=first + 2)
    assert second > first
    run(folder, *mesh(4), devices=8)
    whole, out = folder / "whole", folder / "out"
    assert steps(out)[-1] == NUM_STEPS
    assert heads_gap(whole, out) < 1e-5
    if mode == "full":
        assert gap(model_arrays(whole), model_arrays(out)) < 1e-5
        assert gap(model_arrays(whole), model_arrays(folder)) > 1e-3
