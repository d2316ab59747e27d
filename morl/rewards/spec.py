"""What a specification may name: the one table from names to code.

A rule, transform, scalarizer or schedule is saved under its name here, with its
settings as they are; a function is never saved, only what it is called.
"""

from collections.abc import Callable
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
    """A scalarizer, and what it takes beside rewards, weights and mask."""

    function: Callable[..., Any]
    takes_ideal: bool
    settings: tuple[str, ...]


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
    "linear": Made(schedule.Linear, schedule.linear),
    "mixed": Made(schedule.Mixed, schedule.mixed),
    "piecewise": Made(schedule.Piecewise, schedule.piecewise),
}

SCALARIZERS = {
    "chebyshev": Scalarizer(scalarize.chebyshev, True, ()),
    "linear": Scalarizer(scalarize.linear, False, ()),
    "smooth_chebyshev": Scalarizer(scalarize.smooth_chebyshev, True, ("temperature",)),
    "worst_case": Scalarizer(scalarize.worst_case, False, ()),
}
