"""Scalarizers: a reward vector and weights to one utility, larger is better.

Each takes one reward vector; batch with ``jax.vmap`` at the call site, ``in_axes=(0,
None)`` where the weights are shared and ``0`` where they vary.
"""

from morl.scalarize.boundary import penalty_boundary
from morl.scalarize.chebyshev import augmented_chebyshev, chebyshev, smooth_chebyshev
from morl.scalarize.cosmos import cosmos
from morl.scalarize.distance import lp_distance
from morl.scalarize.exponential import exponential, log_sum_exp
from morl.scalarize.hypervolume import hypervolume_scalarization
from morl.scalarize.lexicographic import lexicographic, lexicographic_rank
from morl.scalarize.linear import linear
from morl.scalarize.nash import nash_product
from morl.scalarize.ordered import generalized_gini, owa
from morl.scalarize.present import keep_present
from morl.scalarize.tail import cvar
from morl.scalarize.worst_case import worst_case

__all__ = [
    "augmented_chebyshev",
    "chebyshev",
    "cosmos",
    "cvar",
    "exponential",
    "generalized_gini",
    "hypervolume_scalarization",
    "keep_present",
    "lexicographic",
    "lexicographic_rank",
    "linear",
    "log_sum_exp",
    "lp_distance",
    "nash_product",
    "owa",
    "penalty_boundary",
    "smooth_chebyshev",
    "worst_case",
]
