import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_hex
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
from morl.plots.divergence import _gain_bounds, _spread, limit_entries
from morl.plots.styles import OBJECTIVES


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
    assert labels == [f"{name}\n[gold reward]" for name in record.objectives]


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


def test_a_single_objective_is_drawn_in_its_own_colour_over_paler_mixtures(make_front):
    ax = Figure().subplots()
    draw_parallel(ax, make_front(3))
    thick = [line for line in ax.lines if line.get_linewidth() == 2.4]
    assert [to_hex(line.get_color()) for line in thick] == [
        to_hex(color) for color in (OBJECTIVES[2], OBJECTIVES[1], OBJECTIVES[0])
    ]
    pale = ax.collections[0]
    assert (np.array(pale.get_colors())[:, :3].min(axis=1) >= 0.5).all()
    assert all(line.get_zorder() > pale.get_zorder() for line in thick)


def test_the_ticks_of_an_axis_are_round_and_within_its_range(make_front):
    record = make_front(3)
    ax = Figure().subplots()
    draw_parallel(ax, record)
    for k in range(3):
        found = [text for text in ax.texts if text.xy[0] == k]
        assert 2 <= len(found) <= 7
        values = np.array([float(text.get_text()) for text in found])
        heights = np.array([text.xy[1] for text in found])
        assert (heights >= 0).all() and (heights <= 1).all()
        # Equal steps in value are equal steps in height.
        slopes = np.diff(heights) / np.diff(values)
        np.testing.assert_allclose(slopes, slopes[0], rtol=1e-6)


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
    assert ax.get_xlabel() == "KL from uniform over the candidates [nats]"
    assert ax.get_ylabel() == "harmless [gold reward]"


def test_points_of_one_kl_are_spread_to_its_left_by_reward(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_reward_kl(ax, record, objective=0)
    (line,) = [found for found in ax.lines if found.get_marker() == "o"]
    x, y = line.get_xdata(), line.get_ydata()
    assert np.max(x) == pytest.approx(np.log(8))
    assert np.ptp(x) == pytest.approx(0.1 * np.log(8))
    assert (np.diff(y[np.argsort(x)]) >= 0).all()


def test_points_of_different_kl_stand_at_theirs_and_none_below_zero():
    weights = [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)]
    points = [
        FrontPoint("t", w, w, kl=kl)
        for w, kl in zip(weights, (0.02, 0.05, 0.11), strict=True)
    ]
    value = np.array([3.0, 1.0, 2.0])
    assert _spread(points, value, 2.08).tolist() == [0.02, 0.05, 0.11]
    equal = [replace(point, kl=0.05) for point in points]
    assert _spread(equal, value, 2.08).min() == 0


def test_nothing_is_drawn_beyond_the_most_kl_that_a_choice_can_have(make_front):
    record = make_front(3)
    for objective in (0, 1, 2, None):
        ax = Figure().subplots()
        draw_reward_kl(ax, record, objective=objective)
        points = [line for line in ax.lines if line.get_marker() in "osx"]
        assert len(points) == 4
        for line in points:
            assert np.max(line.get_xdata()) <= np.log(8) + 1e-9
        for box in ax.patches:
            assert box.get_x() + box.get_width() <= np.log(8) + 1e-9


def test_lines_mark_the_most_kl_of_a_choice_and_that_of_best_of_n(make_front):
    ax = Figure().subplots()
    draw_reward_kl(ax, make_front(2), objective=0)
    marked = [
        line.get_xdata()[0]
        for line in ax.lines
        if list(line.get_ydata()) == [0, 1] and line.get_xdata()[0] > 0
    ]
    assert marked == pytest.approx([math.log(8), math.log(8) - 7 / 8])
    entries = [entry.get_label() for entry in limit_entries(make_front(2))]
    assert entries == [
        "log 8 = 2.08: one choice of 8",
        "best-of-8 from the policy itself: 1.20 at most",
    ]


def test_no_line_is_drawn_where_the_number_of_candidates_is_not_known(make_front):
    record = make_front(2)
    points = tuple(replace(point, n=None) for point in record.points)
    assert limit_entries(replace(record, points=points)) == []


def test_the_control_is_a_box_around_its_band(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_reward_kl(ax, record, objective=1)
    boxes = [(box.get_y(), box.get_y() + box.get_height()) for box in ax.patches]
    for method in record.controls:
        points = select(record.points, method, "control")
        low = min(point.interval[1][0] for point in points)
        high = max(point.interval[1][1] for point in points)
        assert any(found == pytest.approx((low, high)) for found in boxes)


def test_the_utility_has_the_unit_that_its_objectives_share(make_front):
    record, ax = make_front(2), Figure().subplots()
    draw_reward_kl(ax, record)
    assert ax.get_ylabel() == "gain in utility,\nown weighting [gold reward]"
    draw_reward_kl(ax, replace(record, units=("points", "nats")))
    assert ax.get_ylabel() == "gain in utility,\nown weighting [weighted units]"


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


@pytest.mark.parametrize("num_objectives", [2, 3])
def test_the_lowest_panel_of_each_column_has_numbers_under_it(
    make_front, num_objectives
):
    axes = reward_kl_figure(make_front(num_objectives)).axes
    told = [bool(ax.xaxis.get_tick_params()["labelbottom"]) for ax in axes]
    assert told == [False] * (len(axes) - 2) + [True, True]
    assert [bool(ax.get_xlabel()) for ax in axes] == told
