"""The code on the pages of the documentation runs, and gives what it shows."""

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
# These train, search or resample; the others take seconds.
LONG = ("weightings", "searching", "pareto")
# What needs a model and heads in a folder is run by tests/fronts/test_policy.py.
WITH_A_MODEL = "load_language_model("


def blocks(page):
    return BLOCK.findall(page.read_text())


def marked(page):
    marks = pytest.mark.slow if page.stem in LONG else ()
    return pytest.param(page, id=page.stem, marks=marks)


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if blocks(page)])
def test_every_example_on_a_page_gives_what_it_shows(page):
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 5
    assert failed == 0


def test_no_page_has_python_that_is_not_run():
    found = [(page.name, block) for page in PAGES for block in blocks(page)]
    rest = [(name, block) for name, block in found if not block.startswith(">>> ")]
    assert len(found) > 10
    assert [name for name, block in rest if WITH_A_MODEL not in block] == []
    assert [name for name, _ in rest] == ["composing.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_that_a_page_names_is_there(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
