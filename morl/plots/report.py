"""``report.html``: one page that holds a run, and asks for nothing from outside."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from morl.pareto import Front, select
from morl.plots.html import esc, page, section
from morl.plots.report_examples import examples_section
from morl.plots.report_front import (
    cards,
    figures_section,
    points_section,
    provenance_section,
    verdicts_section,
)
from morl.plots.report_heads import HeadTables, heads_section, stages_table
from morl.storage import write_text


def write_report(
    path: str | Path,
    front: Front,
    *,
    title: str = "Pareto front",
    composition_table: str = "",
    heads: HeadTables | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
    chosen: str = "",
    stages: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes one self-contained HTML page about a front.

    Styles and figures are inside the page; there are no scripts. Whatever came from
    data or a model is escaped. A section appears only where its data are given.

    Args:
      path: Where to; parents are made.
      front: The front.
      title: Heading of the page.
      composition_table: What ``print(composition)`` shows.
      heads: How good the heads are.
      examples: Prompts answered along the front, each ``{"prompt": text or messages,
        "answers": [{"text", "weights", "method", "rewards", "label"}]}``; only the text
        of an answer is required.
      chosen: How the prompts of the examples were chosen, continuing "Each prompt was".
      stages: What was done, in order, such as ``{"stage": "sample", "seconds": 41.0}``.

    Raises:
      InputError: A row that lacks what its table needs.
    """
    body = "".join(
        [
            _header(front, title),
            cards(front),
            section(
                "What was asked",
                f'<pre tabindex="0">{esc(composition_table)}</pre>'
                if composition_table
                else "",
            ),
            heads_section(heads or HeadTables()),
            figures_section(front),
            verdicts_section(front),
            examples_section(examples, front.objectives, chosen),
            provenance_section(front, stages_table(stages)),
            points_section(front),
        ]
    )
    style = resources.files("morl.plots").joinpath("page.css").read_text()
    write_text(path, page(title, style, body))


def _header(front: Front, title: str) -> str:
    """The title, and in a sentence what the page is about."""
    swept = (select(front.points, method, "sweep") for method in front.methods)
    count = max(map(len, swept), default=0)
    names = ", ".join(front.objectives)
    methods = " and ".join(front.methods) or "no method"
    judge = front.provenance.judge
    scored = f" Every point is scored by {judge}." if judge else ""
    text = f"{count} weightings of {names}, traced by {methods}.{scored}"
    return f"<header><h1>{esc(title)}</h1><p>{esc(text)}</p></header>\n"
