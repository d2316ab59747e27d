"""What a user writes: rewards, conditions, transforms and their composition."""

from morl.rewards.calibration import Calibration, calibrate
from morl.rewards.compose import (
    chebyshev,
    linear,
    scalarized,
    smooth_chebyshev,
    where,
    worst_case,
)
from morl.rewards.composition import Composition, UncalibratedWarning
from morl.rewards.gates import Condition, Constraint, percentile
from morl.rewards.objective import (
    RULE,
    Declarations,
    Reward,
    Source,
    objective,
    objectives,
)
from morl.rewards.pipeline import Outcome
from morl.rewards.reading import from_yaml
from morl.rewards.schedule import Schedule
from morl.rewards.transforms import Transform

__all__ = [
    "RULE",
    "Calibration",
    "Composition",
    "Condition",
    "Constraint",
    "Declarations",
    "Outcome",
    "Reward",
    "Schedule",
    "Source",
    "Transform",
    "UncalibratedWarning",
    "calibrate",
    "chebyshev",
    "from_yaml",
    "linear",
    "objective",
    "objectives",
    "percentile",
    "scalarized",
    "smooth_chebyshev",
    "where",
    "worst_case",
]
