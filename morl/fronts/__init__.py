"""Recipes that produce a ``Front``."""

from morl.fronts.assemble import assemble_front, weightings
from morl.fronts.candidates import Candidates, text_candidates
from morl.fronts.fitting import Fitted, fit_pool, fit_whole
from morl.fronts.policy import Policy
from morl.fronts.pool import Pool, balanced_prompts, make_pool
from morl.fronts.sampling import Sampled, sample_candidates
from morl.fronts.settings import CandidateSettings, HeadSettings, SweepSettings
from morl.fronts.trace import Sweep, sweep, trace_sweep

__all__ = [
    "CandidateSettings",
    "Candidates",
    "Fitted",
    "HeadSettings",
    "Policy",
    "Pool",
    "Sampled",
    "Sweep",
    "SweepSettings",
    "assemble_front",
    "balanced_prompts",
    "fit_pool",
    "fit_whole",
    "make_pool",
    "sample_candidates",
    "sweep",
    "text_candidates",
    "trace_sweep",
    "weightings",
]
