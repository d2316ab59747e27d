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
    "States",
    "ensemble",
    "gated",
    "gaussian",
    "head_rewards",
    "init_linear_head",
    "linear",
    "mlp",
    "quantile",
    "single",
]
