"""How each method looks, and the settings that every figure shares.

Colours are those of Okabe and Ito, Color Universal Design (2008), which people with
the common colour-vision deficiencies tell apart; markers repeat what colours say.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import patheffects
from matplotlib.colors import to_rgb

from morl.pareto import Front, FrontPoint

BLACK, GREY, LIGHT = "#000000", "#6b6b6b", "#c9c9c9"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

SETTINGS: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.dpi": 110.0,
    "savefig.dpi": 160.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "morl",
    "pdf.fonttype": 42,
}


class Style(NamedTuple):
    """Colour, marker and legend entry of a method."""

    color: str
    marker: str
    label: str


# Family (first word of a method) -> what its first, second, ... member wears.
FAMILIES: Mapping[str, Sequence[tuple[str, str]]] = {
    "best-of-n": ((BLUE, "o"), (SKY, "h")),
    "tilt": ((VERMILLION, "s"), (ORANGE, "^"), (PURPLE, "D"), (YELLOW, "v")),
    "noise": ((GREY, "x"),),
    "": ((GREEN, "P"), (PURPLE, "p"), (ORANGE, "<"), (SKY, ">"), (YELLOW, "H")),
}
# Hollow: the control gathers around the base policy, and is seen inside it.
BASE = Style(BLACK, "D", "base policy")
BASE_LOOK: dict[str, Any] = {
    "marker": BASE.marker,
    "color": BASE.color,
    "mfc": "none",
    "mew": 1.5,
    "ms": 9.0,
    "ls": "none",
}
BOX: dict[str, Any] = {"facecolor": "#6b6b6b33", "edgecolor": GREY, "lw": 0.8}
EXPERT = Style(BLACK, "*", "single-objective expert")
EXACT = Style(BLACK, ".", "exact front (true rewards)")
HALO = [patheffects.withStroke(linewidth=2.5, foreground="white")]
OBJECTIVES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW, GREY)


def method_styles(front: Front) -> dict[str, Style]:
    """What each method of a front wears, in order of appearance.

    Args:
      front: Its sweeps and controls are dressed; a family with more members than
        looks starts again.

    Returns:
      Method to style.
    """
    worn: dict[str, int] = {}
    styles = {}
    for method in (*front.methods, *front.controls):
        family = method.split()[0] if method.split() else ""
        looks = FAMILIES.get(family, FAMILIES[""])
        family = family if family in FAMILIES else ""
        color, marker = looks[worn.get(family, 0) % len(looks)]
        worn[family] = worn.get(family, 0) + 1
        styles[method] = Style(color, marker, method)
    return styles


def weight_colors(weights: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n 3"]:
    """A colour a weighting: the mixture of the objectives' colours.

    Args:
      weights: Weightings; only their proportions count. All zeros are grey.

    Returns:
      RGB in [0, 1], one a row. A vertex has its objective's own colour.
    """
    own = [OBJECTIVES[i % len(OBJECTIVES)] for i in range(weights.shape[1])]
    palette = np.array([to_rgb(color) for color in own])
    total = np.abs(weights).sum(axis=1, keepdims=True)
    share = np.divide(
        np.abs(weights), total, out=np.zeros_like(weights), where=total > 0
    )
    return np.where(total > 0, share @ palette, np.array([to_rgb(GREY)]))


def axis_label(front: Front, objective: int) -> str:
    """Name of an objective with its unit."""
    unit = front.units[objective] if front.units else ""
    return front.objectives[objective] + (f" [{unit}]" if unit else " [mean reward]")


def shared_unit(front: Front) -> str:
    """The unit of a weighted sum of the objectives; empty where they have several."""
    return front.units[0] if len(set(front.units)) == 1 else ""


def band_of(points: Sequence[FrontPoint], objective: int) -> tuple[float, float] | None:
    """The span of a control's band in one objective; None where none was measured."""
    known = [point.interval[objective] for point in points if point.interval]
    if not known:
        return None
    return min(low for low, _ in known), max(high for _, high in known)
