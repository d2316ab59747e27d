"""What a run may be told: feedback, heads, candidates, and how the front is traced."""

import math
from dataclasses import dataclass, field

from morl.errors import InputError
from morl.fronts.trace import BETAS
from morl.models.heads import POOLINGS
from morl.numerics import NUM_RESAMPLES
from morl.training.bounds import check_numbers
from morl.training.features import BOUNDARIES


@dataclass(frozen=True)
class HeadSettings:
    """How reward heads are fitted on frozen features.

    Args:
      max_pairs: Most pairs, and most labelled responses, an objective.
      layers: Layers whose states are kept; negative ones count from the last.
      layer: The one that heads read.
      pooling: Read the response's ``last`` token, or the ``mean`` or ``sum`` over it.
      margin: Nats of log-odds that a unit of preference strength asks for.
      folds: Folds of the cross-validation, by prompt.
      max_tokens: Most tokens of a prompt with one response; old turns are dropped.
      response_tokens: Most tokens of a response, fewer than ``max_tokens``; the rest is
        cut.
      batch_tokens: Tokens of a batch of features.
      seed: Seed of splits and draws.
    """

    max_pairs: int = 1000
    layers: tuple[int, ...] = (-1,)
    layer: int = -1
    pooling: str = "last"
    margin: float = 0.0
    folds: int = 5
    max_tokens: int = 512
    response_tokens: int = 256
    batch_tokens: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be done."""
        if self.layer not in self.layers:
            raise InputError(
                f"found {self.layer}, expected one of heads.layers {self.layers}",
                where="heads.layer",
            )
        if self.pooling not in POOLINGS:
            raise InputError(
                f"found {self.pooling!r}, expected one of {', '.join(POOLINGS)}",
                where="heads.pooling",
            )
        least = {"max_pairs": 1, "max_tokens": 2, "response_tokens": 1}
        least |= {"batch_tokens": 1, "folds": 2, "margin": 0}
        check_numbers("heads", vars(self), least)
        if self.max_tokens > BOUNDARIES[-1]:
            raise InputError(
                f"found {self.max_tokens}, expected at most {BOUNDARIES[-1]}, the "
                "longest row that features are read from",
                where="heads.max_tokens",
            )
        if self.response_tokens >= self.max_tokens:
            raise InputError(
                f"found {self.response_tokens}, expected fewer than heads.max_tokens "
                f"{self.max_tokens}, which has to hold the prompt too",
                where="heads.response_tokens",
            )


@dataclass(frozen=True)
class CandidateSettings:
    """What is sampled from the reference policy.

    Args:
      num_prompts: Held-out prompts, balanced over the objectives they come from.
      num_samples: Responses a prompt.
      max_new_tokens: Most tokens of a response.
      max_prompt_tokens: Longer prompts are passed over.
      temperature: Divides the logits, > 0: at 0 all responses to a prompt are equal.
      top_p: Sample from the fewest tokens with at least this probability, in (0, 1].
      batch_prompts: Prompts sampled together.
      seed: Seed of the sampling.
    """

    num_prompts: int = 64
    num_samples: int = 8
    max_new_tokens: int = 96
    max_prompt_tokens: int = 320
    temperature: float = 1.0
    top_p: float = 1.0
    batch_prompts: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be done."""
        least = {"num_prompts": 1, "num_samples": 2, "max_new_tokens": 1}
        least |= {"max_prompt_tokens": 1, "batch_prompts": 1}
        check_numbers("candidates", vars(self), least)
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise InputError(
                f"found {self.temperature}, expected a number above 0: at 0 all "
                "responses to a prompt are equal, and there is nothing to select among",
                where="candidates.temperature",
            )
        if not 0 < self.top_p <= 1:
            raise InputError(
                f"found {self.top_p}, expected a probability above 0 and at most 1",
                where="candidates.top_p",
            )


@dataclass(frozen=True)
class SweepSettings:
    """How the front is traced.

    Args:
      divisions: Divisions of the simplex lattice of weightings; 10 gives 66 for three
        objectives, and the centroid is always added.
      betas: Weights of the KL in the tilt, in units of utility.
      noise_draws: Independent sets of noise heads in the control.
      resamples: Bootstrap resamples of the prompts.
      seed: Seed of noise and bootstrap.
    """

    divisions: int = 10
    betas: tuple[float, ...] = field(default=BETAS)
    noise_draws: int = 32
    resamples: int = NUM_RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what cannot be done."""
        least = {"divisions": 1, "noise_draws": 1, "resamples": 1}
        check_numbers("front", vars(self), least)
        if not all(beta > 0 and math.isfinite(beta) for beta in self.betas):
            raise InputError(
                f"found {self.betas}, expected numbers > 0", where="front.betas"
            )
