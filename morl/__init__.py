"""Multi-objective reward composition for aligning language models, in JAX."""

from morl.errors import InputError
from morl.pareto import simplex_lattice
from morl.rewards import (
    Calibration,
    Composition,
    Declarations,
    Reward,
    UncalibratedWarning,
    calibrate,
    chebyshev,
    from_yaml,
    linear,
    objective,
    objectives,
    percentile,
    rules,
    scalarized,
    smooth_chebyshev,
    transforms,
    where,
    worst_case,
)
from morl.rewards import schedule as schedules
from morl.tracing import trace

__all__ = [
    "Calibration",
    "Composition",
    "Declarations",
    "InputError",
    "Reward",
    "UncalibratedWarning",
    "calibrate",
    "chebyshev",
    "from_yaml",
    "linear",
    "objective",
    "objectives",
    "percentile",
    "rules",
    "scalarized",
    "schedules",
    "simplex_lattice",
    "smooth_chebyshev",
    "trace",
    "transforms",
    "where",
    "worst_case",
]
