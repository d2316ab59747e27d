"""The few pieces of HTML that the report is made of; whatever is data is escaped."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import SupportsFloat

import matplotlib
from matplotlib.figure import Figure

from morl.plots.styles import SETTINGS


def esc(value: object) -> str:
    """Text for use between tags or inside quotes.

    Examples:
      >>> esc("<b> & 'x'")
      '&lt;b&gt; &amp; &#x27;x&#x27;'
    """
    return html.escape(str(value))


def num(value: SupportsFloat | None, digits: int = 2) -> str:
    """A number for a table; a dash where there is none.

    Examples:
      >>> num(-0.001), num(None), num(0.6175, 3)
      ('0.00', '-', '0.618')
    """
    if value is None:
        return "-"
    shown = f"{float(value):.{digits}f}"
    return shown.removeprefix("-") if float(shown) == 0 else shown


def bounded(
    value: SupportsFloat | None,
    bounds: Iterable[SupportsFloat] | None,
    digits: int = 2,
) -> str:
    """A number with its interval.

    Examples:
      >>> bounded(0.5, (0.4, 0.61))
      '0.50 [0.40, 0.61]'
    """
    if bounds is None or value is None:
        return num(value, digits)
    low, high = bounds
    return f"{num(value, digits)} [{num(low, digits)}, {num(high, digits)}]"


def cell(content: str, *, css: str = "", color: str = "") -> str:
    """A cell of a table; ``content`` is HTML."""
    css = f' class="{css}"' if css else ""
    color = f' style="background:{color}"' if color else ""
    return f"<td{css}{color}>{content}</td>"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table whose first column heads its rows.

    Args:
      headers: Text, escaped here.
      rows: The first entry of each is HTML, the others are cells (:func:`cell`).
      caption: Text, escaped here.

    Returns:
      The table, in a box that scrolls sideways on a narrow screen.
    """
    head = "".join(f'<th scope="col">{esc(h)}</th>' for h in headers)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(row[1:])}</tr>' for row in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table><caption>{esc(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def section(title: str, *parts: str) -> str:
    """A titled section, or nothing where no part holds anything."""
    body = "\n".join(part for part in parts if part)
    return f"<section><h2>{esc(title)}</h2>\n{body}</section>\n" if body else ""


def verdict(text: str, *, sound: bool) -> str:
    """A sentence that stands out; ``text`` is escaped here."""
    return f'<p class="verdict{"" if sound else " off"}">{esc(text)}</p>'


def dot(color: str) -> str:
    """A coloured mark beside a name that says the same."""
    return f'<span class="dot" style="background:{color}" aria-hidden="true"></span>'


def picture(figure: Figure, *, alt: str, caption: str) -> str:
    """A figure as an SVG inside the page.

    An image element keeps the names inside the SVG apart from those of other figures.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><div class="wide" tabindex="0"><img alt="{esc(alt)}" '
        f'src="data:image/svg+xml;base64,{data}"></div>'
        f"<figcaption>{esc(caption)}</figcaption></figure>"
    )


def page(title: str, style: str, body: str) -> str:
    """A whole document that asks for nothing from outside."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{esc(title)}</title>\n<style>\n{style}</style></head>\n"
        f"<body>\n<main>\n{body}</main></body></html>\n"
    )
