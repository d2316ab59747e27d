from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from morl.errors import InputError
from morl.pareto import Front, FrontPoint, host
from morl.plots import draw_front, draw_panels, draw_projection, front, staircase
from morl.plots.legends import legend_handles
from morl.plots.styles import FAMILIES, OBJECTIVES, method_styles, weight_colors


def plain(*rewards, method="best-of-n", role="sweep", ties=(), dominated=False):
    return FrontPoint(
        method, (0.5, 0.5), rewards, role=role, ties=ties, dominated=dominated
    )


def lines_of(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 8), st.just(2)),
        elements=st.integers(-2, 6).map(float),
    )
)
def test_the_area_under_a_staircase_is_the_hypervolume(points):
    line = staircase(points, np.zeros(2))
    area = np.trapezoid(line[:, 1], line[:, 0]) if len(line) else 0.0
    assert area == host.hypervolume(points, np.zeros(2))


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 8), st.just(2)),
        elements=st.floats(0.125, 5),
    )
)
def test_a_staircase_falls_to_the_right_in_straight_steps(points):
    steps = np.diff(staircase(points, np.zeros(2)), axis=0)
    assert (steps[:, 0] >= 0).all()
    assert (steps[:, 1] <= 0).all()
    assert ((steps == 0).sum(axis=1) >= 1).all()


def test_two_objectives_are_drawn_with_all_that_surrounds_them(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_front(ax, record)
    assert ax.get_xlabel() == "helpful [gold reward]"
    assert ax.get_ylabel() == "harmless [gold reward]"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    for part in (
        "best-of-n (KL",
        "tilt beta=0.5 (KL",
        "control: sel",
        "base policy",
    ):
        assert any(label.startswith(part) for label in labels), part
    assert "exact front (true rewards)" in labels
    (base,) = lines_of(ax, "D")
    assert (base.get_xdata()[0], base.get_ydata()[0]) == record.base.rewards
    assert len(lines_of(ax, "*")) == 2
    assert {text.get_text() for text in ax.texts} == {"helpful", "harmless"}


def test_every_swept_point_is_on_the_axes(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_projection(ax, record, 0, 1)
    for marker, family in {"o": "best", "s": "tilt", "x": "noise"}.items():
        drawn = sum(len(line.get_xdata()) for line in lines_of(ax, marker))
        assert drawn == sum(
            p.method.startswith(family) and p.role != "expert" for p in record.points
        )


def test_hollow_means_tied_within_the_method_and_small_means_dominated():
    points = (
        plain(0.0, 3.0, ties=(1,)),
        plain(1.0, 2.0, ties=(0,)),
        plain(3.0, 1.0, ties=(4,)),
        plain(0.5, 0.5, dominated=True),
        plain(3.0, 1.0, method="tilt beta=1", ties=(2,)),
    )
    record = Front(("a", "b"), (-1.0, -1.0), points)
    ax = Figure().subplots()
    draw_projection(ax, record, 0, 1)
    looks = {
        tuple(line.get_xdata()): (line.get_markerfacecolor(), line.get_markersize())
        for line in lines_of(ax, "o")
    }
    color = method_styles(record)["best-of-n"].color
    assert looks[(0.0, 1.0)] == ("white", 5.0)
    # A tie with another method's point leaves the marker full.
    assert looks[(3.0,)] == (color, 5.0)
    assert looks[(0.5,)] == (color, 3.0)


def test_intervals_are_drawn_at_their_bounds():
    point = FrontPoint("best-of-n", (1.0, 0.0), (1.0, 2.0), ((0.5, 1.5), (1.0, 4.0)))
    ax = Figure().subplots()
    draw_projection(ax, Front(("a", "b"), (0.0, 0.0), (point,)), 0, 1)
    segments = np.concatenate(
        [
            np.array(c.get_segments())
            for c in ax.collections
            if hasattr(c, "get_segments")
        ]
    )
    assert [[0.5, 2.0], [1.5, 2.0]] in segments.tolist()
    assert [[1.0, 1.0], [1.0, 4.0]] in segments.tolist()


def test_points_without_intervals_draw_no_bars():
    ax = Figure().subplots()
    draw_projection(ax, Front(("a", "b"), (0.0, 0.0), (plain(1.0, 1.0),)), 0, 1)
    assert not [c for c in ax.collections if hasattr(c, "get_segments")]


def test_the_control_has_no_staircase(make_front):
    record = make_front(2)
    only = replace(
        record,
        points=tuple(replace(p, ties=()) for p in record.points if p.role == "control"),
        exact=None,
    )
    ax = Figure().subplots()
    draw_projection(ax, only, 0, 1)
    assert all(line.get_linestyle() == "None" for line in ax.lines)


def test_the_control_is_a_box_and_is_seen_inside_the_base_policy(make_front):
    record = make_front(2)
    ax = Figure().subplots()
    draw_projection(ax, record, 0, 1)
    (box,) = ax.patches
    bands = np.array([p.interval for p in record.points if p.role == "control"])
    low, high = bands[..., 0].min(axis=0), bands[..., 1].max(axis=0)
    np.testing.assert_allclose(box.get_xy(), low)
    np.testing.assert_allclose((box.get_width(), box.get_height()), high - low)
    (base,) = lines_of(ax, "D")
    assert base.get_markerfacecolor() == "none"


def test_three_objectives_are_three_panels_that_say_they_are_projections(make_front):
    figure = Figure(layout="constrained")
    draw_panels(figure, make_front(3))
    axes = [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]
    assert len(axes) == 3
    assert axes[1] == ("helpful [gold reward]", "honest [gold reward]")
    assert "projection onto two of 3 objectives" in figure.get_supxlabel()
    assert len(figure.legends) == 1


def test_panels_of_two_objectives_are_one_panel(make_front):
    figure = Figure(layout="constrained")
    draw_panels(figure, make_front(2))
    assert len(figure.axes) == 1


def test_the_whole_figure_fits_the_number_of_objectives(make_front):
    assert len(front(make_front(2)).axes) == 1
    assert len(front(make_front(3)).axes) == 3


def test_drawing_leaves_the_settings_of_matplotlib_alone(make_front):
    before = dict(matplotlib.rcParams)
    front(make_front(2))
    assert dict(matplotlib.rcParams) == before


def test_a_front_of_another_size_is_refused(make_front):
    with pytest.raises(InputError, match="found 3 objectives, expected 2"):
        draw_front(Figure().subplots(), make_front(3))
    with pytest.raises(InputError, match="found 1 objective"):
        draw_panels(Figure(), Front(("a",), (0.0,), ()))


def test_an_empty_front_draws_its_axes():
    ax = Figure().subplots()
    draw_front(ax, Front(("a", "b"), (0.0, 0.0), (), units=("points", "")))
    assert ax.get_xlabel() == "a [points]"
    assert ax.get_ylabel() == "b [mean reward]"


def test_methods_of_one_family_look_different():
    methods = ["best-of-n", "tilt beta=1", "tilt beta=2", "soup", "mod", "noise tilt"]
    roles = {"noise tilt": "control"}
    points = tuple(
        plain(0.0, 0.0, method=m, role=roles.get(m, "sweep")) for m in methods
    )
    styles = method_styles(Front(("a", "b"), (0.0, 0.0), points))
    assert set(styles) == set(methods)
    assert len({(s.color, s.marker) for s in styles.values()}) == len(methods)


def test_every_colour_is_of_okabe_and_ito_or_grey():
    okabe_ito = "#000000 #E69F00 #56B4E9 #009E73 #F0E442 #0072B2 #D55E00 #CC79A7"
    known = {to_hex(c) for c in okabe_ito.split()}
    used = {c for looks in FAMILIES.values() for c, _ in looks} | set(OBJECTIVES)
    for color in used:
        red, green, blue = to_rgb(color)
        assert to_hex(color) in known or red == green == blue


def test_a_vertex_has_its_own_colour_and_nothing_is_grey():
    found = weight_colors(np.array([(1.0, 0, 0), (0, 2.0, 0), (0, 0, 0)]))
    assert to_hex(found[0]) == to_hex(OBJECTIVES[0])
    assert to_hex(found[1]) == to_hex(OBJECTIVES[1])
    assert len(set(found[2])) == 1


def test_the_legend_names_only_what_is_there():
    record = Front(("a", "b"), (0.0, 0.0), (plain(1.0, 1.0),))
    labels = [handle.get_label() for handle in legend_handles(record)]
    assert labels == ["best-of-n", "reference point of the hypervolume"]
