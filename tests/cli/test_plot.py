import pytest

from morl.pareto import Front, FrontPoint, write_front

PNG, SVG = b"\x89PNG\r\n", b"<?xml"


@pytest.fixture
def front(tmp_path):
    """A run's front with a base policy and KL, so that every figure can be drawn."""
    bounds = ((0.0, 1.0), (0.0, 1.0))
    points = tuple(
        FrontPoint("best-of-n", (w, 1 - w), (w, 1 - w), bounds, kl=w)
        for w in (0.0, 0.5, 1.0)
    )
    base = FrontPoint("reference", (0.0, 0.0), (0.1, 0.1), bounds, kl=0.0, role="base")
    folder = tmp_path / "run"
    write_front(
        folder / "front.json",
        Front(("helpful", "harmless"), (-0.1, -0.1), (base, *points)),
    )
    return folder / "front.json"


def figures(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_figures_are_drawn_beside_the_front_and_named(command, front):
    ran = command("plot", front)
    assert ran.code == 0
    folder = front.parent / "figures"
    assert figures(folder) == [
        f"{kind}.{form}"
        for kind in ("front", "parallel", "reward_kl")
        for form in ("png", "svg")
    ]
    assert sorted(ran.out.split()[1::2]) == [str(folder / f) for f in figures(folder)]
    for path in folder.iterdir():
        assert path.read_bytes().startswith(PNG if path.suffix == ".png" else SVG)


def test_kind_and_format_choose(command, front, tmp_path):
    argv = ["--out", tmp_path / "o", "--kind", "reward_kl", "front", "--format", "svg"]
    assert command("plot", front, *argv).code == 0
    assert figures(tmp_path / "o") == ["front.svg", "reward_kl.svg"]


def test_a_figure_that_the_front_has_no_numbers_for_is_refused(refused, tmp_path):
    path = tmp_path / "front.json"
    points = (FrontPoint("best-of-n", (1.0, 0.0), (1.0, 0.0)),)
    write_front(path, Front(("helpful", "harmless"), (0.0, 0.0), points))
    argv = ["--kind", "reward_kl", "--out", tmp_path / "o"]
    said = refused("plot", path, *argv)
    assert "reward_kl" in said
    assert figures(tmp_path / "o") == []


@pytest.mark.parametrize("flags", [["--kind", "pie"], ["--format", "jpeg"]])
def test_an_unknown_kind_or_format_lists_those_there_are(command, front, flags):
    ran = command("plot", front, *flags)
    assert ran.code == 2
    assert {"--kind": "parallel", "--format": "svg"}[flags[0]] in ran.err


def test_a_dry_run_draws_nothing(command, front):
    ran = command("plot", front, "--dry-run")
    assert ran.code == 0
    assert "would draw 4 points" in ran.out
    assert figures(front.parent) == ["front.json"]


@pytest.mark.parametrize("kept", [slice(0, -40), slice(0, 0), slice(5, None)])
def test_a_damaged_front_is_one_line(refused, front, kept):
    front.write_text(front.read_text()[kept])
    assert "front.json" in refused("plot", front)


def test_a_missing_front_is_named(refused, tmp_path):
    assert "no such file" in refused("plot", tmp_path / "front.json")
