"""What a run may be told: feedback, heads, candidates, and how the front is traced."""

from dataclasses import dataclass, field

from morl.errors import InputError
from morl.fronts.trace import BETAS
from morl.numerics import NUM_RESAMPLES


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
      response_tokens: Most tokens of a response; the rest is cut.
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
        for name in ("max_pairs", "max_tokens", "response_tokens", "batch_tokens"):
            _at_least(vars(self)[name], 1, f"heads.{name}")
        _at_least(self.folds, 2, "heads.folds")
        _at_least(self.margin, 0, "heads.margin")


@dataclass(frozen=True)
class CandidateSettings:
    """What is sampled from the reference policy.

    Args:
      num_prompts: Held-out prompts, balanced over the objectives they come from.
      num_samples: Responses a prompt.
      max_new_tokens: Most tokens of a response.
      max_prompt_tokens: Longer prompts are passed over.
      temperature: Divides the logits.
      top_p: Sample from the fewest tokens with at least this probability.
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
        _at_least(self.num_samples, 2, "candidates.num_samples")
        for name in (
            "num_prompts",
            "max_new_tokens",
            "max_prompt_tokens",
            "batch_prompts",
        ):
            _at_least(vars(self)[name], 1, f"candidates.{name}")


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
        for name in ("divisions", "noise_draws", "resamples"):
            _at_least(vars(self)[name], 1, f"front.{name}")
        if any(not beta > 0 for beta in self.betas):
            raise InputError(
                f"found {self.betas}, expected numbers > 0", where="front.betas"
            )


def _at_least(value: float | int, least: float | int, where: str) -> None:
    if not value >= least:
        raise InputError(f"found {value}, expected at least {least}", where=where)
