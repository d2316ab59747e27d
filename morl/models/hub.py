"""Fetching a model from the Hugging Face hub: weights and tokenizer, no code."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from morl.errors import InputError
from morl.models.fetch import BrokenDownload, default_cache, warn_of
from morl.storage import file_sha256, read_json, write_json

_WANTED = re.compile(
    r"[^/]+\.safetensors|model\.safetensors\.index\.json|config\.json|"
    r"generation_config\.json|tokenizer\.json|tokenizer_config\.json|"
    r"special_tokens_map\.json|chat_template\.(jinja|json)"
)
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_MANIFEST = "morl_manifest.json"
_GIT_DIGITS = 40


class Listing(NamedTuple):
    """What a repository holds at one commit.

    Attributes:
      commit: The commit.
      files: Path of each file to the digest that the hub has for it: SHA-256 of large
        files, git's SHA-1 of the others; ``None`` where it has neither.
    """

    commit: str
    files: Mapping[str, str | None]


class Hub(NamedTuple):
    """The two things that are asked of a hub.

    Attributes:
      list_files: Repository and revision to what it holds.
      download: Puts the named files of a repository's commit into a folder; raises
        ``BrokenDownload`` where trying again may help.
    """

    list_files: Callable[[str, str | None], Listing]
    download: Callable[[str, str, list[str], Path], None]


def hugging_face(endpoint: str | None = None) -> Hub:
    """The Hugging Face hub, through the ``hub`` extra.

    Args:
      endpoint: Address of another hub; ``None`` is the one that is configured.

    Raises:
      InputError: ``huggingface_hub`` is not installed.
    """
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError:
        raise InputError(
            "needs huggingface_hub: install morl[hub]", where="morl fetch"
        ) from None

    def list_files(repository: str, revision: str | None) -> Listing:
        api = HfApi(endpoint=endpoint)
        try:
            info = api.model_info(repository, revision=revision, files_metadata=True)
        # Which errors a network fault raises differs between versions of the client.
        except Exception as error:
            raise InputError(
                f"cannot be listed ({_first_line(error)})", where=repository
            ) from None
        return Listing(
            info.sha or "",
            {
                each.rfilename: each.lfs.sha256 if each.lfs else each.blob_id
                for each in info.siblings or []
            },
        )

    def download(repository: str, commit: str, names: list[str], folder: Path) -> None:
        try:
            snapshot_download(
                repository,
                revision=commit,
                local_dir=folder,
                allow_patterns=names,
                endpoint=endpoint,
            )
        except Exception as error:
            raise BrokenDownload(
                f"cannot be downloaded ({_first_line(error)})"
            ) from None

    return Hub(list_files, download)


def fetch_hub(
    repository: str,
    cache_dir: str | Path | None = None,
    *,
    revision: str | None = None,
    hub: Hub | None = None,
    attempts: int = 3,
) -> Path:
    """Fetches weights, configuration and tokenizer of a model, or finds them cached.

    Only safetensors, JSON and Jinja files of the repository's top folder are taken:
    no code, no pickles. Every file is checked against the hub's own digest when it
    arrives, and against its SHA-256, kept beside it, whenever the model is asked for.
    A download that breaks off goes on where it stopped.

    Args:
      repository: ``"ORG/NAME"``.
      cache_dir: Where fetched models are kept; ``$MORL_CACHE`` or ``~/.cache/morl``.
      revision: Branch, tag or commit; ``None`` is the default branch, or whatever is
        in the cache.
      hub: Where from; the Hugging Face hub if ``None``.
      attempts: How often files that arrive broken are fetched in all.

    Returns:
      The folder.

    Raises:
      InputError: The name is not ``ORG/NAME``, there is no such model, it has no
        safetensors, or no attempt gave whole files.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"found {repository!r}, expected ORG/NAME", where="model")
    root = Path(cache_dir or default_cache()) / "hub"
    folder = root / repository.replace("/", "--")
    if _is_whole(folder, revision):
        return folder
    hub = hub or hugging_face()
    listing = hub.list_files(repository, revision)
    names = sorted(name for name in listing.files if _WANTED.fullmatch(name))
    if not any(name.endswith(".safetensors") for name in names):
        raise InputError("has no safetensors file in its top folder", where=repository)
    reason = ""
    for attempt in range(attempts):
        if attempt:
            warn_of(f"{repository}: {reason}; trying again")
        try:
            hub.download(repository, listing.commit, names, folder)
        except BrokenDownload as error:
            reason = str(error)
            continue
        broken = _remove_broken(folder, listing, names)
        if not broken:
            digests = {name: file_sha256(folder / name) for name in names}
            manifest = {"commit": listing.commit, "revision": revision}
            write_json(folder / _MANIFEST, {**manifest, "files": digests})
            return folder
        reason = f"{', '.join(broken)} arrived broken"
    raise InputError(f"{reason} in {attempts} attempts", where=repository)


def _is_whole(folder: Path, revision: str | None) -> bool:
    """Whether every file of the manifest is there as it was fetched."""
    if not (folder / _MANIFEST).is_file():
        return False
    try:
        manifest = read_json(folder / _MANIFEST)
        known = (None, manifest["revision"], manifest["commit"])
        digests = dict(manifest["files"])
    except (InputError, KeyError, TypeError, ValueError):
        warn_of(f"{folder / _MANIFEST} is damaged; the model is fetched again")
        return False
    if revision not in known:
        return False
    damaged = [
        name
        for name, digest in digests.items()
        if not (folder / name).is_file() or file_sha256(folder / name) != digest
    ]
    for name in damaged:
        (folder / name).unlink(missing_ok=True)
    if damaged:
        warn_of(f"{folder}: {', '.join(damaged)} damaged or gone; fetched again")
    return not damaged


def _remove_broken(folder: Path, listing: Listing, names: list[str]) -> list[str]:
    """Files that are not there or not what the hub says they are; they are removed."""
    broken = []
    for name in names:
        path, digest = folder / name, listing.files[name]
        if not path.is_file() or not _is(path, digest):
            path.unlink(missing_ok=True)
            broken.append(name)
    return broken


def _is(path: Path, digest: str | None) -> bool:
    """Whether a file has the digest that the hub has for it."""
    if digest is None:
        return True
    if len(digest) != _GIT_DIGITS:
        return file_sha256(path) == digest
    content = path.read_bytes()
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == digest


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
