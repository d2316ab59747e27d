"""What a user writes: rewards, conditions, transforms and their composition."""

from morl.rewards.objective import (
    RULE,
    Declarations,
    Reward,
    Source,
    objective,
    objectives,
)

__all__ = [
    "RULE",
    "Declarations",
    "Reward",
    "Source",
    "objective",
    "objectives",
]
