"""``morl fetch``: a model, checked and cached."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from morl.cli.arguments import parse
from morl.cli.console import OUT
from morl.cli.sources import find_model
from morl.models.fetch import default_cache


@dataclass(frozen=True)
class FetchConfig:
    """Fetches a model, checks it and keeps it; prints where it is.

    Args:
      model: ``smollm2`` (SmolLM2-135M-Instruct, 98 MB), or ``ORG/NAME`` of a Hugging
        Face model (needs the ``hub`` extra).
      cache: Where to keep it; MORL_CACHE or ``~/.cache/morl`` where not given.
      dry_run: Print what would be fetched, and do nothing.
    """

    model: Annotated[str, tyro.conf.Positional]
    cache: Path | None = None
    dry_run: bool = False


def fetch(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(FetchConfig, argv, prog="morl fetch")
    cache = config.cache or default_cache()
    if config.dry_run:
        OUT.print(f"would fetch {config.model} into {cache}")
        return
    OUT.print(str(find_model(config.model, cache)))
