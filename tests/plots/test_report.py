import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from morl.assess import Accuracy, CrossMatrix
from morl.errors import InputError
from morl.pareto import Front, FrontPoint
from morl.plots import HeadTables, write_report

HOSTILE = "<script>alert('x')</script> & \"quoted\" </style>"
VOID = {"meta", "img", "br"}
ROWS = [
    {
        "objective": "helpful",
        "data": "held out",
        "pairs": 400,
        "measure": "accuracy",
        "accuracy": 0.66,
        "interval": [0.62, 0.70],
        "length_baseline": 0.60,
        "length_rule": 0.61,
        "response_only": 0.64,
        "beats_baselines": False,
        "verdict": "beats its length rule; does not clearly beat its words",
    },
    {
        "objective": "honest",
        "measure": "AUC",
        "accuracy": 0.8,
        "beats_baselines": True,
        "verdict": "beats both baselines",
    },
    {"objective": HOSTILE, "accuracy": 0.9, "extra_note": "seen"},
]


def matrix(columns, *rows):
    """A matrix whose rows are (head, value, low, high) in one column."""
    heads, *numbers = zip(*rows, strict=True)
    value, low, high = (np.array(part)[:, None] for part in numbers)
    return CrossMatrix(
        heads, columns, value, low, high, np.array([230]), np.array([200])
    )


CROSS = matrix(
    ("harmless",), ("helpful", 0.41, 0.38, 0.45), ("harmless", 0.6, 0.4, 0.7)
)
OUTSIDE = matrix((HOSTILE,), ("helpful", 0.71, np.nan, np.nan))
AGREEMENT = {"selector and judge": {"helpful": Accuracy(0.87, 0.8, 0.9, 50, 10)}}


class Page(HTMLParser):
    """What a page holds: tags, attributes, text, and whether its tags match."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def written(tmp_path, front, **parts):
    path = tmp_path / "report.html"
    write_report(path, front, **parts)
    return path.read_text()


@pytest.fixture(scope="module")
def full(make_front, tmp_path_factory):
    return written(
        tmp_path_factory.mktemp("report"),
        make_front(3),
        title=f"A run {HOSTILE}",
        composition_table=f"component weight\n{HOSTILE} 0.5",
        heads=HeadTables(ROWS, CROSS, OUTSIDE, AGREEMENT),
        examples=[
            {
                "prompt": [{"role": "user", "content": HOSTILE}],
                "answers": [
                    {
                        "text": HOSTILE,
                        "weights": [1, 0, 0],
                        "method": "best-of-n",
                        "rewards": [0.5, None, -0.25],
                    }
                ],
            }
        ],
        stages=[{"stage": "fit", "seconds": 4.25}],
    )


def test_the_page_is_well_formed_and_asks_for_nothing_from_outside(full):
    page = Page(full)
    assert "script" not in page.tags
    assert "link" not in page.tags
    for _, name, value in page.attributes:
        if name in ("src", "href", "srcset", "data", "action"):
            assert value.startswith("data:image/svg+xml;base64,")
        assert not name.startswith("on")
    assert "@import" not in full
    assert "url(" not in full


def test_figures_are_whole_svgs_that_ask_for_nothing_either(full):
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', full)
    assert len(found) == 3
    for data in found:
        svg = base64.b64decode(data).decode()
        assert svg.rstrip().endswith("</svg>")
        assert "<script" not in svg
        assert not re.search(r'href="(?!#)', svg)


def test_what_came_from_data_is_escaped(full):
    assert "<script" not in full
    assert full.count("&lt;script&gt;") >= 5
    assert HOSTILE.split(" &")[0] in Page(full).words


def test_pictures_have_alternatives_and_tables_have_headers(full):
    page = Page(full)
    images = page.tags.count("img")
    texts = [
        value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")
    ]
    assert len(texts) == images == 3
    assert all("helpful" in text for text in texts)
    tables = page.tags.count("table")
    assert tables == page.tags.count("caption") == page.tags.count("thead")
    scopes = [v for tag, name, v in page.attributes if (tag, name) == ("th", "scope")]
    assert len(scopes) == page.tags.count("th")
    assert ("html", "lang", "en") in page.attributes
    assert page.tags.count("h1") == 1


def test_every_point_is_in_the_table_with_its_numbers(full, make_front):
    front = make_front(3)
    assert f"All {len(front.points)} points" in Page(full).words
    rows = full[full.index(f"All {len(front.points)} points") :].split("<tr>")[2:]
    assert len(rows) == len(front.points)
    assert "reference" in rows[0]
    assert f"{front.base.rewards[1]:.2f} [{front.base.interval[1][0]:.2f}" in rows[0]


def test_the_verdict_of_a_row_is_what_the_page_says_of_its_head(full):
    page, words = full, Page(full).words
    assert "0.660 [0.620, 0.700]" in words
    said = (
        "The helpful head on held out beats its length rule; does not clearly beat its "
        "words."
    )
    assert f'<p class="verdict off">{said}</p>' in page
    assert '<p class="verdict">The honest head beats both baselines.</p>' in page
    assert page.count('<p class="verdict') == 3  # these two, and the control's
    assert "extra note" in words


def test_areas_are_called_areas_and_accuracies_accuracies(full, make_front, tmp_path):
    words = Page(full).words
    assert "accuracy or AUC [95% interval]" in words
    assert "area under the ROC curve of single labelled responses" in words
    rows = HeadTables(ROWS[:1])
    alone = Page(written(tmp_path, make_front(2), heads=rows)).words
    assert "accuracy [95% interval]" in alone and "AUC" not in alone


def test_matrices_and_agreement_come_with_their_intervals(full):
    words = Page(full).words
    assert "0.41 [0.38, 0.45]" in words
    assert "harmless: 230 pairs" in words
    assert "Outside test, on data that no head was fitted to" in words
    assert "selector and judge 0.87 [0.80, 0.90]" in words
    # A share whose interval holds one half is paler than one further off by as much.
    tint = dict(re.findall(r'background:#(\w{6})">(0\.\d\d) \[', full))
    depth = {share: 765 - sum(bytes.fromhex(color)) for color, share in tint.items()}
    assert 0 < depth["0.60"] < depth["0.41"]


def test_the_header_counts_the_weightings_that_were_swept(make_front, tmp_path):
    words = Page(written(tmp_path, make_front(3))).words
    assert "66 weightings of helpful, harmless, honest, traced by best-of-n" in words


def test_the_origin_and_the_share_closed_are_there(full, make_front):
    front, words = make_front(3), Page(full).words
    share = front.exact.share_closed["best-of-n"]
    assert f"{100 * share:.0f}% of the gap to the exact front" in words
    assert front.provenance.config_hash in words
    assert front.provenance.command in words
    assert "4.250" in words


def test_sections_appear_only_where_their_data_are_given(tmp_path):
    point = FrontPoint("soup", (1.0, 0.0), (1.0, 1.0))
    words = Page(written(tmp_path, Front(("a", "b"), (0.0, 0.0), (point,)))).words
    assert "The front" in words
    for absent in ("What was asked", "How good", "Answers along", "gap closed"):
        assert absent not in words


def test_the_control_has_its_verdict(make_front, tmp_path):
    front = make_front(2)
    words = Page(written(tmp_path, front)).words
    assert "The control is sound: selection by noise heads (22 points)" in words
    lifted = tuple(
        replace(
            p,
            interval=tuple((low + 9, high + 9) for low, high in p.interval),
            rewards=tuple(r + 9 for r in p.rewards),
        )
        if p.role == "control"
        else p
        for p in front.points
    )
    words = Page(written(tmp_path, replace(front, points=lifted))).words
    assert "The control gains over the base policy in 44 of 44 comparisons" in words
    bare = replace(
        front,
        points=tuple(
            replace(p, ties=()) for p in front.points if p.role in ("base", "sweep")
        ),
    )
    assert "No control was drawn" in Page(written(tmp_path, bare)).words


def test_the_same_run_gives_the_same_page(make_front, tmp_path):
    front = make_front(2)
    assert written(tmp_path, front) == written(tmp_path, front)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"heads": HeadTables([{"accuracy": 0.5}])},
            r"heads\.rows\[0\]\.objective: missing",
        ),
        ({"examples": [{"prompt": "x"}]}, r"examples\[0\]\.answers: missing key"),
        (
            {"examples": [{"prompt": "x", "answers": [{}]}]},
            r"examples\[0\]\.answers\[0\]\.text: missing key",
        ),
        (
            {"examples": [{"prompt": "x", "answers": [{"text": "", "weights": [1]}]}]},
            r"answers\[0\]\.weights: has 1 entries, objectives are",
        ),
    ],
)
def test_a_row_that_lacks_what_it_needs_is_refused(parts, message, tmp_path):
    with pytest.raises(InputError, match=message):
        written(tmp_path, Front(("a", "b"), (0.0, 0.0), ()), **parts)


def test_an_empty_front_still_makes_a_page(tmp_path):
    words = Page(written(tmp_path, Front(("a", "b"), (0.0, 0.0), ()))).words
    assert "0 weightings of a, b" in words
