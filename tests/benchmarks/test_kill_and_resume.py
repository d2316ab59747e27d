import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_bits_of_one_in_peace():
    script = ROOT / "benchmarks" / "kill_and_resume.py"
    ran = subprocess.run(
        [sys.executable, script, "--kills", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    found = json.loads(ran.stdout.splitlines()[-1])
    assert (found["kills"], found["differ"]) == (2, [])
