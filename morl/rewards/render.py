"""Explanations as tables of text."""

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from morl.rewards.explain import Explanation, Part, Penalty, ResponseExplanation

WIDTH = 100
TITLE_WIDTH = 80
NEGLIGIBLE = 1e-5


def explanation_tables(explanation: Explanation) -> list[Table]:
    """One table a response, for a rich console."""
    return [
        _table(explanation, number, response)
        for number, response in enumerate(explanation.responses, start=1)
    ]


def explanation_text(explanation: Explanation, *, width: int = WIDTH) -> str:
    """The tables and what a contribution is, as plain text."""
    # Within a notebook rich would show the tables itself, beside the text asked for.
    console = Console(
        file=io.StringIO(), width=width, color_system=None, force_jupyter=False
    )
    with console.capture() as captured:
        for table in explanation_tables(explanation):
            console.print(table)
        console.print(Text(f"contribution = {explanation.method}"))
    return captured.get().rstrip()


def _table(
    explanation: Explanation, position: int, response: ResponseExplanation
) -> Table:
    title = Text(f"Response {position}")
    if response.text:
        title.append(f": {' '.join(response.text.split())}")
    title.truncate(TITLE_WIDTH, overflow="ellipsis")
    table = Table(title=title, title_justify="left")
    table.add_column("reward")
    for heading in _numbers(explanation):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for part in response.parts:
        table.add_row(*_part_cells(part, explanation))
    blank = [""] * (len(_numbers(explanation)) - 1)
    for penalty in response.penalties:
        table.add_row(*_penalty_cells(penalty, blank))
    if _matters(response):
        label = "constant" if explanation.exact else "remainder"
        table.add_row(label, *blank, _shown(response.remainder), "")
    table.add_section()
    table.add_row("utility", *blank, _shown(response.utility), _verdict(response))
    return table


def _matters(response: ResponseExplanation) -> bool:
    """Whether the remainder is more than the rounding of a float32 sum."""
    shares = [p.contribution for p in (*response.parts, *response.penalties)]
    size = sum(abs(share) for share in shares if share is not None)
    rest = response.remainder
    return rest is not None and abs(rest) > NEGLIGIBLE * max(1.0, size)


def _verdict(response: ResponseExplanation) -> str:
    if response.admissible:
        return ""
    unknown = all(not penalty.violation for penalty in response.penalties)
    return "a constraint cannot be checked" if unknown else "violates a constraint"


def _numbers(explanation: Explanation) -> list[str]:
    middle = ["calibrated"] if explanation.calibrated else []
    return ["raw", *middle, "value", "weight", "contribution"]


def _part_cells(part: Part, explanation: Explanation) -> list[Text]:
    middle = [part.calibrated] if explanation.calibrated else []
    weight = "" if part.weight is None else _shown(part.weight)
    cells = [
        part.name,
        *map(_shown, (part.raw, *middle, part.value)),
        weight,
        _shown(part.contribution),
        part.reason,
    ]
    # Text, not markup: a critique may hold brackets.
    return [Text(cell) for cell in cells]


def _penalty_cells(penalty: Penalty, blank: list[str]) -> list[Text]:
    short = penalty.violation
    holds = "holds" if short == 0 else f"short by {_shown(short)}"
    reason = "its reward is absent" if short is None else holds
    cells = [penalty.condition, *blank, _shown(penalty.contribution), reason]
    return [Text(cell) for cell in cells]


def _shown(value: float | None) -> str:
    # Adding 0 turns a negative zero into a plain one.
    return "absent" if value is None else f"{value + 0.0:+.4g}"
