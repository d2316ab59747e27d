"""``morl plot``: the figures of a saved front."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from morl.cli.arguments import as_yaml, parse
from morl.cli.console import OUT
from morl.cli.report import FIGURES
from morl.errors import InputError
from morl.pareto import Front, read_front
from morl.plots import front_figures

Kind = Literal["front", "parallel", "reward_kl"]
Format = Literal["png", "svg"]


@dataclass(frozen=True)
class PlotConfig:
    """Draws the figures of a front that a run saved, and prints where they are.

    Args:
      front: The front.json of a run.
      out: Folder of the figures; figures beside the front where not given.
      kind: Figures to draw: the front itself, parallel coordinates, reward against KL;
        all that the front has the numbers for where not given.
      format: How they are saved.
      dry_run: Check the front, print the settings and what would be drawn, and do
        nothing.
    """

    front: tyro.conf.Positional[Path]
    out: Path | None = None
    kind: tuple[Kind, ...] = ()
    format: tuple[Format, ...] = ("png", "svg")
    dry_run: bool = False


def plot(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(PlotConfig, argv, prog="morl plot")
    front = read_front(config.front)
    folder = config.out or config.front.parent / FIGURES
    if config.dry_run:
        OUT.print(as_yaml(config))
        OUT.print(f"would draw {len(front.points)} points into {folder}")
        return
    for path in _drawn(config, front, folder):
        OUT.print(f"figure   {path}")


def _drawn(config: PlotConfig, front: Front, folder: Path) -> list[Path]:
    """Draws what is asked for; nothing is left in the folder where that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".figures.", dir=folder) as beside:
        drawn = front_figures(front, beside)
        kinds = {path.stem for path in drawn}
        if missing := [kind for kind in config.kind if kind not in kinds]:
            raise InputError(
                f"has not the numbers for {', '.join(missing)}, only for "
                f"{', '.join(sorted(kinds)) or 'no figure'}",
                where=str(config.front),
            )
        wanted = [
            path
            for path in drawn
            if path.stem in (config.kind or kinds) and path.suffix[1:] in config.format
        ]
        return [path.replace(folder / path.name) for path in wanted]
