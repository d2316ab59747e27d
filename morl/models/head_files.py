"""Reward heads on disk: parameters by Orbax, what they belong to beside them."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from orbax.checkpoint import v1 as ocp

from morl.errors import InputError
from morl.models.heads import Head, Reading, linear
from morl.models.language_model import LanguageModel
from morl.models.templates import check_template
from morl.models.truncation import Truncation
from morl.storage import array_digest, read_json, write_json
from morl.types import Names

PARAMETERS = "parameters"
MANIFEST = "heads.json"
TRANSFORM = "transforms."  # before the names of their arrays, beside the parameters
VERSION = 2  # 1 did not say where prompts and responses were cut

KindTable: TypeAlias = Mapping[str, Callable[..., Head]]


@dataclass(frozen=True)
class HeadKind:
    """What parameters of heads mean.

    Args:
      name: What a table of kinds calls it.
      settings: What its entry there is called with; numbers, texts and lists of them.
      head: What that returns.
    """

    name: str
    settings: Mapping[str, Any]
    head: Head = field(compare=False)


LINEAR = HeadKind("linear", {}, linear())
ONLY_LINEAR: KindTable = {"linear": linear}


@dataclass(frozen=True)
class HeadSet:
    """Fitted heads of K objectives with all that is needed to use them rightly.

    Args:
      objectives: Their names.
      reading: Which hidden state they read.
      head: Their parameters.
      fingerprint: SHA-256 of the backbone's weights.
      template_hash: SHA-256 of the chat template they were fitted under.
      truncation: Where prompts and responses were cut when they were fitted; what they
        score, written or sampled, is cut the same way.
      kind: What the parameters mean.
      transforms: Arrays of the reward transforms that were fitted with them, by name;
        who scores applies them (:mod:`morl.training.head_scores`).
    """

    objectives: Names
    reading: Reading
    head: PyTree[Array | np.ndarray]
    fingerprint: str
    template_hash: str
    truncation: Truncation
    kind: HeadKind = LINEAR
    transforms: Mapping[str, np.ndarray] = field(default_factory=dict)


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
    arrays = {n: np.asarray(leaf) for n, leaf in _by_name(heads.head).items()}
    arrays |= {TRANSFORM + name: array for name, array in heads.transforms.items()}
    ocp.save(str(beside / PARAMETERS), arrays)
    manifest = {
        "version": VERSION,
        "objectives": list(heads.objectives),
        "head": {"kind": heads.kind.name, "settings": dict(heads.kind.settings)},
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
    folder: str | Path,
    backbone: LanguageModel,
    *,
    other_template: bool = False,
    kinds: KindTable = ONLY_LINEAR,
) -> HeadSet:
    """Reads heads, and checks that they belong to the backbone they are to be used on.

    Args:
      folder: What :func:`save_heads` wrote.
      backbone: The model whose hidden states they will read.
      other_template: Accept heads that were fitted under another chat template.
      kinds: From the name of a kind to the function that makes it of its settings.

    Raises:
      InputError: The folder is missing or damaged or of another version, or of a kind
        that the table lacks, or the heads were fitted on another model or, unless
        accepted, under another template; the message says which.
    """
    folder = Path(folder).absolute()
    manifest = _manifest(folder / MANIFEST, kinds)
    if manifest.fingerprint != backbone.fingerprint:
        raise InputError(
            f"heads were fitted on a model with SHA-256 {manifest.fingerprint[:12]}, "
            f"{backbone.name} has {backbone.fingerprint[:12]}",
            where=str(folder / MANIFEST),
        )
    check_template(
        backbone.chat.template_hash, manifest.template_hash, allow_other=other_template
    )
    found = _read_arrays(folder / PARAMETERS, manifest.sha256)
    transforms = {
        name.removeprefix(TRANSFORM): array
        for name, array in found.items()
        if name.startswith(TRANSFORM)
    }
    arrays = {n: a for n, a in found.items() if not n.startswith(TRANSFORM)}
    width = backbone.model.config.width
    wanted = jax.eval_shape(
        lambda: manifest.kind.head.init(
            jax.random.key(0), width, len(manifest.objectives)
        )
    )
    _check_shapes(arrays, _by_name(wanted), manifest, folder / MANIFEST)
    leaves = [jnp.asarray(arrays[name]) for name in _by_name(wanted)]
    head = jax.tree.unflatten(jax.tree.structure(wanted), leaves)
    return HeadSet(
        manifest.objectives,
        manifest.reading,
        head,
        manifest.fingerprint,
        manifest.template_hash,
        manifest.truncation,
        manifest.kind,
        transforms,
    )


class _Manifest(NamedTuple):
    objectives: Names
    reading: Reading
    fingerprint: str
    template_hash: str
    truncation: Truncation
    sha256: str
    kind: HeadKind


def _manifest(path: Path, kinds: KindTable) -> _Manifest:
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
            _kind(found.get("head", {"kind": LINEAR.name, "settings": {}}), kinds),
        )
    except KeyError as error:
        reason = f"{error} is missing"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise InputError(f"not a manifest of heads ({reason})", where=str(path))


def _kind(found: Any, kinds: KindTable) -> HeadKind:
    name, settings = str(found["kind"]), dict(found["settings"])
    if name not in kinds:
        raise InputError(
            f"found {name!r}, expected one of {', '.join(kinds)}", where="head.kind"
        )
    return HeadKind(name, settings, kinds[name](**settings))


def _check_shapes(
    arrays: Mapping[str, np.ndarray],
    wanted: Mapping[str, Any],
    manifest: _Manifest,
    where: Path,
) -> None:
    found, expected = (
        {name: tuple(map(int, array.shape)) for name, array in each.items()}
        for each in (arrays, wanted)
    )
    if found != expected:
        raise InputError(
            f"found parameters {found}, {manifest.kind.name} heads for "
            f"{', '.join(manifest.objectives)} have {expected}",
            where=str(where),
        )


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


def _by_name(params: PyTree) -> dict[str, Any]:
    """Leaves in their order, by where they are."""
    leaves = jax.tree.leaves_with_path(params)
    named = lambda path: jax.tree_util.keystr(path, simple=True, separator=".")
    return {named(path): leaf for path, leaf in leaves}
