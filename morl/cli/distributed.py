"""What ``morl fit`` does as several processes and would not as one."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import jax
import yaml

from morl.cli.arguments import as_yaml
from morl.cli.console import Stages
from morl.cli.reward_model import RewardConfig
from morl.fronts.pipeline import Console
from morl.storage import file_sha256, write_text
from morl.training.features import Progress
from morl.training.processes import (
    DistributedSettings,
    check_same,
    check_shared,
    first_does,
    is_first,
    join_processes,
)

SETTINGS = "config.yaml"


class Quiet:
    """Says nothing: the console of every process but the first."""

    def begin(self, stage: str, unit: str) -> Progress:
        """A stage begins."""
        del stage, unit
        return lambda *_: None

    def end(self, stage: str, seconds: float, remark: str) -> None:
        """The stage is done."""

    def abandon(self) -> None:
        """The stage failed."""


def join_run(config: RewardConfig, total: int) -> Console:
    """Waits for the other processes of a run; returns where this one says what it does.

    Args:
      config: What this process was told.
      total: Stages.

    Raises:
      InputError: They do not find each other, or were told something else.
    """
    join_processes(config.distributed)
    # Where feedback and model are may differ between machines: what is in them may not,
    # which is seen later.
    own = replace(
        config,
        distributed=DistributedSettings(),
        model="",
        data=Path(),
        out=config.out.absolute(),
        cache=None,
    )
    versions = {name: version(name) for name in ("morl", "jax", "jaxlib")}
    devices = sorted({device.device_kind for device in jax.local_devices()})
    check_same(yaml.safe_load(as_yaml(own)) | versions | {"devices": devices})
    return Stages(total) if is_first() else Quiet()


def begin_folder(config: RewardConfig) -> None:
    """Makes the folder of results, with the settings in it.

    Raises:
      OSError: It cannot be written.
      InputError: The processes do not share it.
    """
    place = config.out / SETTINGS

    def write() -> str:
        config.out.mkdir(parents=True, exist_ok=True)
        write_text(place, as_yaml(config))
        return file_sha256(place)

    check_shared(place, first_does(write))
