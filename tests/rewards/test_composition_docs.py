"""The page on composing rewards runs."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "composing.md"


def test_every_example_on_the_page_gives_what_it_shows():
    failed, tried = doctest.testfile(
        str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 30
    assert failed == 0
