"""What a specification may name: the one table from names to code.

A rule, transform, scalarizer or schedule is saved under its name here, with its
settings as they are; a function is never saved, only what it is called.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from morl import scalarize
from morl.rewards import schedule, transforms
from morl.rewards.batched import BatchedSource
from morl.rewards.callables import CallableSource
from morl.rewards.functions import ArraySource
from morl.rewards.implicit import ImplicitSource
from morl.rewards.objective import RULE, Declarations
from morl.rewards.rules.answer import Answer
from morl.rewards.rules.length import Length
from morl.rewards.rules.lexicon import Lexicon
from morl.rewards.rules.ngrams import Distinct, Repetition
from morl.rewards.rules.regex import Regex
from morl.rewards.settings import (
    NONNEGATIVE,
    NONZERO,
    ONE_OR_MORE,
    POSITIVE,
    SHARE,
    SMALL,
    Allowed,
)
from morl.rewards.transforms.bounds import (
    Clip,
    LogSigmoid,
    MinMax,
    RunningMinMax,
    Tanh,
)
from morl.rewards.transforms.quantiles import Quantile, RunningQuantile
from morl.rewards.transforms.standard import GroupStandardize, Standardize

VERSION = 1


class Made(NamedTuple):
    """Settings that are saved field by field, and the function that makes them."""

    settings: type
    make: Callable[..., Any]


class Sourced(NamedTuple):
    """Settings of a source, and what its rewards declare unless they say otherwise."""

    settings: type
    declares: Declarations
    scale: str = "absolute"


class Scalarizer(NamedTuple):
    """A scalarizer, and what it takes beside rewards, weights and mask.

    Attributes:
      function: The scalarizer.
      takes_ideal: Whether it takes an ideal point.
      settings: Its numbers, and what they may be.
      points: Its other points, one number a part each.
    """

    function: Callable[..., Any]
    takes_ideal: bool
    settings: Mapping[str, Allowed]
    points: tuple[str, ...] = ()


SOURCES = {
    "answer": Sourced(Answer, RULE),
    "array": Sourced(ArraySource, Declarations()),
    "batched": Sourced(BatchedSource, Declarations()),
    "callable": Sourced(CallableSource, Declarations()),
    "distinct": Sourced(Distinct, RULE),
    "implicit": Sourced(
        ImplicitSource, Declarations(expression="implicit"), "per-prompt"
    ),
    "length": Sourced(Length, RULE),
    "lexicon": Sourced(Lexicon, RULE),
    "regex": Sourced(Regex, RULE),
    "repetition": Sourced(Repetition, RULE),
}

TRANSFORMS = {
    "clip": Made(Clip, transforms.clip),
    "group_standardize": Made(GroupStandardize, transforms.group_standardize),
    "log_sigmoid": Made(LogSigmoid, transforms.log_sigmoid),
    "min_max": Made(MinMax, transforms.min_max),
    "quantile": Made(Quantile, transforms.quantile),
    "running_min_max": Made(RunningMinMax, transforms.running_min_max),
    "running_quantile": Made(RunningQuantile, transforms.running_quantile),
    "standardize": Made(Standardize, transforms.standardize),
    "tanh": Made(Tanh, transforms.tanh),
}

SCHEDULES = {
    "cosine": Made(schedule.Cosine, schedule.cosine),
    "geometric": Made(schedule.Geometric, schedule.geometric),
    "linear": Made(schedule.Linear, schedule.linear),
    "mixed": Made(schedule.Mixed, schedule.mixed),
    "piecewise": Made(schedule.Piecewise, schedule.piecewise),
}

SCALARIZERS = {
    "augmented_chebyshev": Scalarizer(
        scalarize.augmented_chebyshev, True, {"rho": NONNEGATIVE}
    ),
    "chebyshev": Scalarizer(scalarize.chebyshev, True, {}),
    "cosmos": Scalarizer(
        scalarize.cosmos, False, {"penalty": NONNEGATIVE}, ("reference",)
    ),
    "cvar": Scalarizer(scalarize.cvar, False, {"alpha": SHARE}),
    "exponential": Scalarizer(scalarize.exponential, False, {"sharpness": POSITIVE}),
    "generalized_gini": Scalarizer(scalarize.generalized_gini, False, {}),
    "hypervolume_scalarization": Scalarizer(
        scalarize.hypervolume_scalarization, False, {}, ("reference",)
    ),
    "lexicographic": Scalarizer(
        scalarize.lexicographic, False, {"resolution": SMALL}, ("threshold", "floor")
    ),
    "linear": Scalarizer(scalarize.linear, False, {}),
    "log_sum_exp": Scalarizer(scalarize.log_sum_exp, False, {"temperature": NONZERO}),
    "lp_distance": Scalarizer(scalarize.lp_distance, True, {"p": ONE_OR_MORE}),
    "nash_product": Scalarizer(scalarize.nash_product, False, {}, ("disagreement",)),
    "owa": Scalarizer(scalarize.owa, False, {}),
    "penalty_boundary": Scalarizer(
        scalarize.penalty_boundary, True, {"penalty": NONNEGATIVE}
    ),
    "smooth_chebyshev": Scalarizer(
        scalarize.smooth_chebyshev, True, {"temperature": POSITIVE}
    ),
    "worst_case": Scalarizer(scalarize.worst_case, False, {}),
}
