"""Arithmetic that every room shares: masked statistics, bootstrap."""

from morl.numerics.bootstrap import (
    NUM_RESAMPLES,
    interval,
    resample_counts,
    resampled_means,
)
from morl.numerics.masked import WeightedSum, masked_mean, masked_sum

__all__ = [
    "NUM_RESAMPLES",
    "WeightedSum",
    "interval",
    "masked_mean",
    "masked_sum",
    "resample_counts",
    "resampled_means",
]
