"""Generation, best-of-n and the exact tilt."""

from morl.sampling.generate import Generation, generate
from morl.sampling.select import best_of_n, best_of_n_kl, kl_to_candidates, tilt

__all__ = [
    "Generation",
    "best_of_n",
    "best_of_n_kl",
    "generate",
    "kl_to_candidates",
    "tilt",
]
