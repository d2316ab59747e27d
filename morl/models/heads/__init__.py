"""Reward heads: from the hidden states of a response to rewards of K objectives."""

from morl.models.heads.distributional import LEVELS, gaussian, quantile
from morl.models.heads.ensemble import ensemble
from morl.models.heads.family import (
    Estimate,
    Head,
    HeadParams,
    Readings,
    States,
    single,
)
from morl.models.heads.gated import GatedHead, gated
from morl.models.heads.linear import LinearHead, head_rewards, init_linear_head, linear
from morl.models.heads.mlp import MLPHead, mlp
from morl.models.heads.reading import POOLINGS, Reading
from morl.models.heads.risk import (
    estimates,
    low_quantile,
    mean_minus_variance,
    worst_case,
)
from morl.models.heads.standard import (
    Standard,
    fit_standard,
    folded,
    standardised,
)

__all__ = [
    "LEVELS",
    "POOLINGS",
    "Estimate",
    "GatedHead",
    "Head",
    "HeadParams",
    "LinearHead",
    "MLPHead",
    "Reading",
    "Readings",
    "Standard",
    "States",
    "ensemble",
    "estimates",
    "fit_standard",
    "folded",
    "gated",
    "gaussian",
    "head_rewards",
    "init_linear_head",
    "linear",
    "low_quantile",
    "mean_minus_variance",
    "mlp",
    "quantile",
    "single",
    "standardised",
    "worst_case",
]
