"""kill -9 in the middle of each stage of a command, then the same command again."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from morl.models.head_files import load_heads
from morl.models.language_model import load_language_model
from morl.storage import read_arrays
from morl.training.cross_validation import L2_GRID

pytestmark = pytest.mark.slow

ALL_FITS = 3 * 8 * len(L2_GRID)  # cross-validations x folds x penalties
COMMAND = [sys.executable, "-c", "from morl.cli.main import main; main()"]
ARGV = ["front", "config.yaml", "--out", "out", "--cache", "cache"]
RESULTS = (
    *("front.json", "metrics.json", "candidates.jsonl", "composition.yaml"),
    "heads/heads.json",
)


class Place(NamedTuple):
    """Where a run is to be killed: the stage that it prints, and a sign on disk."""

    stage: str
    reached: Callable[[Path], bool]


def start(folder):
    """The command as a user starts it, in a folder of its own."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    with (folder / "said").open("w") as said, (folder / "shown").open("w") as shown:
        return subprocess.Popen(
            [*COMMAND, *ARGV], cwd=folder, stdout=said, stderr=shown, env=environment
        )


def finish(folder):
    process = start(folder)
    code = process.wait(timeout=600)
    assert code == 0, (folder / "shown").read_text()


def kill_in(folder, place):
    """Kills the command as soon as it has reached a place; it must not get further."""
    process = start(folder)
    try:
        while not place.reached(folder):
            assert process.poll() is None, (folder / "shown").read_text()
            time.sleep(0.001)
    finally:
        process.send_signal(signal.SIGKILL)
        code = process.wait()
    assert code == -signal.SIGKILL
    last = (folder / "said").read_text().splitlines()[-1]
    assert re.fullmatch(rf"\[\d/8\] {place.stage}", last)


def shards(folder, kind):
    return sorted((folder / "cache" / kind).rglob("*.safetensors"))


def fits_done(folder):
    """Fits that the bar counts."""
    shown = (folder / "shown").read_text()
    counts = re.findall(rf" heads: .*?(\d+)/{ALL_FITS} ", shown)
    return int(counts[-1]) if counts else 0


FEATURES = Place("features", lambda folder: len(shards(folder, "features")) >= 3)
FITTING = Place("heads", lambda folder: fits_done(folder) > 0)
WRITING = Place("heads", lambda folder: (folder / "out" / ".heads.new").exists())
SAMPLING = Place("candidates", lambda folder: len(shards(folder, "candidates")) >= 3)


@pytest.fixture(scope="module")
def uninterrupted(make_run_folder, tmp_path_factory):
    folder = make_run_folder(tmp_path_factory.mktemp("killed") / "uninterrupted")
    finish(folder)
    return folder


def test_a_command_killed_in_every_stage_ends_with_what_it_would_have_given(
    make_run_folder, uninterrupted, tmp_path
):
    folder = make_run_folder(tmp_path / "killed")
    heads = folder / "out" / "heads"

    kill_in(folder, FEATURES)
    assert 3 <= len(shards(folder, "features")) < len(shards(uninterrupted, "features"))
    assert_whole(folder)

    kill_in(folder, FITTING)
    assert 0 < fits_done(folder) < ALL_FITS
    assert not heads.exists()

    kill_in(folder, WRITING)
    assert not heads.exists()
    assert_whole(folder)

    kill_in(folder, SAMPLING)
    assert 3 <= len(shards(folder, "candidates")) < 12
    assert not (folder / "out" / "front.json").exists()
    assert_whole(folder)

    finish(folder)
    assert_whole(folder)
    for name in RESULTS:
        found, expected = (
            (place / "out" / name).read_bytes() for place in (folder, uninterrupted)
        )
        assert found == expected, name
    for kind in ("features", "candidates"):
        found, expected = (
            {path.relative_to(place): path.read_bytes() for path in shards(place, kind)}
            for place in (folder, uninterrupted)
        )
        assert found == expected, kind
    # The manifest, equal above, holds the digest that loading checks parameters by.
    load_heads(heads, load_language_model(folder / "model"))
    assert {path.name for path in (folder / "out").iterdir()} == {
        path.name for path in (uninterrupted / "out").iterdir()
    }


def assert_whole(folder):
    """Every file that a later run would take for good is good."""
    for path in (folder / "cache").rglob("*.safetensors"):
        read_arrays(path)
