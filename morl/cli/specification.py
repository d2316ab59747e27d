"""What a command is to score by: a composition, its heads, and the model they read."""

import json
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from morl.cli.config import read_text, settings_from
from morl.cli.head_kinds import KINDS
from morl.cli.sources import open_model
from morl.errors import InputError
from morl.fronts.pipeline import (
    COMPOSITION,
    FRONT,
    HEADS,
    SELECTOR,
    SETTINGS,
    RunSettings,
)
from morl.fronts.quickstart import MODEL
from morl.fronts.settings import CandidateSettings
from morl.models.head_files import MANIFEST, HeadSet, load_heads
from morl.models.hugging_face import weight_files
from morl.models.language_model import LanguageModel
from morl.models.loading import fingerprint
from morl.rewards import Composition, from_yaml
from morl.storage import read_json, write_json

BACKBONE = "backbone.json"


def read_composition(spec: Path, functions: Path | None = None) -> Composition:
    """The composition of a YAML file, or of the folder of a finished run.

    Args:
      spec: The file, or the folder.
      functions: A Python file that defines the functions it names. It is run.

    Raises:
      InputError: A file is missing, or what is wrong with the specification.
    """
    path = spec
    if spec.is_dir():
        path = spec / COMPOSITION
        if not path.is_file():
            raise InputError(
                f"found no {COMPOSITION}, expected the folder of a finished run",
                where=str(spec),
            )
    text = read_text(path)
    try:
        return from_yaml(text, {} if functions is None else _defined(functions))
    except InputError as error:
        raise InputError(_for_files(str(error), functions), where=str(path)) from None


def _for_files(message: str, functions: Path | None) -> str:
    """The message, where it asks Python for ``sources=``, with what a file gives."""
    needed, python, given = message.partition(": from_yaml(text, sources=")
    if not python:
        return message
    if functions is None:
        return f"{needed}; --functions FILE.py names the file that defines it"
    return f"{needed}; {functions} defines {given.rpartition('Given: ')[2]}"


def refuse_learning(composition: Composition, where: str) -> None:
    """Refuses transforms whose state only a run of training would fill.

    Raises:
      InputError: Names the rewards.
    """
    learning = [
        name
        for name, states in composition.init_state().items()
        if jax.tree.leaves(states)
    ]
    if learning:
        raise InputError(
            f"transforms of {', '.join(learning)} learn from the rewards of a run, and "
            "a specification does not hold what they learnt: leave them out",
            where=where,
        )


def run_heads(spec: Path) -> Path | None:
    """The heads that a finished run selected by; None where it is a file.

    Its composition is in the units of these heads: where a judge was fitted apart, they
    are the selector's, not those of the whole pool.
    """
    for name in (SELECTOR, HEADS):
        if (spec / name / MANIFEST).is_file():
            return spec / name
    return None


def run_sampling(spec: Path) -> CandidateSettings:
    """How a finished run sampled; the defaults where the specification is a file.

    Raises:
      InputError: The run's settings are damaged.
    """
    path = spec / SETTINGS
    if not path.is_file():
        return CandidateSettings()
    return settings_from(RunSettings, read_json(path), str(path)).candidates


def heads_folder(given: Path) -> Path:
    """The folder itself, or the heads of a run.

    Raises:
      InputError: There are no heads.
    """
    for folder in (given, given / HEADS):
        if (folder / MANIFEST).is_file():
            return folder
    raise InputError(
        f"found no {MANIFEST}, expected the folder of fitted heads or of a run",
        where=str(given),
    )


def open_heads(
    heads: Path, model: str, spec: Path, cache: Path, *, other_template: bool = False
) -> tuple[LanguageModel, HeadSet]:
    """Heads with the model whose hidden states they read.

    Args:
      heads: Folder of the heads.
      model: Name of the model; empty to look for it by the digest of its weights, in
        the run's folder, where the run says that it lies, and among the models that
        were fetched.
      spec: The specification, for a finished run's own model.
      cache: Where fetched models are kept.
      other_template: Accept heads that were fitted under another chat template.

    Raises:
      InputError: The heads are damaged, or no model is the one they were fitted on.
    """
    name = model or str(_backbone(heads, spec, cache))
    language_model = open_model(name, cache)
    return language_model, load_heads(
        heads, language_model, other_template=other_template, kinds=KINDS
    )


def record_backbone(out: Path, model: Path) -> None:
    """Leaves in a run's folder where its model lies, for those who score by it."""
    write_json(out / BACKBONE, {"path": str(model.resolve())})


def _recorded(run: Path) -> list[Path]:
    """Where a run says that its model lies, where it says so."""
    try:
        return [Path(json.loads((run / BACKBONE).read_text())["path"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _backbone(heads: Path, spec: Path, cache: Path) -> Path:
    manifest = read_json(heads / MANIFEST)
    wanted = manifest.get("fingerprint") if isinstance(manifest, dict) else None
    roots = {heads.parent, spec} if spec.is_dir() else {heads.parent}
    own = [path for root in roots for path in root.glob(f"cache/{MODEL}/*")]
    recorded = [path for root in roots for path in _recorded(root)]
    fetched = [*cache.glob("*/*.gguf"), *cache.glob("hub/*")]
    for path in [*own, *recorded, *fetched]:
        if _digest(path) == wanted:
            return path
    called = "".join(f"; it is called {name}" for name in _named(heads.parent, wanted))
    called += "".join(f"; it was at {path}" for path in recorded)
    raise InputError(
        f"no model here has the SHA-256 {str(wanted)[:12]} that the heads were fitted "
        f"on{called}: add --model NAME",
        where=str(heads),
    )


def _digest(path: Path) -> str | None:
    try:
        return fingerprint([path] if path.is_file() else weight_files(path))
    except (InputError, OSError):
        return None  # half a download is not the model that is looked for


def _named(run: Path, wanted: Any) -> list[str]:
    """What the run's front calls the model, where there is one to ask."""
    try:
        named = json.loads((run / FRONT).read_text())["provenance"]["model"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    name, _, digest = str(named).rpartition(" ")
    return [name] if digest and str(wanted).startswith(digest) else []


def _defined(path: Path) -> Mapping[str, Callable[..., Any]]:
    """The functions that a Python file defines."""
    read_text(path)
    try:
        names = runpy.run_path(str(path), run_name="morl_functions")
    except (Exception, SystemExit) as error:
        # Whatever a user's file raises, the message is what helps; one that exits would
        # otherwise end the command without a word.
        raise InputError(
            f"cannot be run ({type(error).__name__}: {error})", where=str(path)
        ) from error
    return {
        name: value
        for name, value in names.items()
        if callable(value) and not name.startswith("_")
    }
