"""Reward heads on disk: parameters by Orbax, what they belong to beside them."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from morl.errors import InputError
from morl.models.heads import LinearHead, Reading
from morl.models.language_model import LanguageModel
from morl.models.templates import check_template
from morl.models.truncation import Truncation
from morl.storage import array_digest, read_json, write_json
from morl.types import Names

PARAMETERS = "parameters"
MANIFEST = "heads.json"
VERSION = 2  # 1 did not say where prompts and responses were cut


@dataclass(frozen=True)
class HeadSet:
    """K fitted heads with all that is needed to use them rightly.

    Args:
      objectives: One name a head.
      reading: Which hidden state they read.
      head: Their parameters.
      fingerprint: SHA-256 of the backbone's weights.
      template_hash: SHA-256 of the chat template they were fitted under.
      truncation: Where prompts and responses were cut when they were fitted; what they
        score, written or sampled, is cut the same way.
    """

    objectives: Names
    reading: Reading
    head: LinearHead
    fingerprint: str
    template_hash: str
    truncation: Truncation


def save_heads(folder: str | Path, heads: HeadSet) -> None:
    """Writes heads as a folder that is whole or absent, replacing what was there.

    Args:
      folder: Where to; its parent is made.
      heads: What to write.
    """
    folder = Path(folder).absolute()
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    arrays = _arrays(heads.head)
    ocp.save(str(beside / PARAMETERS), arrays)
    manifest = {
        "version": VERSION,
        "objectives": list(heads.objectives),
        "reading": asdict(heads.reading),
        "fingerprint": heads.fingerprint,
        "template_hash": heads.template_hash,
        "truncation": asdict(heads.truncation),
        "sha256": array_digest(arrays),
    }
    write_json(beside / MANIFEST, manifest)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def load_heads(
    folder: str | Path, backbone: LanguageModel, *, other_template: bool = False
) -> HeadSet:
    """Reads heads, and checks that they belong to the backbone they are to be used on.

    Args:
      folder: What :func:`save_heads` wrote.
      backbone: The model whose hidden states they will read.
      other_template: Accept heads that were fitted under another chat template.

    Raises:
      InputError: The folder is missing or damaged or of another version, or the heads
        were fitted on another model or, unless accepted, under another template; the
        message says which.
    """
    folder = Path(folder).absolute()
    manifest = _manifest(folder / MANIFEST)
    if manifest.fingerprint != backbone.fingerprint:
        raise InputError(
            f"heads were fitted on a model with SHA-256 {manifest.fingerprint[:12]}, "
            f"{backbone.name} has {backbone.fingerprint[:12]}",
            where=str(folder / MANIFEST),
        )
    check_template(
        backbone.chat.template_hash, manifest.template_hash, allow_other=other_template
    )
    arrays = _read_arrays(folder / PARAMETERS, manifest.sha256)
    columns = arrays["weight"].shape[1]
    if columns != len(manifest.objectives):
        raise InputError(
            f"found objectives {manifest.objectives}, parameters are of {columns}",
            where=str(folder / MANIFEST),
        )
    head = LinearHead(jnp.asarray(arrays["weight"]), jnp.asarray(arrays["bias"]))
    return HeadSet(
        manifest.objectives,
        manifest.reading,
        head,
        manifest.fingerprint,
        manifest.template_hash,
        manifest.truncation,
    )


class _Manifest(NamedTuple):
    objectives: Names
    reading: Reading
    fingerprint: str
    template_hash: str
    truncation: Truncation
    sha256: str


def _manifest(path: Path) -> _Manifest:
    found = read_json(path)
    version = found.get("version", 1) if isinstance(found, dict) else VERSION
    if version != VERSION:
        raise InputError(
            f"found heads of version {version}, expected {VERSION} (1 does not say "
            "where prompts and responses were cut); fit the heads again",
            where=str(path),
        )
    try:
        return _Manifest(
            tuple(map(str, found["objectives"])),
            Reading(**found["reading"]),
            str(found["fingerprint"]),
            str(found["template_hash"]),
            Truncation(**found["truncation"]),
            str(found["sha256"]),
        )
    except KeyError as error:
        reason = f"{error} is missing"
    except (TypeError, InputError) as error:
        reason = str(error)
    raise InputError(f"not a manifest of heads ({reason})", where=str(path))


def _read_arrays(folder: Path, digest: str) -> dict[str, np.ndarray]:
    """Parameters by name, checked against their digest."""
    try:
        arrays = {n: np.asarray(a) for n, a in ocp.load(str(folder)).items()}
    except Exception as error:
        # Orbax raises whatever its readers do; all of it means an unreadable folder.
        raise InputError(
            f"heads cannot be read ({type(error).__name__}); fit them again",
            where=str(folder),
        ) from error
    if array_digest(arrays) != digest:
        raise InputError(
            "parameters do not match their digest; fit the heads again",
            where=str(folder),
        )
    return arrays


def _arrays(head: LinearHead) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in head._asdict().items()}
