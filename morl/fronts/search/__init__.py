"""Searches for a front: sets of designs that cover the best trade-offs."""

from morl.fronts.search.adaptive import Explored, adaptive_weights, next_weights
from morl.fronts.search.box import Box
from morl.fronts.search.evolution import Evolved, nsga2
from morl.fronts.search.exact_search import exact_search
from morl.fronts.search.found import Found
from morl.fronts.search.hypervolume_ascent import (
    hypervolume_ascent,
    layered_hypervolume,
)
from morl.fronts.search.linear_support import (
    Coverage,
    corner_weights,
    linear_support,
    optimistic_gain,
)
from morl.fronts.search.pareto_multitask import pareto_multitask
from morl.fronts.search.set_learning import ParetoSet, SetLearning, learn_pareto_set
from morl.fronts.search.variation import Variation

__all__ = [
    "Box",
    "Coverage",
    "Evolved",
    "Explored",
    "Found",
    "ParetoSet",
    "SetLearning",
    "Variation",
    "adaptive_weights",
    "corner_weights",
    "exact_search",
    "hypervolume_ascent",
    "layered_hypervolume",
    "learn_pareto_set",
    "linear_support",
    "next_weights",
    "nsga2",
    "optimistic_gain",
    "pareto_multitask",
]
