import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDS_DATA = "tests/feedback/test_readers_real.py"


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "said"), [("1", "error"), ("", "skipped")])
def test_without_data_ci_fails_and_others_skip(ci, said, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", NEEDS_DATA],
        cwd=ROOT,
        env={**os.environ, "MORL_CI": ci, "MORL_DATA": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in ran.stdout.splitlines()[-1], ran.stdout
    assert ran.returncode == (1 if ci else 0)
