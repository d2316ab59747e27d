"""Arithmetic that every room shares: masked statistics, bootstrap."""

from morl.numerics.bootstrap import (
    interval,
    mean_interval,
    resample_counts,
    resampled_means,
)
from morl.numerics.masked import WeightedSum, masked_mean, masked_std, masked_sum

__all__ = [
    "WeightedSum",
    "interval",
    "masked_mean",
    "masked_std",
    "masked_sum",
    "mean_interval",
    "resample_counts",
    "resampled_means",
]
