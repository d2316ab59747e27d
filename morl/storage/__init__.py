"""Files that are whole or absent, content hashes, and checked arrays."""

from morl.storage.arrays import array_digest, read_arrays, write_arrays
from morl.storage.files import (
    atomic_file,
    content_hash,
    file_sha256,
    read_json,
    write_json,
    write_text,
)

__all__ = [
    "array_digest",
    "atomic_file",
    "content_hash",
    "file_sha256",
    "read_arrays",
    "read_json",
    "write_arrays",
    "write_json",
    "write_text",
]
