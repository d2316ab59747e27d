import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure

from morl.errors import InputError
from morl.pareto import Front, FrontPoint, select
from morl.plots import (
    draw_parallel,
    draw_reward_kl,
    front,
    front_figures,
    parallel_figure,
    reward_kl_figure,
)
from morl.plots.divergence import _gain_bounds


def test_every_figure_is_saved_as_png_and_svg(make_front, tmp_path):
    paths = front_figures(make_front(2), tmp_path / "figures")
    assert [p.name for p in paths] == [
        "front.png",
        "front.svg",
        "parallel.png",
        "parallel.svg",
        "reward_kl.png",
        "reward_kl.svg",
    ]
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".png":
            assert content.startswith(b"\x89PNG")
        else:
            assert ET.fromstring(content).tag.endswith("svg")
            # Letters are outlines: the page looks the same without the font.
            assert b"<text" not in content


def test_the_same_front_gives_the_same_svg(make_front, tmp_path):
    first = front_figures(make_front(2), tmp_path / "a")
    again = front_figures(make_front(2), tmp_path / "b")
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    assert not re.search(rb"<dc:date>", first[1].read_bytes())


def test_figures_that_have_nothing_to_show_are_left_out(tmp_path):
    point = FrontPoint("a", (1.0, 0.0), (1.0, 1.0))
    pair = Front(("x", "y"), (0.0, 0.0), (point,))
    names = {p.stem for p in front_figures(pair, tmp_path)}
    assert names == {"front", "parallel"}
    base = FrontPoint("reference", (0.0, 0.0), (0.0, 0.0), kl=0.0, role="base")
    alone = replace(pair, points=(base,))
    assert {p.stem for p in front_figures(alone, tmp_path)} == {"front", "reward_kl"}


def test_parallel_coordinates_draw_one_line_a_point(make_front):
    record = make_front(3)
    ax = Figure().subplots()
    draw_parallel(ax, record, method="tilt beta=0.5")
    segments = ax.collections[0].get_segments()
    assert len(segments) == 66
    assert all(segment.shape == (3, 2) for segment in segments)
    heights = np.concatenate(segments)[:, 1]
    assert 0 <= heights.min() < heights.max() <= 1
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == [f"{name} [gold reward]" for name in record.objectives]


def test_parallel_coordinates_keep_the_order_within_an_objective(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_parallel(ax, record)
    heights = np.array([s[:, 1] for s in ax.collections[0].get_segments()])
    rewards = np.array([p.rewards for p in select(record.points, "best-of-n", "sweep")])
    for k in range(2):
        # Points that chose the same responses differ by an ulp, so compare values.
        order = np.argsort(rewards[:, k], kind="stable")
        assert (np.diff(heights[order, k]) >= -1e-12).all()


def test_an_unknown_method_is_refused_with_those_there_are(make_front):
    with pytest.raises(InputError, match=r"no point of 'soup', methods are \('best-of"):
        draw_parallel(Figure().subplots(), make_front(2), method="soup")


def test_an_objective_that_never_varies_is_drawn():
    points = (
        FrontPoint("m", (1.0, 0.0), (1.0, 5.0)),
        FrontPoint("m", (0.0, 1.0), (2.0, 5.0)),
    )
    ax = Figure().subplots()
    draw_parallel(ax, Front(("a", "b"), (0.0, 0.0), points))
    assert np.isfinite(np.concatenate(ax.collections[0].get_segments())).all()


def test_reward_against_kl_draws_each_point_at_its_kl(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_reward_kl(ax, record, objective=1)
    (line,) = [found for found in ax.lines if found.get_marker() == "s"]
    expected = [
        (p.kl, p.rewards[1]) for p in record.points if p.method.startswith("tilt")
    ]
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == expected
    assert ax.get_xlabel() == "KL from the base policy [nats]"
    assert ax.get_ylabel() == "harmless [gold reward]"


def test_points_of_one_kl_are_spread_around_it_by_reward(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_reward_kl(ax, record, objective=0)
    (line,) = [found for found in ax.lines if found.get_marker() == "o"]
    x, y = line.get_xdata(), line.get_ydata()
    assert np.mean(x) == pytest.approx(np.log(8))
    assert np.ptp(x) == pytest.approx(0.1 * np.log(8))
    assert (np.diff(y[np.argsort(x)]) >= 0).all()


def test_the_gain_in_utility_is_bounded_by_the_box_of_the_intervals():
    base = FrontPoint("reference", (0.0, 0.0), (1.0, 1.0), role="base")
    point = FrontPoint("m", (0.75, -0.25), (3.0, 2.0), ((2.0, 4.0), (0.0, 3.0)))
    unknown = FrontPoint("m", (1.0, 0.0), (3.0, 2.0))
    found = _gain_bounds([point, unknown], base, None)
    assert found[0].tolist() == [1.25, 0.25, 2.5]
    assert found[1].tolist() == [2.0, -np.inf, np.inf]


def test_reward_against_kl_needs_a_base_policy():
    with pytest.raises(InputError, match="no point with role base"):
        draw_reward_kl(Figure().subplots(), Front(("a", "b"), (0.0, 0.0), ()))


def test_a_notebook_shows_a_figure_as_a_picture(make_front):
    for make in (front, parallel_figure, reward_kl_figure):
        content = DisplayFormatter().format(make(make_front(2)))[0]
        assert content["image/png"].startswith(b"\x89PNG")
