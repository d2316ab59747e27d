"""The last stage of a run: figures and the page."""

from pathlib import Path

from morl.assess import Accuracy, order_agreement, report_rows
from morl.fronts.examples import HOW_CHOSEN
from morl.fronts.pipeline import Run, Traced
from morl.plots import HeadTables, front_figures, write_report

FIGURES = "figures"
REPORT = "report.html"


def report_stage(run: Run, traced: Traced, *, title: str) -> list[Path]:
    """Draws the figures and writes ``report.html``; returns the figures' paths."""
    with run.stage("report", "steps") as stage:
        stage.progress(0, 2)
        figures = front_figures(traced.front, run.out / FIGURES)
        stage.progress(1, 2)
        write_report(
            run.out / REPORT,
            traced.front,
            title=title,
            composition_table=str(traced.composition),
            heads=HeadTables(
                report_rows(traced.evaluation.rows),
                traced.evaluation.cross,
                traced.evaluation.outside,
                agreement(traced),
            ),
            examples=traced.examples,
            chosen=HOW_CHOSEN,
            stages=run.stages,
        )
        stage.remark = f"{len(figures)} figures and {REPORT}"
    return figures


def agreement(traced: Traced) -> dict[str, dict[str, Accuracy]]:
    """How far those who select and those who judge order responses alike.

    Heads that judge are also set beside the selector on feedback: each on the pairs of
    the prompts that the other learned from.
    """
    candidates = traced.candidates
    found = {}
    if traced.evaluation.across:
        found["selector on the judge's feedback, and the reverse"] = dict(
            traced.evaluation.across
        )
    judge = "the judge" if traced.front.exact is None else "the true rewards"
    found[f"selector and {judge}, on the candidates"] = {
        name: order_agreement(
            candidates.rewards[..., candidates.names.index(name)],
            candidates.judged[..., place],
            candidates.present[..., candidates.names.index(name)],
        )
        for place, name in enumerate(candidates.objectives)
        if name in candidates.names
    }
    return found
