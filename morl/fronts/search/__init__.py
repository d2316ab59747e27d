"""Searches for a front: sets of designs that cover the best trade-offs."""

from morl.fronts.search.evolution import Evolved, nsga2
from morl.fronts.search.variation import Variation

__all__ = ["Evolved", "Variation", "nsga2"]
