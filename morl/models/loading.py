"""Language models from and to disk: a Hugging Face folder, or a GGUF file."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from morl.errors import InputError
from morl.models.checkpoint import tensors_of, transformer_from_tensors
from morl.models.gguf import gguf_config, gguf_tensors, open_gguf
from morl.models.hugging_face import (
    CONFIG,
    WEIGHTS,
    config_to_json,
    read_folder_config,
    read_safetensors,
    weight_files,
)
from morl.models.transformer import Transformer
from morl.storage import atomic_file, write_json


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 over the bytes of the weight files, one after the other."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as handle:
            while block := handle.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def load_weights(
    path: str | Path, *, dtype: str = "float32"
) -> tuple[Transformer, str]:
    """The transformer that a checkpoint holds, without its tokenizer.

    Args:
      path: A Hugging Face folder (``config.json`` and safetensors, single or sharded),
        or a ``.gguf`` file of Llama, Mistral or Gemma.
      dtype: What parameters and activations are stored in.

    Returns:
      The transformer, and the SHA-256 of its weight files.

    Raises:
      InputError: The file is missing, truncated or garbled, or its architecture is not
        one of the transformer's; the message names file and tensor.
    """
    path = Path(path)
    if path.suffix == ".gguf":
        reader = open_gguf(path)
        config = replace(gguf_config(reader, path), dtype=dtype)
        tensors = gguf_tensors(reader, config, path)
        model = transformer_from_tensors(config, tensors, where=str(path))
        return model, fingerprint([path])
    if not path.is_dir():
        raise InputError(
            "expected a .gguf file, or a folder with config.json and safetensors",
            where=str(path),
        )
    config = replace(read_folder_config(path), dtype=dtype)
    tensors, digest = read_folder_tensors(path)
    return transformer_from_tensors(config, tensors, where=str(path)), digest


def read_folder_tensors(folder: Path) -> tuple[dict[str, np.ndarray], str]:
    """Every tensor of a folder's safetensors, and the SHA-256 of these files."""
    files = weight_files(folder)
    tensors: dict[str, np.ndarray] = {}
    for file in files:
        tensors |= read_safetensors(file)
    return tensors, fingerprint(files)


def save_weights(model: Transformer, folder: str | Path) -> str:
    """Writes ``config.json`` and ``model.safetensors``, which ``transformers`` reads.

    Returns:
      The SHA-256 of the weight file.
    """
    return write_folder_tensors(
        Path(folder), config_to_json(model.config), tensors_of(model)
    )


def write_folder_tensors(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> str:
    """Writes a parsed ``config.json`` and its tensors; the SHA-256 of the weights."""
    write_json(folder / CONFIG, config)
    whole = {n: np.ascontiguousarray(a) for n, a in tensors.items()}
    with atomic_file(folder / WEIGHTS) as handle:
        handle.write(save(whole, metadata={"format": "pt"}))
    return fingerprint([folder / WEIGHTS])
