"""What a user writes: rewards, conditions, transforms and their composition."""

from morl.rewards import rules
from morl.rewards.aggregates import (
    cvar,
    exponential,
    generalized_gini,
    linear,
    log_sum_exp,
    owa,
    worst_case,
)
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
from morl.rewards.compose import scalarized, where
from morl.rewards.composition import Composition, UncalibratedWarning
from morl.rewards.debias import (
    Debias,
    debiased,
    fit_debias,
    load_debias,
    log_length,
    save_debias,
)
from morl.rewards.explain import Explanation, explain_batch
from morl.rewards.functions import array_reward
from morl.rewards.gates import Condition, Constraint, percentile
from morl.rewards.implicit import (
    implicit_reward,
    implicit_rewards,
    implicit_token_rewards,
)
from morl.rewards.mixture import Mixture, gated_mixture, mixed_reward
from morl.rewards.objective import (
    RULE,
    Declarations,
    Reward,
    Source,
    objective,
    objectives,
)
from morl.rewards.pipeline import Outcome
from morl.rewards.pointed import (
    augmented_chebyshev,
    chebyshev,
    cosmos,
    hypervolume_scalarization,
    lexicographic,
    lp_distance,
    nash_product,
    penalty_boundary,
    smooth_chebyshev,
)
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
    "Debias",
    "Declarations",
    "Explanation",
    "LogProbs",
    "Mixture",
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
    "augmented_chebyshev",
    "batched_reward",
    "calibrate",
    "callable_reward",
    "chebyshev",
    "cosmos",
    "cvar",
    "debiased",
    "explain_batch",
    "exponential",
    "fit_debias",
    "from_yaml",
    "gated_mixture",
    "generalized_gini",
    "head_reward",
    "hypervolume_scalarization",
    "implicit_reward",
    "implicit_rewards",
    "implicit_token_rewards",
    "lexicographic",
    "linear",
    "load_debias",
    "log_length",
    "log_sum_exp",
    "lp_distance",
    "mixed_reward",
    "nash_product",
    "objective",
    "objectives",
    "owa",
    "penalty_boundary",
    "percentile",
    "record_batch",
    "rules",
    "save_debias",
    "scalarized",
    "score_sources",
    "smooth_chebyshev",
    "text_batch",
    "where",
    "worst_case",
]
