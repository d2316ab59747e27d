"""A composition as people read it: one line of formula, one table, what must hold."""

from dataclasses import fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jax.core import Tracer

from morl.rewards.expression import Branch, Column, Leaf, Node, One, Sum, slots
from morl.rewards.gates import Condition, Joined, Percentile, comparisons, show_number
from morl.rewards.objective import Reward
from morl.rewards.schedule import Mixed, Number, is_number, is_schedule

if TYPE_CHECKING:
    import morl.rewards.composition

Composition: TypeAlias = "morl.rewards.composition.Composition"

HEADINGS = (
    "component",
    "basis",
    "format",
    "expression",
    "granularity",
    "weight",
    "range",
    "condition",
    "transforms",
)
MOST_SHOWN = 6
ABSENT_MEANS = {
    "renormalize": "the weights of absent objectives go to those present",
    "propagate": "an absent reward makes the utility absent",
}


def table(composition: Composition) -> str:
    """The composition as aligned text; what ``print`` shows."""
    rows = [HEADINGS, *(_row(composition, r) for r in composition.rewards)]
    lines = [f"utility = {formula(composition.root)}", "", *aligned(rows)]
    if composition.constraints:
        lines += ["", "subject to"]
    for each in composition.constraints:
        meaning = meanings(composition, each.condition)
        lines.append(
            f"  {each.condition}{meaning}, multiplier {shown(each.multiplier)}"
        )
    gates = [c.gate.condition for c in composition.columns if c.gate is not None]
    explained = [(g, meanings(composition, g)) for g in gates]
    if any(meaning for _, meaning in explained):
        lines += ["", "conditions", *(f"  {g}{m}" for g, m in explained)]
    lines += ["", f"absent: {ABSENT_MEANS[composition.absent]}"]
    if composition.calibration is not None:
        lines.append(_calibration(composition))
    return "\n".join(lines)


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines with columns of one width; a rule under the first."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    pad = lambda row: "  ".join(
        cell.ljust(width) for cell, width in zip(row, widths, strict=True)
    )
    lines = [pad(row).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def formula(node: Node) -> str:
    """A node in the notation it was written in."""
    if isinstance(node, Leaf):
        return node.name
    if isinstance(node, One):
        return "1"
    if isinstance(node, Sum):
        pairs = zip(node.parts, node.coefficients, strict=True)
        text = " + ".join(_product(part, factor) for part, factor in pairs)
        return text.replace("+ -", "- ")
    if isinstance(node, Branch):
        condition, sides = node.condition, (formula(node.then), formula(node.otherwise))
        return f"where({condition}, {sides[0]}, {sides[1]})"
    pairs = zip(node.parts, node.weights, strict=True)
    inner = ", ".join(f"{formula(part)}: {shown(weight)}" for part, weight in pairs)
    settings = [f", {name}={shown(value)}" for name, value in node.settings.items()]
    points = node.points if node.ideal is None else node.points | {"ideal": node.ideal}
    for name, values in points.items():
        given = [
            f"{formula(part)}: {shown(value)}"
            for part, value in zip(node.parts, values, strict=True)
            if value is not None
        ]
        settings += [f", {name}={{{', '.join(given)}}}"] if given else []
    return f"{node.function.__name__}({{{inner}}}{''.join(settings)})"


def shown(value: Number) -> str:
    """A number or a schedule as people write it."""
    if isinstance(value, Mixed):
        pairs = zip(value.parts, value.factors, strict=True)
        return " + ".join(
            shown(part) if _is_one(factor) else f"{shown(factor)} * {shown(part)}"
            for part, factor in pairs
        )
    if is_schedule(value) or not is_number(value):
        return call(value)
    return show_number(value)


def call(settings: object) -> str:
    """Settings as the call that makes them."""
    name = type(settings).__name__
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    values = []
    for field in fields(settings):  # pyright: ignore[reportArgumentType]
        value = vars(settings)[field.name]
        if isinstance(value, tuple) and len(value) <= MOST_SHOWN:
            value = f"({', '.join(map(show_number, value))})"
        elif isinstance(value, np.ndarray) or np.ndim(value):
            value = f"{np.size(value)} values"
        elif not isinstance(value, Tracer) and value == field.default:
            continue
        values.append(show_number(value) if is_number(value) else str(value))
    return f"{snake}({', '.join(values)})"


def meanings(composition: Composition, condition: Condition | Joined) -> str:
    """What thresholds mean to the reference policy, in brackets; empty if unknown."""
    calibration = composition.calibration
    if calibration is None:
        return ""
    found = []
    for each in comparisons(condition):
        name = each.reward.name
        if name not in calibration.names:
            continue
        if isinstance(each.threshold, Percentile):
            value = calibration.value_at(name, each.threshold.q)
            found.append(f"{name} {each.sense} {show_number(value)}")
        else:
            share = float(calibration.percentile_of(name, each.threshold))
            found.append(
                f"the {ordinal(round(share))} percentile of the reference policy"
            )
    return f" ({'; '.join(found)})" if found else ""


def ordinal(number: int) -> str:
    """A number with its English ending.

    Examples:
      >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 63, 100)]
      ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '63rd', '100th']
    """
    teen = 10 <= number % 100 <= 20
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _row(composition: Composition, reward: Reward) -> tuple[str, ...]:
    weights = [s.coefficient for s in slots(composition.root) if s.name == reward.name]
    column = composition.column(reward.name)
    declares = reward.declares
    return (
        reward.name,
        declares.basis,
        declares.format,
        declares.expression,
        declares.granularity,
        " and ".join(dict.fromkeys(shown(weight) for weight in weights)) or "-",
        _range(reward),
        _gate(column),
        " > ".join(call(each) for each in column.transforms) or "-",
    )


def _range(reward: Reward) -> str:
    bounds = "" if reward.range is None else "[{:g}, {:g}]".format(*reward.range)
    parts = [bounds, reward.unit]
    if reward.direction == "minimize":
        parts.append("(less is better)")
    if reward.scale == "per-prompt":
        parts.append("(per prompt)")
    return " ".join(part for part in parts if part) or "-"


def _gate(column: Column) -> str:
    if column.gate is None:
        return "-"
    return f"{column.gate.condition}, else {shown(column.gate.otherwise)}"


def _calibration(composition: Composition) -> str:
    calibration = composition.calibration
    centre = calibration.centre
    quantile = "" if centre == "mean" else f"{ordinal(round(100 * centre))} percentile"
    middle = quantile or "mean"
    named = [n for n in calibration.names if n not in calibration.kept]
    return (
        f"calibrated: {', '.join(named)} less the {middle} of the reference policy's "
        "responses to the prompt, in standard deviations within prompts"
    )


def _product(part: Node, factor: Number) -> str:
    inner = f"({formula(part)})" if isinstance(part, Sum) else formula(part)
    if isinstance(part, One):
        return shown(factor)
    if _is_one(factor):
        return inner
    if is_number(factor) and show_number(factor) == "-1":
        return f"-{inner}"
    text = shown(factor)
    return f"({text}) * {inner}" if " + " in text else f"{text} * {inner}"


def _is_one(factor: Number) -> bool:
    return is_number(factor) and show_number(factor) == "1"
