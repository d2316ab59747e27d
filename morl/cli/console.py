"""What a command line prints: stages as they pass, bars with the time left, tables."""

import sys

from rich.console import Console
from rich.text import Text
from tqdm import tqdm

from morl.training.features import Progress

PIPE_WIDTH = 120  # of tables where there is no terminal to ask
OUT = Console(
    highlight=False,
    markup=False,  # names, paths and texts may hold brackets
    soft_wrap=True,
    width=None if sys.stdout.isatty() else PIPE_WIDTH,
)


class Stages:
    """Prints each stage as it begins and ends; a bar with the time left in between.

    A stage that counts to another total has gone on to another part of its work, which
    gets a bar of its own.

    Args:
      total: Number of stages, for the count in front of each.
    """

    def __init__(self, total: int) -> None:
        """Nothing has begun."""
        self.total = total
        self.count = 0
        self.bar: tqdm | None = None

    def begin(self, stage: str, unit: str) -> Progress:
        """A stage begins; returns what its progress is reported to."""
        self.count += 1
        OUT.print(f"[{self.count}/{self.total}] {stage}", style="bold")

        def progress(done: int, total: int) -> None:
            if self.bar is not None and self.bar.total != total:
                self._close()
            if self.bar is None and done < total:
                self.bar = tqdm(
                    total=total,
                    initial=done,
                    unit=f" {unit}",
                    desc=f"      {stage}",
                    file=sys.stderr,
                    dynamic_ncols=True,
                    mininterval=1.0,
                    leave=False,
                )
            if self.bar is not None:
                self.bar.update(done - self.bar.n)

        return progress

    def end(self, stage: str, seconds: float, remark: str) -> None:
        """The stage is done."""
        del stage
        self._close()
        OUT.print(f"      {remark} ", Text(f"{seconds:.1f} s", style="dim"))

    def abandon(self) -> None:
        """The stage failed: what is said of it must not stand in its bar."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
