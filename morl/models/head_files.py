"""Reward heads on disk: parameters by Orbax, what they belong to beside them."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from morl.errors import InputError
from morl.models.chat import check_template
from morl.models.heads import LinearHead, Reading
from morl.models.language_model import LanguageModel
from morl.storage import array_digest, read_json, write_json
from morl.types import Names

PARAMETERS = "parameters"
MANIFEST = "heads.json"


@dataclass(frozen=True)
class HeadSet:
    """K fitted heads with all that is needed to use them rightly.

    Args:
      objectives: One name a head.
      reading: Which hidden state they read.
      head: Their parameters.
      fingerprint: SHA-256 of the backbone's weights.
      template_hash: SHA-256 of the chat template they were fitted under.
    """

    objectives: Names
    reading: Reading
    head: LinearHead
    fingerprint: str
    template_hash: str


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
        "objectives": list(heads.objectives),
        "reading": asdict(heads.reading),
        "fingerprint": heads.fingerprint,
        "template_hash": heads.template_hash,
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
      InputError: The folder is missing or damaged, or the heads were fitted on another
        model or, unless accepted, under another template; the message says which.
    """
    folder = Path(folder).absolute()
    where = str(folder / MANIFEST)
    manifest = read_json(folder / MANIFEST)
    try:
        reading = Reading(**manifest["reading"])
        objectives = tuple(manifest["objectives"])
        digest, template = manifest["sha256"], manifest["template_hash"]
        fingerprint = manifest["fingerprint"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"not a manifest of heads ({error!r} is missing)", where=where
        ) from None
    try:
        arrays = {
            n: np.asarray(a) for n, a in ocp.load(str(folder / PARAMETERS)).items()
        }
    except Exception as error:
        # Orbax raises whatever its readers do; all of it means an unreadable folder.
        raise InputError(
            f"heads cannot be read ({type(error).__name__}); fit them again",
            where=str(folder / PARAMETERS),
        ) from error
    if array_digest(arrays) != digest:
        raise InputError(
            "parameters do not match their digest; fit the heads again",
            where=str(folder / PARAMETERS),
        )
    if fingerprint != backbone.fingerprint:
        raise InputError(
            f"heads were fitted on a model with SHA-256 {fingerprint[:12]}, "
            f"{backbone.name} has {backbone.fingerprint[:12]}",
            where=where,
        )
    check_template(backbone.chat.template_hash, template, allow_other=other_template)
    head = LinearHead(jnp.asarray(arrays["weight"]), jnp.asarray(arrays["bias"]))
    return HeadSet(objectives, reading, head, fingerprint, template)


def _arrays(head: LinearHead) -> dict[str, np.ndarray]:
    return {name: np.asarray(array) for name, array in head._asdict().items()}
