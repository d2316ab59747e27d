"""Transformer, heads, loading, tokenizers and chat templates."""

from morl.models.config import TransformerConfig
from morl.models.loading import load_weights, save_weights
from morl.models.transformer import Encoding, Transformer

__all__ = [
    "Encoding",
    "Transformer",
    "TransformerConfig",
    "load_weights",
    "save_weights",
]
