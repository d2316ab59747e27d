"""What the program itself knows of where a front comes from: sizes and versions."""

from dataclasses import replace
from importlib.metadata import version

import numpy as np

from morl.fronts.candidates import Candidates
from morl.fronts.settings import SweepSettings
from morl.pareto import Provenance

# What the numbers pass through, from text to hypervolume.
LIBRARIES = ("morl", "tokenizers", "jax", "jaxlib", "flax", "numpy", "scipy", "moocore")


def absent(candidates: Candidates) -> dict[str, int]:
    """How many candidates lack each reward that any of them lacks."""
    counts = np.sum(~candidates.present, axis=(0, 1))
    pairs = zip(candidates.names, counts.tolist(), strict=True)
    return {name: count for name, count in pairs if count}


def completed(
    provenance: Provenance,
    candidates: Candidates,
    num_weightings: int,
    settings: SweepSettings,
) -> Provenance:
    """The provenance with the sizes of what was traced, and the versions it was by.

    Args:
      provenance: What the caller knows; ``created_by`` without a version.
      candidates: What was traced; rewards that are absent somewhere are counted.
      num_weightings: Weightings traced, vertices included.
      settings: Draws of the control, and resamples.
    """
    versions = {name: version(name) for name in LIBRARIES}
    sizes = {
        "prompts": candidates.lengths.shape[0],
        "candidates": candidates.lengths.shape[1],
        "weightings": num_weightings,
        "noise draws": settings.noise_draws,
        "resamples": settings.resamples,
    }
    sizes |= {f"without {name}": n for name, n in absent(candidates).items()}
    return replace(
        provenance,
        created_by=f"{provenance.created_by or 'morl'} {versions['morl']}",
        sizes=sizes,
        versions=versions,
    )
