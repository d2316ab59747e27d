"""Draw fronts on given Axes; whole figures; the HTML report."""

from morl.plots.figures import front, front_figures
from morl.plots.fronts import draw_front, draw_panels, draw_projection, staircase

__all__ = [
    "draw_front",
    "draw_panels",
    "draw_projection",
    "front",
    "front_figures",
    "staircase",
]
