"""Named arrays on disk, checked when they are read: safetensors with a digest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from morl.errors import InputError
from morl.storage.files import atomic_file

DIGEST = "sha256"


def array_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def write_arrays(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes arrays as one safetensors file, atomically, with a digest of its content.

    Args:
      path: Where to; parents are made.
      arrays: Names to arrays.
      metadata: Strings kept beside them.
    """
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic_file(path) as handle:
        handle.write(
            save(whole, metadata={**(metadata or {}), DIGEST: array_digest(whole)})
        )


def read_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads what :func:`write_arrays` wrote, and its metadata without the digest.

    Raises:
      InputError: The file is missing, truncated, or its content does not match its
        digest; the message names it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such file", where=str(path))
    try:
        with safe_open(path, framework="numpy") as handle:
            metadata = dict(handle.metadata() or {})
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"damaged array file ({error}); delete it to compute it again",
            where=str(path),
        ) from None
    found = metadata.pop(DIGEST, None)
    if found != array_digest(arrays):
        raise InputError(
            "content does not match its digest; delete it to compute it again",
            where=str(path),
        )
    return arrays, metadata
