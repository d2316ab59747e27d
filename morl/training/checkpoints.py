"""Checkpoints that are good or absent: Orbax, with a digest of every file.

A step counts as good once ``manifest.json`` is there, which is written last and names
the SHA-256 of every other file. A kill at any moment leaves earlier good steps alone.

Several processes write their parts into one folder that they share; the first of them
makes the folder, writes the manifest, and says which steps are good.
"""

import errno
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Literal, NamedTuple

import jax
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from morl.errors import InputError
from morl.storage import content_hash, file_sha256, read_json, write_json
from morl.training.mesh import path_name
from morl.training.processes import first_does, is_first, together

MANIFEST = "manifest.json"
STATE = "arrays"
VERSION = 1
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class CheckpointSettings:
    """When a run is saved, and what is kept.

    Args:
      every: Steps between checkpoints; 0 saves at the end alone.
      keep: Newest good checkpoints that are kept.
      best_by: Metric by which one more, the best, is kept; none without a name.
      best_is: Whether the largest or the smallest value is best.
    """

    every: int = 100
    keep: int = 2
    best_by: str = ""
    best_is: Literal["largest", "smallest"] = "largest"

    def __post_init__(self) -> None:
        """Refuses what keeps nothing."""
        for name, least in (("every", 0), ("keep", 1)):
            if vars(self)[name] < least:
                raise InputError(
                    f"found {vars(self)[name]}, expected at least {least}",
                    where=f"checkpoint.{name}",
                )


class Saved(NamedTuple):
    """A good checkpoint.

    Attributes:
      step: Steps done.
      metrics: What was known of it.
      about: What the run said of itself when it was saved.
    """

    step: int
    metrics: dict[str, float]
    about: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: Where they are, one folder a step.
      settings: What is kept.
    """

    def __init__(self, folder: Path, settings: CheckpointSettings) -> None:
        """Looks at nothing yet."""
        self.folder = folder.absolute()
        self.settings = settings
        self._saving: Thread | None = None
        self._failed: Exception | None = None

    def save(
        self,
        step: int,
        state: PyTree,
        *,
        metrics: Mapping[str, float],
        about: Mapping[str, Any],
    ) -> None:
        """Begins to save a state, once the last one is saved; the caller goes on.

        Args:
          step: Steps done.
          state: Arrays; they are copied before this returns.
          metrics: Numbers that are known of it.
          about: JSON that a run needs to know whether the state is its own.

        Raises:
          OSError: The last save failed.
        """
        self.wait()
        place = self._of(step)
        if first_does(lambda: _is_there(place)):
            # The same step of the same run is the same state, to the bit.
            return
        with _room_on(place):
            response = ocp.save_async(str(place / STATE), _flat(state))
        manifest = {
            "version": VERSION,
            "step": step,
            "metrics": dict(metrics),
            "about": dict(about),
        }
        self._saving = Thread(target=self._finish, args=(place, response, manifest))
        self._saving.start()

    def _finish(self, place: Path, response: Any, manifest: dict[str, Any]) -> None:
        try:
            # The first process's ends once all have written their parts.
            with _room_on(place):
                response.result()
            if is_first():
                manifest["sha256"] = digests(place)
                whole = manifest | {"digest": content_hash(manifest)}
                write_json(place / MANIFEST, whole)
                self._prune()
        except Exception as error:
            self._failed = error

    def wait(self) -> None:
        """Waits until what was begun is saved.

        Raises:
          OSError: It could not be saved; the checkpoints before it are as they were.
          InputError: It could not be saved by another process.
        """
        self.settle()
        error, self._failed = self._failed, None
        together(error)

    def settle(self) -> None:
        """Waits likewise, for a run that has failed: a second error is not news."""
        if self._saving is not None:
            self._saving.join()
            self._saving = None

    def good(self) -> list[Saved]:
        """Steps whose manifest is there, oldest first; their files are not yet read."""
        return [Saved(*each) for each in first_does(self._good)]

    def _good(self) -> list[Saved]:
        """The same, as this process sees them."""
        found = []
        for path in sorted(self.folder.glob(f"*/{MANIFEST}"), key=_step_of):
            try:
                manifest = read_manifest(path.parent)
            except InputError as error:
                warnings.warn(
                    f"{error}: THE CHECKPOINT DOES NOT COUNT, and steps since the one "
                    "before it are computed again",
                    stacklevel=2,
                )
                continue
            found.append(
                Saved(manifest["step"], manifest["metrics"], manifest["about"])
            )
        return found

    def best(self) -> Saved | None:
        """The good checkpoint with the best value of the metric, or the newest."""
        return self._best_of(self.good())

    def _best_of(self, found: list[Saved]) -> Saved | None:
        named = [each for each in found if self.settings.best_by in each.metrics]
        if not named:
            return found[-1] if found else None
        sign = 1 if self.settings.best_is == "largest" else -1
        return max(named, key=lambda each: sign * each.metrics[self.settings.best_by])

    def restore(self, wanted: PyTree, step: int | None = None) -> PyTree | None:
        """The newest state that is undamaged, or that of a step.

        Args:
          wanted: Shapes, types and shardings (``jax.ShapeDtypeStruct``), of any mesh.
          step: Which one; the newest where not given.

        Returns:
          The state; None where there is no checkpoint at all.

        Raises:
          InputError: The step asked for, or every one there is, is damaged, or it holds
            other arrays than are wanted; the message names them.
        """
        found = first_does(lambda: self._undamaged(step))
        return None if found is None else _loaded(self._of(found) / STATE, wanted)

    def _of(self, step: int) -> Path:
        return self.folder / str(step)

    def _undamaged(self, step: int | None) -> int | None:
        """The step to restore; None where there is none."""
        steps = [saved.step for saved in self._good()]
        if step is not None:
            if step not in steps:
                raise InputError(
                    f"found steps {steps}, expected {step}", where=str(self.folder)
                )
            steps = [step]
        broken = []
        for each in reversed(steps):
            if not (damage := damaged(self._of(each))):
                for place in broken:  # so that these steps are written again
                    (place / MANIFEST).unlink()
                return each
            if step is not None:
                raise InputError(
                    f"damaged ({damage}): delete it, and the run goes on from another",
                    where=str(self._of(each)),
                )
            broken.append(self._of(each))
            warnings.warn(
                f"{self._of(each)} IS DAMAGED ({damage}): going on from the checkpoint "
                "before it, whose steps since are computed again",
                stacklevel=2,
            )
        if steps:
            raise InputError(
                "damaged, and no good checkpoint is left: delete it to begin anew",
                where=str(self._of(steps[-1])),
            )
        return None

    def _prune(self) -> None:
        found = self._good()
        kept = {saved.step for saved in found[-self.settings.keep :]}
        if self.settings.best_by and (best := self._best_of(found)):
            kept.add(best.step)
        for saved in found:
            if saved.step not in kept:
                place = self.folder / str(saved.step)
                # Its manifest first: what is left of a step half deleted is not good.
                (place / MANIFEST).unlink()
                shutil.rmtree(place)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path, without the manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in files
        if path.name != MANIFEST or path.parent != folder
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, checked against its own digest.

    Raises:
      InputError: It is missing or damaged.
    """
    path = folder / MANIFEST
    found = read_json(path)
    digest = found.pop("digest", None) if isinstance(found, dict) else None
    if digest != content_hash(found):
        raise InputError("does not match its own digest", where=str(path))
    return found


def damaged(folder: Path) -> str:
    """What differs from the manifest, in words; empty where nothing does."""
    try:
        wanted = read_manifest(folder)["sha256"]
    except InputError as error:
        return str(error)
    found = digests(folder)
    for name, digest in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name] != digest:
            return f"{name} does not match its SHA-256"
    return ""


def _step_of(manifest: Path) -> int:
    name = manifest.parent.name
    return int(name) if name.isdigit() else -1


@contextmanager
def _room_on(place: Path) -> Iterator[None]:
    """Says of a full disk that it is one, and where: Orbax hides it in an error."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(place)
        raise
    except Exception as error:
        for number in FULL:
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(place)) from error
        raise


def _is_there(place: Path) -> bool:
    """Whether a step is good already; makes room for it otherwise."""
    if (place / MANIFEST).exists():
        return True
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return False


def _flat(state: PyTree) -> dict[str, Any]:
    """Leaves by their path: what is stored does not depend on the containers."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {path_name(path): leaf for path, leaf in leaves}


def _loaded(folder: Path, wanted: PyTree) -> PyTree:
    flat = _flat(wanted)
    stored = ocp.metadata(str(folder)).metadata
    shapes = {name: tuple(each.shape) for name, each in stored.items()}
    asked = {name: tuple(each.shape) for name, each in flat.items()}
    if shapes != asked:
        names = sorted(n for n in shapes | asked if shapes.get(n) != asked.get(n))
        name = names[0]
        raise InputError(
            f"found {name} {shapes.get(name, 'absent')}, expected "
            f"{asked.get(name, 'absent')} ({len(names)} differ): it was saved by "
            "another model or optimizer",
            where=str(folder),
        )
    found = ocp.load(str(folder), flat)
    return jax.tree.unflatten(jax.tree.structure(wanted), [found[n] for n in flat])
