"""Trackers of the ``track`` extra; each is imported where it is asked for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PROJECT = "morl"


class TensorBoard:
    """Event files for TensorBoard, by tensorboardX."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Opens the event file."""
        from tensorboardX import SummaryWriter

        del about
        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One scalar a name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes."""
        self._writer.close()


class Wandb:
    """A run of Weights & Biases; WANDB_MODE=offline keeps it on this machine."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Begins the run."""
        import wandb

        self._run = wandb.init(project=PROJECT, dir=str(folder), config=dict(about))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One record."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()


class Trackio:
    """A run of trackio, kept on this machine."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Begins the run."""
        import trackio

        del folder
        self._module = trackio
        trackio.init(project=PROJECT, config=dict(about))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One record."""
        self._module.log(dict(values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._module.finish()


OPEN: Mapping[str, Callable[[Path, Mapping[str, Any]], Any]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "trackio": Trackio,
}
