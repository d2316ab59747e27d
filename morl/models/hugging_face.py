"""Hugging Face folders: ``config.json`` to and from a config, checked safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from morl.errors import InputError
from morl.models.config import RotaryStretch, TransformerConfig
from morl.models.families import FAMILIES, Family, family_of
from morl.storage import read_json

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LLAMA3 = "llama3"
STRETCH = (  # the settings of RotaryStretch, in their order
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
)

# What the transformer computes, key by key; any other value would change the result.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "mlp_bias": (False, None),
    "pretraining_tp": (1, None),
    "partial_rotary_factor": (1, 1.0, None),
    "rope_interleaved": (False, None),
    "use_sliding_window": (False, None),
    "quantization_config": (None,),
    "is_encoder_decoder": (False, None),
    "add_cross_attention": (False, None),
}
READ = {
    *("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "head_dim"),
    *("num_attention_heads", "num_key_value_heads", "intermediate_size"),
    *("rope_theta", "rope_scaling", "rope_parameters", "rms_norm_eps"),
    *("max_position_embeddings", "tie_word_embeddings", "attention_bias"),
    *("layer_types", "torch_dtype", "dtype", "sliding_window"),
}
# Training, bookkeeping, labels and defaults of generation: no part of the forward pass.
UNUSED = {
    *("architectures", "attention_dropout", "bos_token_id", "eos_token_id"),
    *("pad_token_id", "initializer_range", "use_cache", "transformers_version"),
    *("_name_or_path", "is_llama_config", "transformers.js_config"),
    *("max_window_layers", "_attn_implementation_autoset"),
    *("output_attentions", "output_hidden_states", "return_dict", "id2label"),
    *("label2id", "num_labels", "problem_type", "classifier_dropout", "morl_bias"),
    *("chunk_size_feed_forward", "unsloth_fixed", "unsloth_version"),
}


def _whole(config: Mapping[str, Any], key: str, where: str) -> int:
    """A positive integer of the config."""
    if key not in config:
        raise InputError(
            "missing, expected a positive integer", where=f"{where}: {key}"
        )
    value = config[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(
            f"found {value!r}, expected a positive integer", where=f"{where}: {key}"
        )
    return value


def _number(config: Mapping[str, Any], key: str, default: float, where: str) -> float:
    """A number of the config."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"found {value!r}, expected a number", where=f"{where}: {key}")
    return float(value)


def _rotary(
    config: Mapping[str, Any], where: str
) -> tuple[float, RotaryStretch | None]:
    """Rotary base and stretch, from where either generation of configs keeps them."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    place = f"{where}: rope_scaling"
    if not isinstance(scaling, dict):
        raise InputError(f"found {scaling!r}, expected an object", where=place)
    base = _number({**config, **scaling}, "rope_theta", 10_000.0, where)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    own = set(scaling) - {"rope_type", "type", "rope_theta"}
    if kind == "default" and not own:
        return base, None
    if kind != LLAMA3 or own != set(STRETCH):
        raise InputError(
            f"found rotary scaling {dict(scaling)}, expected rope_type 'default', or "
            f"{LLAMA3!r} with {', '.join(STRETCH)}",
            where=place,
        )
    *real, positions = STRETCH
    factor, low, high = (_number(scaling, key, 0.0, place) for key in real)
    try:
        return base, RotaryStretch(factor, low, high, _whole(scaling, positions, place))
    except InputError as error:
        if str(error).startswith(where):
            raise
        raise InputError(str(error), where=place) from None


def _check_keys(config: Mapping[str, Any], family: Family, where: str) -> None:
    """Refuses whatever the transformer would not honour."""
    fixed = {**FIXED, **family.fixed}
    for key, value in config.items():
        if key in fixed:
            if value not in fixed[key]:
                raise InputError(
                    f"found {value!r}, expected {fixed[key][0]!r}: the transformer has "
                    "no other",
                    where=f"{where}: {key}",
                )
        elif key not in READ | UNUSED and value not in (None, False):
            raise InputError(
                f"found {value!r} under a key that is not known; remove it if it does "
                "not change the computation",
                where=f"{where}: {key}",
            )
    kinds = config.get("layer_types") or []
    others = set(map(str, kinds)) if isinstance(kinds, list) else {str(kinds)}
    if others := sorted(others - {"full_attention"}):
        raise InputError(
            f"found {others}, expected full_attention in every layer",
            where=f"{where}: layer_types",
        )


def config_from_json(
    config: Mapping[str, Any], *, where: str = CONFIG
) -> TransformerConfig:
    """The transformer that a ``config.json`` describes.

    Args:
      config: The parsed file.
      where: Name of the file, for errors.

    Returns:
      Its configuration; ``dtype`` is float32 whatever the file stores.

    Raises:
      InputError: The architecture, a rotary scaling or any other key asks for what the
        transformer does not compute, or a size is missing or wrong.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise InputError(
            f"found architecture {kind!r}, expected one of {tuple(FAMILIES)}",
            where=f"{where}: model_type",
        )
    family = FAMILIES[kind]
    _check_keys(config, family, where)
    config = {**family.defaults, **config}
    heads = _whole(config, "num_attention_heads", where)
    width = _whole(config, "hidden_size", where)
    optional = {key: value for key, value in config.items() if value is not None}
    biased = bool(optional.get("attention_bias", False))
    sizes = {"num_key_value_heads": heads, "head_dim": width // heads} | optional
    sizes = {"max_position_embeddings": 32_768} | sizes
    base, stretch = _rotary(config, where)
    try:
        return TransformerConfig(
            vocab_size=_whole(config, "vocab_size", where),
            width=width,
            num_layers=_whole(config, "num_hidden_layers", where),
            num_heads=heads,
            num_kv_heads=_whole(sizes, "num_key_value_heads", where),
            head_dim=_whole(sizes, "head_dim", where),
            ffn_width=_whole(config, "intermediate_size", where),
            rope_base=base,
            rope_stretch=stretch,
            norm_epsilon=_number(optional, "rms_norm_eps", 1e-6, where),
            max_positions=_whole(sizes, "max_position_embeddings", where),
            tied=bool(optional.get("tie_word_embeddings", False)),
            qkv_bias=biased or kind == "qwen2",
            output_bias=biased and kind != "qwen2",
            qk_norm=kind == "qwen3",
            window=_window(config, where) if kind == "mistral" else None,
            gelu_gate=kind == "gemma",
            offset_norms=kind == "gemma",
            scaled_embedding=kind == "gemma",
        )
    except InputError as error:
        if str(error).startswith(where):
            raise
        raise InputError(str(error), where=where) from None


def _window(config: Mapping[str, Any], where: str) -> int | None:
    window = config["sliding_window"]
    return None if window is None else _whole(config, "sliding_window", where)


def config_to_json(
    config: TransformerConfig, *, purpose: str = "CausalLM"
) -> dict[str, Any]:
    """The ``config.json`` of a configuration, which ``transformers`` reads.

    A Mistral without a window is a Llama, and written as one.

    Args:
      config: What to write.
      purpose: What the class in ``transformers`` is for, the end of its name.

    Raises:
      InputError: No family of Hugging Face has this combination of settings.
    """
    family = family_of(config)
    own: dict[str, Any] = {}
    if family in ("llama", "qwen3", "gemma"):
        own["attention_bias"] = config.output_bias
    if family == "mistral":
        own["sliding_window"] = config.window
    return {
        "architectures": [f"{FAMILIES[family].architecture}For{purpose}"],
        "model_type": family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn_width,
        "hidden_act": "gelu_pytorch_tanh" if config.gelu_gate else "silu",
        "rope_theta": config.rope_base,
        **_scaling(config.rope_stretch),
        "rms_norm_eps": config.norm_epsilon,
        "max_position_embeddings": config.max_positions,
        "tie_word_embeddings": config.tied,
        "torch_dtype": config.dtype,
        **own,
    }


def _scaling(stretch: RotaryStretch | None) -> dict[str, Any]:
    if stretch is None:
        return {}
    values = dict(zip(STRETCH, vars(stretch).values(), strict=True))
    return {"rope_scaling": {"rope_type": LLAMA3, **values}}


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: the single one, or the shards of its index.

    Raises:
      InputError: There are none, or the index names a file that is missing.
    """
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.exists():
        raise InputError(f"found neither {WEIGHTS} nor {INDEX}", where=str(folder))
    shards = read_json(index)
    mapping = shards.get("weight_map") if isinstance(shards, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise InputError("found no weight_map, expected one", where=str(index))
    paths = [folder / name for name in sorted(set(mapping.values()))]
    for path in paths:
        if not path.exists():
            raise InputError(f"no such shard, named by {INDEX}", where=str(path))
    return paths


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a safetensors file, as float32 where it is a float of any width.

    Raises:
      InputError: The file is truncated or garbled.
    """
    try:
        # The flax framework is the one that knows bfloat16, which NumPy lacks.
        with safe_open(path, framework="flax") as handle:
            return {
                name: np.asarray(handle.get_tensor(name), np.float32)
                for name in handle.keys()  # noqa: SIM118
            }
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(
            f"damaged or truncated safetensors file ({error}); fetch it again",
            where=str(path),
        ) from None


def read_folder_json(folder: Path) -> dict[str, Any]:
    """The parsed ``config.json`` of a folder."""
    path = folder / CONFIG
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError("found no object, expected one", where=str(path))
    return config


def read_folder_config(folder: Path) -> TransformerConfig:
    """The configuration of a folder, from its ``config.json``."""
    return config_from_json(read_folder_json(folder), where=str(folder / CONFIG))
