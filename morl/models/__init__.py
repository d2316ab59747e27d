"""Transformer, heads, loading, tokenizers and chat templates."""

from morl.models.backbone import Backbone, MaskedBackbone, TransformerBackbone
from morl.models.chat import (
    ChatTokenizer,
    EncodedRecord,
    Truncation,
    load_chat_tokenizer,
    save_chat_tokenizer,
    train_chat_tokenizer,
)
from morl.models.config import TransformerConfig
from morl.models.fetch import fetch_smollm2
from morl.models.head_files import (
    HeadKind,
    HeadSet,
    load_heads,
    save_heads,
)
from morl.models.heads import LinearHead, Reading, head_rewards
from morl.models.hub import fetch_hub
from morl.models.language_model import (
    LanguageModel,
    load_language_model,
    save_language_model,
)
from morl.models.loading import load_weights, save_weights
from morl.models.reward_checkpoint import load_reward_model, save_reward_model
from morl.models.reward_model import RewardModel, reward_model_of, sequence_rewards
from morl.models.templates import ChatTemplate, check_template
from morl.models.transformer import Encoding, Transformer

__all__ = [
    "Backbone",
    "ChatTemplate",
    "ChatTokenizer",
    "EncodedRecord",
    "Encoding",
    "HeadKind",
    "HeadSet",
    "LanguageModel",
    "LinearHead",
    "MaskedBackbone",
    "Reading",
    "RewardModel",
    "Transformer",
    "TransformerBackbone",
    "TransformerConfig",
    "Truncation",
    "check_template",
    "fetch_hub",
    "fetch_smollm2",
    "head_rewards",
    "load_chat_tokenizer",
    "load_heads",
    "load_language_model",
    "load_reward_model",
    "load_weights",
    "reward_model_of",
    "save_chat_tokenizer",
    "save_heads",
    "save_language_model",
    "save_reward_model",
    "save_weights",
    "sequence_rewards",
    "train_chat_tokenizer",
]
