"""What docs/choosing.md claims of its tables, measured again at a small size."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "choosing.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
SAFE = ("min_norm", "upgrad", "dual_projection", "nash", "fair", "config")
REACHES = ("min_norm", "nash", "gradnorm")
COVERS = ("chebyshev", "augmented_chebyshev", "smooth_chebyshev", "exponential")
COVERS += ("penalty_boundary", "nash_product", "hypervolume_scalarization")


@pytest.fixture(scope="module")
def choosing():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("choosing")
    sys.path.pop(0)
    for name in ("choosing", "harness"):
        sys.modules.pop(name, None)


def lines(count):
    """The rows of a table on the page that has so many cells after the name."""
    found = [(name, cells.split("|")) for name, cells in ROW.findall(PAGE)]
    return {
        name: [cell.strip() for cell in cells]
        for name, cells in found
        if len(cells) == count
    }


def test_the_page_has_every_method_that_the_script_measures(choosing):
    assert set(lines(9)) == set(choosing.WEIGHTINGS)
    assert set(lines(2)) == set(choosing.SCALARIZERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHES)
def test_these_reach_the_pareto_set_from_every_start(choosing, name):
    assert choosing.toy(choosing.WEIGHTINGS[name], 20_000).reached == 5
    assert lines(9)[name][0] == "5"


@pytest.mark.slow
def test_constant_weights_stay_in_the_valleys_from_two_starts(choosing):
    assert choosing.toy(choosing.WEIGHTINGS["constant"], 20_000).reached == 3
    assert lines(9)["constant"][0] == "3"


@pytest.mark.slow
@pytest.mark.parametrize("name", SAFE)
def test_these_hurt_nothing_by_the_gradients_of_the_batch(choosing, name):
    assert choosing.fit(choosing.WEIGHTINGS[name], 100, 2).hurt_batch == 0
    assert lines(9)[name][6] == "0%"
    assert (lines(9)[name][7] == "0%") == (name in ("nash", "config"))


@pytest.mark.slow
def test_a_large_loss_is_fitted_alone_unless_units_do_not_matter(choosing):
    fitted = lambda name: choosing.fit(choosing.WEIGHTINGS[name], 400, 2)
    followed = fitted("constant")
    assert followed.shares[2] < 0.05 and followed.worst > 1.5
    for name in ("nash", "config", "imtl", "gradnorm"):
        assert fitted(name).worst < 1.1
        assert float(lines(9)[name][5]) < 1.1


@pytest.mark.slow
def test_which_scalarizers_cover_the_concave_front(choosing):
    weights = choosing.ten_weightings()
    volume = lambda name: choosing.chosen(choosing.SCALARIZERS[name], weights)
    assert volume("linear") < 0.2 * choosing.BEST_OF_TEN
    assert all(volume(name) > 0.95 * choosing.BEST_OF_TEN for name in COVERS)


@pytest.mark.parametrize("name", COVERS)
def test_the_page_says_the_same_of_them(name):
    assert all(float(cell.removesuffix("%")) > 95 for cell in lines(2)[name])
