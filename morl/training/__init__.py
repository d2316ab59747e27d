"""Features, the fit of heads, and the training of a small language model."""

from morl.training.cross_validation import CrossValidation, cross_validate
from morl.training.features import (
    Features,
    PackedBatch,
    extract_features,
    pack,
    pooled_states,
)
from morl.training.heads import HeadData, HeadFit, fit_heads, head_loss

__all__ = [
    "CrossValidation",
    "Features",
    "HeadData",
    "HeadFit",
    "PackedBatch",
    "cross_validate",
    "extract_features",
    "fit_heads",
    "head_loss",
    "pack",
    "pooled_states",
]
