import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_twenty_lines_run_and_leave_a_front(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(code, str(README), "exec"), {})
    assert (tmp_path / "front.json").exists()
    assert list((tmp_path / "figures").glob("*.png"))
    assert "harmless" in capsys.readouterr().out


def test_every_page_that_the_readme_names_is_there():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link
