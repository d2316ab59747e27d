import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training.runs import trained

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("strategy", ["jit", "fsdp", "shard_map", "pmap"])
def test_two_processes_train_the_parameters_of_one(strategy, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    script = ROOT / "tests" / "training" / "two_processes.py"
    both = [
        subprocess.Popen(
            [sys.executable, script, strategy, address, str(number), tmp_path],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [process.communicate(timeout=400) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    digests = {out.splitlines()[-1] for out, _ in said}
    assert len(digests) == 1
    expected = jax.tree.leaves(trained(num_steps=3)[0].params)
    with np.load(tmp_path / "0.npz") as found:
        gaps = [
            np.abs(found[f"arr_{place}"] - leaf).max()
            for place, leaf in enumerate(expected)
        ]
    assert max(gaps) < 1e-5
