"""The last stage of a run: figures and the page."""

from pathlib import Path

from morl.assess import report_rows
from morl.fronts.pipeline import Run, Traced
from morl.plots import front_figures, write_report

FIGURES = "figures"
REPORT = "report.html"


def report_stage(run: Run, traced: Traced, *, title: str) -> list[Path]:
    """Draws the figures and writes ``report.html``; returns the figures' paths."""
    with run.stage("report") as stage:
        figures = front_figures(traced.front, run.out / FIGURES)
        write_report(
            run.out / REPORT,
            traced.front,
            title=title,
            composition_table=str(traced.composition),
            head_table=report_rows(traced.evaluation.rows),
            cross_matrix=traced.evaluation.cross_matrix(),
            examples=traced.examples,
            stages=run.stages,
        )
        stage.remark = f"{len(figures)} figures and {REPORT}"
    return figures
