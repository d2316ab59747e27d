"""What ``morl fit`` and ``morl plan`` are told of a reward model, and its names."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from morl import weighting
from morl.cli.head_kinds import HeadChoice, chosen_kind
from morl.cli.sources import OBJECTIVES, SMOLLM2, DataSource
from morl.errors import InputError
from morl.losses import (
    binary_cross_entropy,
    bradley_terry,
    huber_error,
    margin_bradley_terry,
    scaled_bradley_terry,
    soft_bradley_terry,
    squared_error,
)
from morl.models.transformer import Remat
from morl.training.checkpoints import CheckpointSettings
from morl.training.loop import LoopSettings
from morl.training.mesh import MeshSettings
from morl.training.optimizer import (
    OptimizerSettings,
    constant,
    cosine_decay,
    linear_decay,
)
from morl.training.processes import DistributedSettings
from morl.training.reward_design import Design, TrainingSettings
from morl.training.reward_program import ObjectiveLosses
from morl.training.strategies import Route, jit_route, pmap_route, shard_map_route
from morl.weighting import Weighting

WEIGHTING_KEY = 1  # folded into the seed, for weightings that draw
ROUTES: Mapping[str, Callable[..., Route]] = {
    "jit": jit_route,
    "shard_map": shard_map_route,
    "pmap": pmap_route,
}
SCHEDULES: Mapping[str, Callable[[OptimizerSettings, int], optax.Schedule]] = {
    "constant": constant,
    "linear": linear_decay,
    "cosine": cosine_decay,
}
REMATS: Mapping[str, Remat | None] = {
    "none": None,
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


@dataclass(frozen=True)
class LossChoice:
    """How one objective learns.

    Args:
      pairs: bradley_terry, margin (a stronger preference asks for a wider gap), scaled
        (it counts more), or soft (labels are right with probability ``confidence``).
      scores: squared, huber, or binary (scores are probabilities of "yes").
      margin: Nats of log-odds that a unit of strength asks for, with margin.
      confidence: Probability that a preference is right, with soft.
      delta: Where huber turns from a square to a line, in units of the score.
    """

    pairs: Literal["bradley_terry", "margin", "scaled", "soft"] = "bradley_terry"
    scores: Literal["squared", "huber", "binary"] = "binary"
    margin: float = 1.0
    confidence: float = 0.9
    delta: float = 1.0


@dataclass(frozen=True)
class TextSettings:
    """How feedback becomes rows.

    Args:
      max_tokens: Most tokens of a prompt with one response; old turns are dropped.
      response_tokens: Most tokens of a response; the rest is cut.
      max_records: Most records an objective, in the part that is learned from and in
        the part that tests; 0 takes all.
      boundaries: Lengths that rows are padded to, increasing; a program is compiled for
        each. A row holds a prompt with all its responses.
    """

    max_tokens: int = 512
    response_tokens: int = 256
    max_records: int = 0
    boundaries: tuple[int, ...] = (128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class RewardConfig:
    """What ``morl fit`` is told where a reward model is trained.

    Args:
      model: smollm2, a GGUF file, a Hugging Face folder, or ORG/NAME.
      sources: Feedback to learn from: reader, path below ``data``, objective.
      objectives: What heads are trained for.
      head: Their kind.
      losses: How each objective learns; the defaults where it is not named.
      weights: What each objective counts for; 1 where it is not named.
      weighting: A conflict-averse weighting, such as upgrad; the weights without one.
      text: How feedback becomes rows.
      training: What is trained, and on how much at once.
      optimizer: How gradients become parameters.
      schedule: Of the learning rate: constant, linear or cosine.
      remat: What layers keep for the backward pass: everything (none), nothing (full),
        or products with weights (dots).
      strategy: jit (splits parameters, too), shard_map or pmap (copies of them).
      mesh: Devices along each axis.
      distributed: The processes of a run on several machines.
      loop: How long, and how often it looks around.
      checkpoint: When it is saved, and what is kept.
      trackers: tensorboard, wandb, trackio; JSON lines are always written.
      data: Folder that the sources are in.
      out: Folder of results.
      cache: Folder of features, shared between runs; MORL_CACHE or ~/.cache/morl where
        not given.
      dry_run: Print the settings and what would be done, and do nothing.
    """

    model: str = SMOLLM2
    sources: tuple[DataSource, ...] = ()
    objectives: tuple[str, ...] = OBJECTIVES
    head: HeadChoice = HeadChoice()
    losses: dict[str, LossChoice] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    weighting: str = ""
    text: TextSettings = TextSettings()
    training: TrainingSettings = TrainingSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    remat: Literal["none", "full", "dots"] = "none"
    strategy: Literal["jit", "shard_map", "pmap"] = "jit"
    mesh: MeshSettings = MeshSettings()
    distributed: DistributedSettings = DistributedSettings()
    loop: LoopSettings = LoopSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    trackers: tuple[str, ...] = ()
    data: Path = Path()
    out: Path = Path("runs/reward-model")
    cache: Path | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuses names that no objective has."""
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise InputError(
                f"found {', '.join(self.objectives) or 'none'}, expected one or more, "
                "each once",
                where="objectives",
            )
        for key in ("losses", "weights"):
            if unknown := set(vars(self)[key]) - set(self.objectives):
                raise InputError(
                    f"found {', '.join(sorted(unknown))}, objectives are "
                    f"{', '.join(self.objectives)}",
                    where=key,
                )
        wrong = {n: w for n, w in self.weights.items() if not 0 <= w < math.inf}
        if wrong or not any(self.weights.get(name, 1.0) for name in self.objectives):
            raise InputError(
                f"found {wrong or self.weights}, expected numbers of at least 0, and "
                "one above",
                where="weights",
            )
        if self.weighting and self.weighting not in WEIGHTINGS:
            raise InputError(
                f"found {self.weighting!r}, expected one of {', '.join(WEIGHTINGS)}",
                where="weighting",
            )


Prefs = Float[Array, " k"]
WEIGHTINGS: Mapping[str, Callable[[Prefs, PRNGKeyArray], Weighting]] = {
    "aligned": lambda prefs, _: weighting.aligned(prefs),
    "cagrad": lambda prefs, _: weighting.cagrad(prefs=prefs),
    "dual_projection": lambda prefs, _: weighting.dual_projection(prefs),
    "dynamic_average": lambda *_: weighting.dynamic_average(),
    "fair": lambda *_: weighting.fair(),
    "famo": lambda *_: weighting.famo(),
    "gradnorm": lambda *_: weighting.gradnorm(),
    "imtl": lambda *_: weighting.imtl(),
    "min_norm": lambda *_: weighting.min_norm(),
    "nash": lambda *_: weighting.nash(),
    "pcgrad": lambda _, key: weighting.pcgrad(key),
    "raco": lambda prefs, _: weighting.raco(prefs=prefs),
    "random_simplex": lambda prefs, key: weighting.random_simplex(key, prefs),
    "sdm": lambda prefs, _: weighting.sdm(prefs),
    "uncertainty": lambda *_: weighting.uncertainty(),
    "upgrad": lambda prefs, _: weighting.upgrad(prefs),
}


def chosen_losses(choice: LossChoice) -> ObjectiveLosses:
    """The losses that a configuration names, on log-odds and on rewards."""
    pairs = {
        "bradley_terry": lambda gaps, _, mask, weights: bradley_terry(
            gaps, 0 * gaps, mask, weights=weights
        ),
        "margin": lambda gaps, strength, mask, weights: margin_bradley_terry(
            gaps, 0 * gaps, strength, mask, scale=choice.margin, weights=weights
        ),
        "scaled": lambda gaps, strength, mask, weights: scaled_bradley_terry(
            gaps, 0 * gaps, strength, mask, weights=weights
        ),
        "soft": lambda gaps, _, mask, weights: soft_bradley_terry(
            gaps, 0 * gaps, choice.confidence, mask, weights=weights
        ),
    }[choice.pairs]
    scores = {
        "squared": squared_error,
        "huber": partial(huber_error, delta=choice.delta),
        "binary": binary_cross_entropy,
    }[choice.scores]
    keyword = lambda gaps, strength, mask, *, weights=None: pairs(
        gaps, strength, mask, weights
    )
    return ObjectiveLosses(keyword, scores)


def chosen_weighting(config: RewardConfig) -> Weighting | None:
    """The weighting that a configuration names, under its weights as preferences."""
    if not config.weighting:
        return None
    weights = np.array([config.weights.get(name, 1.0) for name in config.objectives])
    prefs = jnp.asarray(weights / weights.sum(), jnp.float32)
    key = jax.random.fold_in(jax.random.key(config.training.seed), WEIGHTING_KEY)
    return WEIGHTINGS[config.weighting](prefs, key)


def chosen_design(config: RewardConfig) -> Design:
    """What a configuration asks for, as functions."""
    losses = tuple(
        chosen_losses(config.losses.get(name, LossChoice()))
        for name in config.objectives
    )
    return Design(
        config.objectives,
        chosen_kind(config.head).head,
        losses,
        tuple(config.weights.get(name, 1.0) for name in config.objectives),
        SCHEDULES[config.schedule](config.optimizer, config.loop.num_steps),
        chosen_weighting(config),
        REMATS[config.remat],
    )
