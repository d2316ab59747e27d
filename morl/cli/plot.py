"""``morl plot``: the figures of a saved front."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from morl.cli.arguments import parse
from morl.cli.console import OUT
from morl.pareto import read_front
from morl.plots import front_figures


@dataclass(frozen=True)
class PlotConfig:
    """Draws the figures of a front that a run saved, as PNG and SVG.

    Args:
      front: The ``front.json`` of a run.
      out: Folder of the figures; ``figures`` beside the front where not given.
      dry_run: Check the front and print what would be drawn, and do nothing.
    """

    front: Annotated[Path, tyro.conf.Positional]
    out: Path | None = None
    dry_run: bool = False


def plot(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(PlotConfig, argv, prog="morl plot")
    front = read_front(config.front)
    folder = config.out or config.front.parent / "figures"
    if config.dry_run:
        OUT.print(f"would draw {len(front.points)} points into {folder}")
        return
    for path in front_figures(front, folder):
        OUT.print(f"figure   {path}")
