"""Generation, best-of-n and the exact tilt."""

from morl.sampling.generate import Generation, generate

__all__ = ["Generation", "generate"]
