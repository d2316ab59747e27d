"""What a run prints when it is done: heads, front, control, and where things are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from morl.assess import render_cross_table, render_head_table
from morl.cli.console import OUT
from morl.fronts.evaluation import Evaluation
from morl.fronts.examples import HOW_CHOSEN
from morl.pareto import (
    Front,
    control_verdict,
    intervals_of,
    monotonicity_violations,
    rewards_of,
    select,
    separated,
    vertex_gains,
    weights_of,
)


def print_heads(evaluation: Evaluation) -> None:
    """Accuracies beside their baselines, and the cross-objective matrix."""
    OUT.print(render_head_table(evaluation.rows))
    OUT.print(render_cross_table(evaluation.cross))
    if evaluation.outside is not None:
        OUT.print("Outside test, by the heads that are saved:")
        OUT.print(render_cross_table(evaluation.outside))


def print_front(front: Front) -> None:
    """Hypervolumes, gains at the vertices, and what the control shows."""
    table = Table(title="Fronts", show_edge=False)
    for header in ("method", "hypervolume", "95% interval", "non-dominated"):
        table.add_column(header, justify="left" if header == "method" else "right")
    closed = front.exact.share_closed if front.exact else {}
    if closed:
        table.add_column("gap closed", justify="right")
    for method, volume in front.hypervolume.items():
        role = "control" if method in front.controls else "sweep"
        points = select(front.points, method, role)
        kept = sum(not point.dominated for point in points)
        shown = (
            ""
            if volume.interval is None
            else "{:.3f} to {:.3f}".format(*volume.interval)
        )
        row = [method, f"{volume.value:.3f}", shown, f"{kept} of {len(points)}"]
        if closed:
            row.append(f"{closed[method]:.2f}" if method in closed else "")
        table.add_row(*row)
    OUT.print(table)
    if front.base is None:
        return
    for method in front.methods:
        for gain in vertex_gains(select(front.points, method, "sweep"), front.base):
            name = front.objectives[gain.objective]
            clear = "clear" if gain.clear else "within its interval"
            OUT.print(f"  {method}, {name} alone: {gain.gain:+.3f} {name} ({clear})")
    for method in front.methods:
        points = select(front.points, method, "sweep")
        shown = intervals_of(points)
        pairs = int(separated(shown).sum()) // 2
        broken = monotonicity_violations(weights_of(points), rewards_of(points), shown)
        OUT.print(
            f"  {method}: (w - w').(R - R') < 0 in {len(broken)} of the {pairs} pairs "
            "whose intervals separate"
        )
    OUT.print(f"  {control_verdict(front).text}")


def print_example(example: Mapping[str, Any], objectives: tuple[str, ...]) -> None:
    """One prompt answered at several weightings, and how it was chosen."""
    OUT.print(Text("\nPrompt  ", style="bold") + Text(example["prompt"].strip()))
    OUT.print(f"  ({HOW_CHOSEN})")
    for answer in example["answers"]:
        rewards = ", ".join(
            f"{name} {value:+.2f}"
            for name, value in zip(objectives, answer["rewards"], strict=True)
        )
        OUT.print(Text(f"  {answer['label']}", style="bold") + Text(f" ({rewards})"))
        OUT.print(f"    {answer['text'].strip()}")


def print_places(out: Path, figures: list[Path]) -> None:
    """Where the results are."""
    OUT.print(f"\nfront    {out / 'front.json'}")
    OUT.print(f"report   {out / 'report.html'}")
    for figure in figures:
        if figure.suffix == ".png":
            OUT.print(f"figure   {figure}")
