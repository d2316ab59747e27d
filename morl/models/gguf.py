"""GGUF files of Llama, Mistral and Gemma: configuration and dequantised weights."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.models.config import RotaryStretch, TransformerConfig
from morl.models.gguf_rotary import stretch_of_divisors

if TYPE_CHECKING:
    from gguf import GGUFReader

LLAMA, GEMMA = "llama", "gemma"  # llama.cpp has no other name for Mistral
ARCHITECTURES = (LLAMA, GEMMA)
DIVISORS = "rope_freqs.weight"
QUANTISATIONS = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q8_0")
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def open_gguf(path: Path) -> "GGUFReader":
    """Opens a GGUF file; its tensors are mapped from disk, not yet read.

    Raises:
      InputError: The ``gguf`` package is missing, or the file is damaged or truncated.
    """
    try:
        from gguf import GGUFReader
    except ImportError:
        raise InputError(
            "reading GGUF needs the gguf package: pip install 'morl[gguf]'",
            where=str(path),
        ) from None
    if not path.exists():
        raise InputError("no such file", where=str(path))

    class PlainReader(GGUFReader):
        """Slices a plain array: of a memmap every one of a million costs thrice."""

        def __setattr__(self, name: str, value: Any) -> None:
            is_map = isinstance(value, np.memmap)
            super().__setattr__(name, value.view(np.ndarray) if is_map else value)

    try:
        return PlainReader(path)
    # The reader meets garbage with whatever its parsing trips over.
    except Exception as error:
        raise InputError(
            f"damaged or truncated GGUF file ({error or type(error).__name__}); "
            "fetch it again",
            where=str(path),
        ) from None


def gguf_field(reader: "GGUFReader", key: str, path: Path) -> Any:
    """The value under a key of the file's header.

    Raises:
      InputError: The key is missing.
    """
    field = reader.fields.get(key)
    if field is None:
        raise InputError("missing key", where=f"{path}: {key}")
    try:
        return field.contents()
    except ValueError as error:
        raise InputError(f"damaged: {error}", where=f"{path}: {key}") from None


def gguf_config(reader: "GGUFReader", path: Path) -> TransformerConfig:
    """The transformer that a GGUF file holds.

    Raises:
      InputError: Another architecture, a rotary scaling that is not Llama 3's, or a
        key that is missing.
    """
    architecture = gguf_field(reader, "general.architecture", path)
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"found architecture {architecture!r}, expected one of {ARCHITECTURES}",
            where=str(path),
        )
    for key in reader.fields:
        if key.startswith(f"{architecture}.rope.scaling") or "expert" in key:
            raise InputError(
                "found a setting that the transformer does not have",
                where=f"{path}: {key}",
            )

    def read(key: str, kind: type = int, default: Any = None) -> Any:
        key = f"{architecture}.{key}"
        if default is not None and key not in reader.fields:
            return default
        value = gguf_field(reader, key, path)
        if not isinstance(value, kind):
            raise InputError(
                f"found {value!r}, expected {kind.__name__}", where=f"{path}: {key}"
            )
        return value

    epsilon = read("attention.layer_norm_rms_epsilon", float)
    heads, width = read("attention.head_count"), read("embedding_length")
    head_dim = read("rope.dimension_count", default=width // max(heads, 1))
    head_dim = read("attention.key_length", default=head_dim)
    for key in ("attention.value_length", "rope.dimension_count"):
        if (found := read(key, default=head_dim)) != head_dim:
            raise InputError(
                f"found {found}, expected the width of a key head, {head_dim}",
                where=f"{path}: {architecture}.{key}",
            )
    gemma = architecture == GEMMA
    names = {tensor.name for tensor in reader.tensors}
    embedding = next((t for t in reader.tensors if t.name == "token_embd.weight"), None)
    if embedding is None:
        raise InputError("missing tensor", where=f"{path}: token_embd.weight")
    config = TransformerConfig(
        vocab_size=int(embedding.shape[1]),
        width=width,
        num_layers=read("block_count"),
        num_heads=heads,
        num_kv_heads=read("attention.head_count_kv"),
        head_dim=head_dim,
        ffn_width=read("feed_forward_length"),
        rope_base=float(read("rope.freq_base", float, 10_000.0)),
        # The header stores 1e-5 as a float32; the weights were trained with 1e-5.
        norm_epsilon=float(f"{epsilon:.6g}"),
        max_positions=read("context_length"),
        tied="output.weight" not in names,
        qkv_bias="blk.0.attn_q.bias" in names,
        output_bias="blk.0.attn_output.bias" in names,
        window=read("attention.sliding_window", default=0) or None,
        gelu_gate=gemma,
        offset_norms=gemma,
        scaled_embedding=gemma,
    )
    return replace(config, rope_stretch=_stretch(reader, config, path))


def _stretch(
    reader: "GGUFReader", config: TransformerConfig, path: Path
) -> RotaryStretch | None:
    planes = config.head_dim // 2
    for tensor in reader.tensors:
        if tensor.name == DIVISORS:
            where = f"{path}: {DIVISORS}"
            divisors = np.asarray(tensor.data, np.float32)
            if divisors.shape != (planes,):
                raise InputError(
                    f"found shape {divisors.shape}, expected {(planes,)}", where=where
                )
            return stretch_of_divisors(divisors, config.rope_base, where=where)
    return None


def unpermute(
    weight: Float[np.ndarray, "..."], num_heads: int
) -> Float[np.ndarray, "..."]:
    """Rows of a query or key weight from GGUF's order back to halves.

    GGUF interleaves the two entries of each rotary plane; here, as in Hugging Face,
    plane ``i`` holds entries ``i`` and ``i + c / 2`` of its head.

    Examples:
      >>> unpermute(np.arange(4.0), num_heads=1)
      array([0., 2., 1., 3.])
    """
    planes = weight.reshape(num_heads, -1, 2, *weight.shape[1:])
    return planes.swapaxes(1, 2).reshape(weight.shape)


def _hugging_face_name(name: str) -> str | None:
    """The name a GGUF tensor has in a Hugging Face checkpoint."""
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    parts = name.split(".")
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in LAYER_NAMES:
        return None
    return f"model.layers.{parts[1]}.{LAYER_NAMES[parts[2]]}.{parts[3]}"


def gguf_tensors(
    reader: "GGUFReader", config: TransformerConfig, path: Path
) -> dict[str, np.ndarray]:
    """Every weight in float32, under its Hugging Face name and in its row order.

    Files of the llama family keep the rows of queries and keys permuted; those of Gemma
    do not, and have one already added to the weights of the norms.

    Raises:
      InputError: A tensor is not known or does not divide into heads, or its
        quantisation is none of :data:`QUANTISATIONS`.
    """
    from gguf.quants import dequantize

    permuted = gguf_field(reader, "general.architecture", path) == LLAMA
    counts = {"attn_q": config.num_heads, "attn_k": config.num_kv_heads}
    heads = counts if permuted else {}
    found = {}
    for tensor in reader.tensors:
        if tensor.name == DIVISORS:
            continue
        name = _hugging_face_name(tensor.name)
        kind = tensor.tensor_type.name
        where = f"{path}: {tensor.name}"
        if name is None:
            raise InputError("a tensor that the transformer does not have", where=where)
        if kind not in QUANTISATIONS:
            raise InputError(
                f"found quantisation {kind}, expected one of {QUANTISATIONS}",
                where=where,
            )
        try:
            weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        except ValueError as error:
            raise InputError(f"damaged: {error}", where=where) from None
        part = tensor.name.split(".")[-2]
        if part in heads:
            if not weight.size or len(weight) % (2 * heads[part]):
                raise InputError(
                    f"found {len(weight)} rows, expected an even number for each of "
                    f"{heads[part]} heads",
                    where=where,
                )
            weight = unpermute(weight, heads[part])
        if config.offset_norms and part.endswith("norm"):
            weight = weight - 1
        found[name] = weight
    return found
