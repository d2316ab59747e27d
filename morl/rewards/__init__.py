"""What a user writes: rewards, conditions, transforms and their composition."""

from morl.rewards import rules
from morl.rewards.batch import (
    LogProbs,
    Row,
    Scored,
    Scorer,
    TextBatch,
    record_batch,
    text_batch,
)
from morl.rewards.batched import batched_reward
from morl.rewards.calibration import Calibration, calibrate
from morl.rewards.callables import callable_reward
from morl.rewards.compose import (
    chebyshev,
    linear,
    scalarized,
    smooth_chebyshev,
    where,
    worst_case,
)
from morl.rewards.composition import Composition, UncalibratedWarning
from morl.rewards.explain import Explanation, explain_batch
from morl.rewards.functions import array_reward
from morl.rewards.gates import Condition, Constraint, percentile
from morl.rewards.implicit import (
    implicit_reward,
    implicit_rewards,
    implicit_token_rewards,
)
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
from morl.rewards.scoring import Scores, head_reward, score_sources
from morl.rewards.transforms import Transform

__all__ = [
    "RULE",
    "Calibration",
    "Composition",
    "Condition",
    "Constraint",
    "Declarations",
    "Explanation",
    "LogProbs",
    "Outcome",
    "Reward",
    "Row",
    "Schedule",
    "Scored",
    "Scorer",
    "Scores",
    "Source",
    "TextBatch",
    "Transform",
    "UncalibratedWarning",
    "array_reward",
    "batched_reward",
    "calibrate",
    "callable_reward",
    "chebyshev",
    "explain_batch",
    "from_yaml",
    "head_reward",
    "implicit_reward",
    "implicit_rewards",
    "implicit_token_rewards",
    "linear",
    "objective",
    "objectives",
    "percentile",
    "record_batch",
    "rules",
    "scalarized",
    "score_sources",
    "smooth_chebyshev",
    "text_batch",
    "where",
    "worst_case",
]
