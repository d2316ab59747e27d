"""The families of Hugging Face that one transformer is, and how they differ."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from morl.errors import InputError
from morl.models.config import TransformerConfig


class Family(NamedTuple):
    """What one ``model_type`` of Hugging Face is.

    Attributes:
      architecture: Name of its classes in ``transformers``, less what they are for.
      fixed: Keys that only this family has no choice in, with the values that the
        transformer computes, its default first.
      defaults: What ``transformers`` takes where the file leaves a key out.
    """

    architecture: str
    fixed: Mapping[str, tuple[Any, ...]] = {}
    defaults: Mapping[str, Any] = {}


FAMILIES: Mapping[str, Family] = {
    "llama": Family("Llama"),
    "mistral": Family(
        "Mistral",
        fixed={"attention_bias": (False, None)},
        defaults={
            "num_key_value_heads": 8,
            "max_position_embeddings": 131_072,
            "sliding_window": 4096,
        },
    ),
    "qwen2": Family("Qwen2"),
    "qwen3": Family("Qwen3"),
    "gemma": Family(
        "Gemma",
        # The first releases say "gelu" and mean its tanh form, then as now.
        fixed={
            "hidden_act": ("gelu_pytorch_tanh", "gelu", None),
            "hidden_activation": ("gelu_pytorch_tanh", None),
            "use_bidirectional_attention": (False, None),
        },
        defaults={
            "num_key_value_heads": 16,
            "head_dim": 256,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
            "pad_token_id": 0,
        },
    ),
}

# The settings that tell families apart, and the sets of them that a family has.
VARIANTS = (
    *("qkv_bias", "output_bias", "qk_norm", "window"),
    *("gelu_gate", "offset_norms", "scaled_embedding"),
)
_BIASES, _GEMMA = {"qkv_bias", "output_bias"}, set(VARIANTS[4:])
FAMILY_OF: Mapping[frozenset[str], str] = {
    frozenset(settings): family
    for settings, family in (
        (set[str](), "llama"),
        (_BIASES, "llama"),
        ({"window"}, "mistral"),
        ({"qkv_bias"}, "qwen2"),
        ({"qk_norm"}, "qwen3"),
        (_BIASES | {"qk_norm"}, "qwen3"),
        (_GEMMA, "gemma"),
        (_GEMMA | _BIASES, "gemma"),
    )
}


def family_of(config: TransformerConfig) -> str:
    """The ``model_type`` that a configuration is written as.

    Examples:
      >>> family_of(TransformerConfig(64, 16, 2, 4, 2, 4, 32, window=8))
      'mistral'

    Raises:
      InputError: No family of Hugging Face has this combination of settings.
    """
    found = [name for name in VARIANTS if vars(config)[name]]
    family = FAMILY_OF.get(frozenset(found))
    if family is None:
        known = [
            f"{family} ({', '.join(sorted(settings)) or 'none of them'})"
            for settings, family in FAMILY_OF.items()
        ]
        raise InputError(
            f"found {', '.join(found)}, expected the settings of one family: "
            f"{'; '.join(known)}",
            where="TransformerConfig",
        )
    return family
