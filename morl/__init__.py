"""Multi-objective reward composition for aligning language models, in JAX."""

from morl.errors import InputError
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
    "smooth_chebyshev",
    "transforms",
    "where",
    "worst_case",
]
