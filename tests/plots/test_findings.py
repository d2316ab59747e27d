"""Pictures and the page of findings."""

from html.parser import HTMLParser

import numpy as np
import pytest

from morl.assess.estimates import NONE, Estimate
from morl.assess.findings import Bars, Curve, Curves, Finding, Sheet
from morl.plots import finding_figure, finding_figures, write_evaluation

HALF = Estimate(0.5, 0.4, 0.6, 9, 9)
ALONE = Estimate(0.7, np.nan, np.nan, 1, 1)


@pytest.fixture
def finding():
    bars = Bars("Shares", "share", ("a", "b"), {"head": (HALF, ALONE)}, 0.5)
    x = np.linspace(0, 1, 5)
    unknown = np.full(5, np.nan)
    curves = Curves(
        "Lines",
        "kept",
        "accuracy",
        (Curve("head", x, x, x - 0.1, x + 0.1),),
        (Curve("chance", x, x, unknown, unknown),),
    )
    sheet = Sheet("Pairs", ({"data": "<b>&", "share": HALF}, {"data": "x"}), "Read so.")
    return Finding("made", "Is it so?", (sheet,), (bars, curves), ("Left out: 3.",))


def test_bars_stand_at_their_values_from_the_top_down(finding):
    ax = finding_figure(finding.charts[0]).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    low, high = ax.get_ylim()
    assert low > high
    (container,) = ax.containers
    assert container.lines[0].get_xdata().tolist() == [0.5, 0.7]
    first, second = (path[:, 0] for path in container.lines[2][0].get_segments())
    assert first == pytest.approx([0.4, 0.6])
    assert second == pytest.approx([0.7, 0.7])


def test_a_row_without_a_number_draws_nothing_there():
    bars = Bars("Shares", "share", ("a", "b"), {"head": (HALF, NONE)}, None)
    (container,) = finding_figure(bars).axes[0].containers
    assert np.isnan(container.lines[0].get_xdata()[1])


def test_curves_have_their_band_and_references_none(finding):
    ax = finding_figure(finding.charts[1]).axes[0]
    assert len(ax.collections) == 1
    assert [line.get_label() for line in ax.lines] == ["chance", "head"]


def test_figures_are_numbered_and_the_same_each_time(finding, tmp_path):
    first = finding_figures(finding, tmp_path / "a")
    second = finding_figures(finding, tmp_path / "b")
    assert [path.name for path in first] == [
        "made_1.png",
        "made_1.svg",
        "made_2.png",
        "made_2.svg",
    ]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_page_escapes_data_and_asks_for_nothing(finding, tmp_path):
    path = tmp_path / "evaluation.html"
    write_evaluation(path, [finding], title="<heads>", facts={"seed": "0"})
    page = path.read_text()
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(
        (tag, dict(attributes))
    )
    parser.feed(page)
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "0.500 [0.400, 0.600]" in page
    assert "Left out: 3." in page
    sources = [attributes["src"] for tag, attributes in tags if "src" in attributes]
    assert len(sources) == 2
    assert all(source.startswith("data:") for source in sources)
    assert not [tag for tag, _ in tags if tag in ("script", "link")]
