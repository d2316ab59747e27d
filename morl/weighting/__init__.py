"""Weightings: from the Gramian of the objectives' gradients to objective weights."""

from morl.numerics.rows import combine, cross_gramian, gramian, unbiased_gramian
from morl.weighting.aligned import aligned
from morl.weighting.cagrad import cagrad
from morl.weighting.config import config
from morl.weighting.constant import constant
from morl.weighting.contract import Signals, Solution, State, Weighting
from morl.weighting.diagnostics import conflict_share, gradient_cosines, norm_ratios
from morl.weighting.dual_projection import dual_projection
from morl.weighting.dynamic_average import dynamic_average
from morl.weighting.epo import epo
from morl.weighting.fair import fair
from morl.weighting.famo import famo
from morl.weighting.gradnorm import gradnorm
from morl.weighting.imtl import imtl
from morl.weighting.kept import is_due, kept
from morl.weighting.layerwise import layerwise_gramian, repeated, single
from morl.weighting.min_norm import min_norm
from morl.weighting.modo import modo
from morl.weighting.nash import nash
from morl.weighting.pcgrad import pcgrad
from morl.weighting.raco import raco
from morl.weighting.random_simplex import random_simplex
from morl.weighting.rows import (
    join,
    one_by_one,
    rows,
    rows_with_aux,
    side_by_side,
    split,
    weighted_gradient,
)
from morl.weighting.sdm import sdm
from morl.weighting.transformation import TransformationState, as_transformation
from morl.weighting.uncertainty import uncertainty
from morl.weighting.upgrad import upgrad

__all__ = [
    "Signals",
    "Solution",
    "State",
    "TransformationState",
    "Weighting",
    "aligned",
    "as_transformation",
    "cagrad",
    "combine",
    "config",
    "conflict_share",
    "constant",
    "cross_gramian",
    "dual_projection",
    "dynamic_average",
    "epo",
    "fair",
    "famo",
    "gradient_cosines",
    "gradnorm",
    "gramian",
    "imtl",
    "is_due",
    "join",
    "kept",
    "layerwise_gramian",
    "min_norm",
    "modo",
    "nash",
    "norm_ratios",
    "one_by_one",
    "pcgrad",
    "raco",
    "random_simplex",
    "repeated",
    "rows",
    "rows_with_aux",
    "sdm",
    "side_by_side",
    "single",
    "split",
    "unbiased_gramian",
    "uncertainty",
    "upgrad",
    "weighted_gradient",
]
