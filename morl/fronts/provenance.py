"""What the program itself knows of where a front comes from: sizes and versions."""

from dataclasses import replace
from importlib.metadata import version

from morl.fronts.settings import SweepSettings
from morl.pareto import Provenance

# What the numbers pass through, from text to hypervolume.
LIBRARIES = ("morl", "tokenizers", "jax", "jaxlib", "flax", "numpy", "scipy", "moocore")


def completed(
    provenance: Provenance,
    shape: tuple[int, ...],
    num_weightings: int,
    settings: SweepSettings,
) -> Provenance:
    """The provenance with the sizes of what was traced, and the versions it was by.

    Args:
      provenance: What the caller knows; ``created_by`` without a version.
      shape: Prompts, and candidates a prompt.
      num_weightings: Weightings traced, vertices included.
      settings: Draws of the control, and resamples.
    """
    versions = {name: version(name) for name in LIBRARIES}
    sizes = {
        "prompts": shape[0],
        "candidates": shape[1],
        "weightings": num_weightings,
        "noise draws": settings.noise_draws,
        "resamples": settings.resamples,
    }
    return replace(
        provenance,
        created_by=f"{provenance.created_by or 'morl'} {versions['morl']}",
        sizes=sizes,
        versions=versions,
    )
