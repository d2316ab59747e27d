"""Arithmetic that every room shares: masked statistics, bootstrap, gradient rows."""

from morl.numerics.bootstrap import (
    NUM_RESAMPLES,
    interval,
    resample_counts,
    resampled_means,
)
from morl.numerics.masked import WeightedSum, masked_mean, masked_sum
from morl.numerics.rows import combine, cross_gramian, gramian, unbiased_gramian

__all__ = [
    "NUM_RESAMPLES",
    "WeightedSum",
    "combine",
    "cross_gramian",
    "gramian",
    "interval",
    "masked_mean",
    "masked_sum",
    "resample_counts",
    "resampled_means",
    "unbiased_gramian",
]
