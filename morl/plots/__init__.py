"""Draw fronts on given Axes; whole figures; the HTML report."""

from morl.plots.divergence import draw_reward_kl
from morl.plots.figures import front, front_figures, parallel_figure, reward_kl_figure
from morl.plots.findings import (
    draw_bars,
    draw_curves,
    finding_figure,
    finding_figures,
)
from morl.plots.fronts import draw_front, draw_panels, draw_projection, staircase
from morl.plots.parallel import draw_parallel
from morl.plots.report import write_report
from morl.plots.report_findings import write_evaluation
from morl.plots.report_heads import HeadTables

__all__ = [
    "HeadTables",
    "draw_bars",
    "draw_curves",
    "draw_front",
    "draw_panels",
    "draw_parallel",
    "draw_projection",
    "draw_reward_kl",
    "finding_figure",
    "finding_figures",
    "front",
    "front_figures",
    "parallel_figure",
    "reward_kl_figure",
    "staircase",
    "write_evaluation",
    "write_report",
]
