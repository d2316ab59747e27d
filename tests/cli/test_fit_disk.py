import re
import subprocess

import pytest

from tests.cli.command_runs import (
    LIMITED,
    heads_gap,
    make_folder,
    run,
    steps,
)

pytestmark = pytest.mark.slow
NUM_STEPS = 40
LOOP = {"num_steps": NUM_STEPS, "log_every": 1, "evaluate_every": 0}


@pytest.fixture
def small_disk():
    """Mounts a disk of so many bytes; returns how it is made larger."""
    mounted = []

    def mount(folder, size):
        folder.mkdir()
        option = f"size={size}"
        asked = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(folder)]
        done = subprocess.run(asked, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

        def enlarge(size):
            option = f"remount,size={size}"
            subprocess.run(["mount", "-o", option, str(folder)], check=True)

        return enlarge

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_run_whose_disk_is_full_says_so_and_goes_on_once_there_is_room(
    tmp_path, small_disk
):
    keep = {"every": 2, "keep": NUM_STEPS}
    folder = make_folder(tmp_path / "run", loop=LOOP, checkpoint=keep)
    run(folder, "--out", "whole", devices=1)
    enlarge = small_disk(folder / "out", "400k")
    shown = run(folder, "--out", "out", devices=1, code=2)
    last = shown.splitlines()[-1]
    assert re.fullmatch(r"morl fit: (.*/)?out/.+: No space left on device", last)
    good = steps(folder / "out")
    assert 0 < len(good) < NUM_STEPS // 2
    enlarge("16m")
    run(folder, "--out", "out", devices=1)
    assert set(good) < set(steps(folder / "out"))
    assert heads_gap(folder / "whole", folder / "out") == 0


def test_a_run_whose_files_may_not_grow_says_so_and_goes_on_once_they_may(tmp_path):
    folder = make_folder(tmp_path / "run", loop=LOOP)
    run(folder, "--out", "whole", devices=1)
    shown = run(folder, "--out", "out", devices=1, code=2, before=LIMITED)
    assert shown.splitlines()[-1] == "morl fit: out/metrics.jsonl: File too large"
    good = steps(folder / "out")
    assert 0 < good[-1] < NUM_STEPS
    run(folder, "--out", "out", devices=1)
    assert heads_gap(folder / "whole", folder / "out") == 0
