"""Arithmetic that every room shares: masked statistics, extremes, norms, rows."""

from morl.numerics.bootstrap import (
    NUM_RESAMPLES,
    interval,
    resample_counts,
    resampled_means,
)
from morl.numerics.conflict_averse import AverseSolution, conflict_averse
from morl.numerics.extremes import first_largest
from morl.numerics.masked import WeightedSum, masked_mean, masked_sum
from morl.numerics.norms import length, unit
from morl.numerics.power_equation import PowerSolution, power_equation
from morl.numerics.rows import combine, cross_gramian, gramian, unbiased_gramian
from morl.numerics.small_qp import QPSolution, above_qp, least_norm, nonnegative_qp

__all__ = [
    "NUM_RESAMPLES",
    "AverseSolution",
    "PowerSolution",
    "QPSolution",
    "WeightedSum",
    "above_qp",
    "combine",
    "conflict_averse",
    "cross_gramian",
    "first_largest",
    "gramian",
    "interval",
    "least_norm",
    "length",
    "masked_mean",
    "masked_sum",
    "nonnegative_qp",
    "power_equation",
    "resample_counts",
    "resampled_means",
    "unbiased_gramian",
    "unit",
]
