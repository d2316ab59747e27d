"""The gallery's script runs, and finds what the page of the documentation claims."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "gallery.md").read_text()
FIGURES = re.findall(r"\(images/gallery/(\w+)\.png\)", PAGE)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    out = tmp_path_factory.mktemp("gallery")
    argv = [sys.executable, ROOT / "examples" / "gallery", "--out", out]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        argv, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert ran.returncode == 0, ran.stderr
    return out, json.loads((out / "gallery.json").read_text()), ran.stdout


def by_method(gallery, figure, problem):
    rows = gallery[1][figure]["rows"]
    return {row["method"]: row for row in rows if row["problem"] == problem}


def test_the_page_shows_a_figure_of_a_small_file_in_each_part():
    assert len(FIGURES) == PAGE.count("\n## ") == 6
    for name in FIGURES:
        size = (ROOT / "docs" / "images" / "gallery" / f"{name}.png").stat().st_size
        assert 10_000 < size < 150_000, name


@pytest.mark.slow
def test_every_figure_of_the_page_is_drawn_and_every_number_printed(gallery):
    out, numbers, said = gallery
    assert sorted(numbers) == sorted(FIGURES)
    for name in FIGURES:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    rows = [row for figure in numbers.values() for row in figure["rows"]]
    for row in rows:
        assert f"{row['hypervolume']:.5f}" in said, row


@pytest.mark.slow
def test_linear_utilities_leave_the_middle_of_a_concave_front_empty(gallery):
    linear = by_method(gallery, "concave", "VLMOP2")["linear"]
    assert linear["middle"] == 0
    assert linear["widest_gap"] > 0.99
    assert linear["share"] < 0.2


@pytest.mark.slow
def test_all_the_other_methods_cover_it(gallery):
    rows = by_method(gallery, "concave", "VLMOP2")
    del rows["linear"]
    assert len(rows) == 5
    for name, row in rows.items():
        assert row["share"] > 0.98, name
        assert row["widest_gap"] < 0.15, name
        assert row["middle"] >= 0.6, name


@pytest.mark.slow
def test_ten_designs_climb_to_the_best_hypervolume(gallery):
    (linear,) = by_method(gallery, "ascent", "linear front").values()
    (concave,) = by_method(gallery, "ascent", "VLMOP2").values()
    # 0.72 n / (n + 1) on the linear front; the best ten of VLMOP2 have 0.2997842.
    assert linear["best"] == pytest.approx(0.72 * 10 / 11, abs=1e-8)
    assert concave["best"] == pytest.approx(0.2997842, abs=1e-7)
    assert linear["hypervolume"] > 0.999 * 0.72 * 10 / 11
    assert concave["hypervolume"] > 0.2997
    for row in (linear, concave):
        assert row["designs"] == 10 and row["share"] < 1 + 1e-8
    steps = gallery[1]["ascent"]["steps until 0.999 of the best"]
    assert max(steps.values()) < 150


@pytest.mark.slow
def test_evolution_comes_within_a_hundredth_of_the_best_in_two_objectives(gallery):
    for problem in ("ZDT1", "ZDT2"):
        (row,) = by_method(gallery, "evolution", problem).values()
        assert 0.99 < row["share"] < 1, problem
    sphere = by_method(gallery, "evolution", "DTLZ2")
    # The whole front, retyped from the table of analytic values.
    assert sphere["NSGA-II"]["best"] == pytest.approx(0.8074012244)
    assert 0.84 < sphere["NSGA-II"]["share"] < sphere["even lattice"]["share"]


@pytest.mark.slow
def test_linear_support_finds_nine_and_two_treasures_and_chebyshev_ten(gallery):
    assert gallery[1]["treasure"]["treasures"] == {
        "convex": {"linear support": 9, "Chebyshev": 10},
        "concave": {"linear support": 2, "Chebyshev": 10},
    }


@pytest.mark.slow
def test_the_mean_alone_fails_from_published_starts_of_the_toy(gallery):
    reached = dict(gallery[1]["conflict"]["starts that reach the Pareto set"])
    assert reached.pop("mean") == 3
    assert set(reached.values()) == {5} and len(reached) == 5
    lowest = gallery[1]["conflict"]["starts that reach the least mean loss"]
    assert lowest["mean"] == 3
    assert [name for name, count in lowest.items() if count == 5] == [
        "CAGrad (c = 0.5)"
    ]


@pytest.mark.slow
def test_a_network_covers_the_concave_front_unless_its_utility_is_linear(gallery):
    rows = by_method(gallery, "learned", "VLMOP2 of 6")
    assert rows["network, linear"]["middle"] < 0.2
    assert rows["network, linear"]["share"] < 0.95
    for name in ("network, smooth Chebyshev", "network, COSMOS"):
        assert rows[name]["share"] > 0.985, name
        assert rows[name]["widest_gap"] < 0.05, name
