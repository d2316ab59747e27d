"""Draws the gallery: known problems, and what each search finds of their fronts.

    python examples/gallery --out runs/gallery

It leaves a PNG a figure and ``gallery.json`` with every number shown, and prints the
same numbers as a table. A minute or two on two cores.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import ascent
import concave
import conflict
import evolution
import learned
import matplotlib
import treasure
import tyro
from drawing import Shown
from measures import Row

from morl.plots.styles import SETTINGS
from morl.storage import atomic_file, write_json

FIGURES: Mapping[str, Callable[[int], Shown]] = {
    "concave": concave.make,
    "ascent": ascent.make,
    "evolution": evolution.make,
    "treasure": treasure.make,
    "conflict": conflict.make,
    "learned": learned.make,
}
PNG = {"format": "png", "dpi": 130, "metadata": {"Software": None}}


@dataclass(frozen=True)
class Gallery:
    """Draws known problems, and what each search finds of their fronts.

    Attributes:
      out: Folder for the figures and their numbers; made where it is missing.
      seed: Of what is random: starts, evolution, networks, PCGrad's orders.
    """

    out: Path = Path("runs/gallery")
    seed: int = 0


def record(shown: Shown) -> dict[str, object]:
    """The numbers of a figure, for its part of the JSON file."""
    rows = [{**row._asdict(), "share": row.share} for row in shown.rows]
    return {"rows": rows, **shown.claims}


def line(row: Row) -> str:
    """A row of the printed table."""
    spread = [row.widest_gap, row.middle]
    shown = "".join(f"{'' if x is None else format(x, '.3f'):>8}" for x in spread)
    numbers = f"{row.hypervolume:12.5f}{row.best:12.5f}{row.share:9.4f}"
    return f"{row.problem:<14}{row.method:<28}{row.designs:>8}{numbers}{shown}"


def main(settings: Gallery) -> None:
    """Draws, saves and prints, one figure after the other."""
    settings.out.mkdir(parents=True, exist_ok=True)
    columns = f"{'hypervolume':>12}{'best':>12}{'share':>9}{'gap':>8}{'middle':>8}"
    print(f"{'problem':<14}{'method':<28}{'designs':>8}{columns}")
    numbers = {}
    for name, make in FIGURES.items():
        with matplotlib.rc_context(SETTINGS):
            shown = make(settings.seed)
            with atomic_file(settings.out / f"{name}.png") as handle:
                shown.figure.savefig(
                    handle, format="png", dpi=130, metadata={"Software": None}
                )
        for row in shown.rows:
            print(line(row))
        for claim, found in shown.claims.items():
            print(f"{name}, {claim}: {json.dumps(found)}")
        numbers[name] = record(shown)
    write_json(settings.out / "gallery.json", numbers)


if __name__ == "__main__":
    main(tyro.cli(Gallery, prog="gallery"))
