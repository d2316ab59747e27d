"""Several processes as one run: how they find each other, and what they agree on.

Everything here is for one process too, which agrees with itself. The functions that
agree are collective: every process calls them in the same order, from the thread that
dispatches steps, while no step is in flight, and never inside :func:`all_or_none`.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from morl.errors import InputError
from morl.storage import content_hash, file_sha256

T = TypeVar("T")
R = TypeVar("R")
# A process that fails alone holds the others up for so long, when it leaves.
SHUTDOWN_SECONDS = 30
SEEN_SECONDS = 30  # for which a file may take to be seen through a network
DIGEST_BYTES = 32


@dataclass(frozen=True)
class DistributedSettings:
    """The processes of a run.

    Args:
      kind: none for a single process; auto where the cluster says who is who (Cloud
        TPU, Slurm, Open MPI); address where coordinator, processes and process do.
      coordinator: HOST:PORT of process 0, which all others reach.
      processes: How many there are.
      process: Which one this is, from 0.
      timeout: Seconds to wait for the others at the start.

    Raises:
      InputError: The settings of address are not all there, or there without it.
    """

    kind: Literal["none", "auto", "address"] = "none"
    coordinator: str = ""
    processes: int = 0
    process: int = 0
    timeout: int = 300

    def __post_init__(self) -> None:
        """Refuses what names no process."""
        if self.timeout < 1:
            raise InputError(
                f"found {self.timeout}, expected at least 1",
                where="distributed.timeout",
            )
        if self.kind != "address":
            if self.coordinator or self.processes or self.process:
                raise InputError(
                    f"found {self.kind}, expected address with a coordinator, a number "
                    "of processes, or a process",
                    where="distributed.kind",
                )
            return
        host, colon, port = self.coordinator.rpartition(":")
        if not (host and colon and port.isdigit()):
            raise InputError(
                f"found {self.coordinator!r}, expected HOST:PORT of process 0",
                where="distributed.coordinator",
            )
        if self.processes < 1:
            raise InputError(
                f"found {self.processes}, expected at least 1",
                where="distributed.processes",
            )
        if not 0 <= self.process < self.processes:
            raise InputError(
                f"found {self.process}, expected 0 to {self.processes - 1}",
                where="distributed.process",
            )


def join_processes(settings: DistributedSettings) -> None:
    """Waits for the other processes; comes before anything that asks for a device.

    Raises:
      InputError: There is no cluster that says who is who, or a device was asked for.
    """
    if settings.kind == "none":
        if are_several() and not jax.distributed.is_initialized():
            raise InputError(
                f"found none, but there are {jax.process_count()} processes: expected "
                "auto, so that they can agree",
                where="distributed.kind",
            )
        return
    given: dict[str, Any] = {}
    if settings.kind == "address":
        given = {
            "coordinator_address": settings.coordinator,
            "num_processes": settings.processes,
            "process_id": settings.process,
        }
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            **given,
            initialization_timeout=settings.timeout,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"the processes of the run did not find each other: {error}",
            where="distributed",
        ) from error


def is_first() -> bool:
    """Whether this is the process that writes and prints."""
    return jax.process_index() == 0


def are_several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def agreed(value: T) -> T:
    """What the first process found, at every process.

    Args:
      value: JSON; that of other processes is not looked at.
    """
    if not are_several():
        return value
    text = json.dumps(value).encode() if is_first() else b""
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    filled = np.zeros(size, np.uint8)
    if is_first():
        filled[:] = np.frombuffer(text, np.uint8)
    sent = multihost_utils.broadcast_one_to_all(filled)
    return json.loads(np.asarray(sent, np.uint8).tobytes())


def first_alone(act: Callable[[], T]) -> T | None:
    """What the first process does while the others wait; None at those.

    Raises:
      Exception: What ``act`` raised, at the first process.
      InputError: The first process failed, at the others.
    """
    found = None
    with all_or_none():
        if is_first():
            found = act()
    return found


def first_does(act: Callable[[], T]) -> T:
    """The same, and every process gets its result.

    Args:
      act: Returns JSON.
    """
    return agreed(first_alone(act))  # type: ignore[return-value]


def after_first(act: Callable[[], T]) -> T:
    """What every process does, the first ahead of the others: it may leave them files.

    Raises:
      Exception: What ``act`` raised, at this process.
      InputError: Another process failed.
    """
    found = first_alone(act)
    with all_or_none():
        if not is_first():
            found = act()
    return found  # type: ignore[return-value]


def in_shares(compute: Callable[[Sequence[T]], R], items: Sequence[T]) -> R:
    """What is computed of items and kept in files, each process first doing a share.

    Then each asks for all of it, which is there by then where the files are shared; it
    computes the rest itself where they are not.

    Raises:
      Exception: What ``compute`` raised, at this process.
      InputError: Another process failed.
    """
    if are_several():
        with all_or_none():
            compute(items[jax.process_index() :: jax.process_count()])
    return compute(items)


@contextmanager
def all_or_none() -> Iterator[None]:
    """Goes on behind the block only where every process got through it.

    Raises:
      Exception: What the block raised, at this process.
      InputError: Another process failed, which says why.
    """
    failure = None
    try:
        yield
    except Exception as error:
        failure = error
    together(failure)


def together(failure: Exception | None) -> None:
    """Goes on only where every process can.

    Args:
      failure: Why this one cannot.

    Raises:
      Exception: The failure of this process.
      InputError: Another process failed, which says why.
    """
    failed = [False]
    if are_several():
        failed = multihost_utils.process_allgather(np.array(failure is not None))
    if failure is not None:
        raise failure
    if np.any(failed):
        raise InputError(
            f"process {int(np.argmax(failed))} failed, and says why",
            where="distributed",
        )


def check_same(values: Mapping[str, Any]) -> None:
    """Refuses to train one model from different settings or data.

    Args:
      values: JSON under names, the same names at every process.

    Raises:
      InputError: Names what differs between the first process and another.
    """
    if not are_several():
        return
    names = sorted(values)
    hashes = [bytes.fromhex(content_hash(values[name])) for name in names]
    own = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, DIGEST_BYTES)
    found = multihost_utils.process_allgather(own)
    differs = (found != found[:1]).any(axis=2)
    if differs.any():
        process = int(np.flatnonzero(differs.any(axis=1))[0])
        wrong = [name for name, one in zip(names, differs[process], strict=True) if one]
        raise InputError(
            f"process {process} has another {', '.join(wrong)} than process 0: give "
            "all the same configuration, feedback, model and versions",
            where="distributed",
        )


def check_shared(path: Path, digest: str) -> None:
    """Refuses a folder that the processes do not share.

    Args:
      path: A file that the first process wrote.
      digest: Its SHA-256.

    Raises:
      InputError: A process does not see it.
    """
    if not are_several():
        return

    since = time.monotonic()
    with all_or_none():
        while not _holds(path, digest):
            if time.monotonic() - since > SEEN_SECONDS:
                raise InputError(
                    f"process {jax.process_index()} does not see what process 0 wrote: "
                    "expected a folder that all processes share",
                    where=str(path),
                )
            time.sleep(0.1)


def _holds(path: Path, digest: str) -> bool:
    try:
        return file_sha256(path) == digest
    except OSError:
        return False


def whole_at_first(tree: PyTree) -> PyTree | None:
    """Arrays of which processes hold parts, whole, in the memory of the first.

    Returns:
      NumPy arrays; None at every other process, which takes part all the same.
    """
    leaves, structure = jax.tree.flatten(tree)
    kept = []
    for leaf in leaves:
        # One at a time: devices never hold the whole tree.
        found = whole_array(leaf)
        if is_first():
            kept.append(found)
    return jax.tree.unflatten(structure, kept) if is_first() else None


def whole_array(leaf: Any) -> np.ndarray:
    """An array of which processes may hold parts, whole at each of them.

    One that only this process holds, or of which it holds all, is as it is.
    """
    own = not isinstance(leaf, jax.Array) or leaf.is_fully_addressable
    if own or leaf.is_fully_replicated:
        return np.asarray(jax.device_get(leaf))
    return multihost_utils.process_allgather(leaf, tiled=True)
