import re
import shutil
import subprocess
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_twenty_lines_run_and_leave_a_front(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(compile(code, str(README), "exec"), names)
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert "harmless >= 0.2, multiplier 1" in capsys.readouterr().out
    front = names["front"]
    swept = [point for point in front.points if point.role == "sweep"]
    assert len(swept) == 66 * len(front.methods)
    assert front.exact.share_closed["best-of-n"] > 0.3


def test_every_page_that_the_readme_names_is_there():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize(("goal", "tests"), [("quickstart", False), ("test", True)])
def test_the_quickstart_installs_nothing_that_only_tests_need(tmp_path, goal, tests):
    # Printed, not run: -n.
    make = ["make", "-n", goal, f"VENV={tmp_path / 'venv'}", "PYTHON=python"]
    said = subprocess.run(make, cwd=README.parent, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "pip install -q -e .\n" in said.stdout
    assert ("[test]" in said.stdout) == tests
