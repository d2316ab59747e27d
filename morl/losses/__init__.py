"""Losses of reward models; each returns an undivided ``WeightedSum``."""

from morl.losses.language import next_token_loss
from morl.losses.pairwise import bradley_terry, margin_bradley_terry
from morl.losses.pointwise import binary_cross_entropy, squared_error

__all__ = [
    "binary_cross_entropy",
    "bradley_terry",
    "margin_bradley_terry",
    "next_token_loss",
    "squared_error",
]
