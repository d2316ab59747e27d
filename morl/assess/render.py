"""Findings as tables in a console."""

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from morl.assess.findings import Finding, Sheet, columns, shown


def render_finding(finding: Finding) -> Group:
    """A suite's question, its tables, and its notes, for ``rich.print``."""
    parts = [Text(f"{finding.suite}: {finding.question}", style="bold")]
    notes = [Text(note, style="italic") for note in finding.notes]
    return Group(*parts, *map(render_sheet, finding.sheets), *notes, Text())


def render_sheet(sheet: Sheet) -> Table:
    """One table; an interval stands below its number."""
    table = Table(
        title=Text(sheet.title),
        caption=Text(sheet.caption),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    keys = columns(sheet)
    for place, key in enumerate(keys):
        table.add_column(Text(key), justify="left" if place == 0 else "right")
    for line in sheet.lines:
        cells = (shown(line.get(key)) for key in keys)
        table.add_row(*(Text(cell.replace(" [", "\n[", 1)) for cell in cells))
    return table
