"""``evaluation.html``: what the suites found, on a page that asks for nothing else."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from morl.assess.findings import Chart, Finding, Sheet, columns, shown
from morl.plots.findings import finding_figure
from morl.plots.html import cell, esc, page, picture, section, table
from morl.storage import write_text


def write_evaluation(
    path: str | Path,
    findings: Sequence[Finding],
    *,
    title: str,
    facts: Mapping[str, str],
) -> None:
    """Writes one self-contained HTML page about an assessment.

    Styles and figures are inside the page; there are no scripts. Whatever came from
    data or a model is escaped.

    Args:
      path: Where to; parents are made.
      findings: What each suite found.
      title: Heading of the page.
      facts: What was assessed, and how, for the table at the end.
    """
    told = [[esc(name), cell(esc(fact), css="prose")] for name, fact in facts.items()]
    body = "".join(
        [
            f"<header><h1>{esc(title)}</h1></header>\n",
            *map(_section, findings),
            section("What was assessed", table(["", ""], told, "")),
        ]
    )
    style = resources.files("morl.plots").joinpath("page.css").read_text()
    write_text(path, page(title, style, body))


def _section(finding: Finding) -> str:
    parts = [f"<p>{esc(finding.question)}</p>"]
    parts += [_table(sheet) for sheet in finding.sheets]
    parts += [_picture(chart) for chart in finding.charts]
    parts += [f'<p class="soft">{esc(note)}</p>' for note in finding.notes]
    return section(finding.suite.replace("_", " ").capitalize(), *parts)


def _table(sheet: Sheet) -> str:
    keys = columns(sheet)
    rows = [
        [
            esc(shown(line.get(keys[0]))),
            *(cell(esc(shown(line.get(key)))) for key in keys[1:]),
        ]
        for line in sheet.lines
    ]
    return table(keys, rows, f"{sheet.title}. {sheet.caption}".strip())


def _picture(chart: Chart) -> str:
    return picture(finding_figure(chart), alt=chart.title, caption=f"{chart.title}.")
