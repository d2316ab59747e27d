"""What ``morl fit`` and ``morl plan`` are told of a reward model, and its names."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from morl import weighting
from morl.cli.head_kinds import HeadChoice, chosen_kind
from morl.cli.loss_choices import LossChoice, check_kind, chosen_losses
from morl.cli.sources import OBJECTIVES, SMOLLM2, DataSource
from morl.errors import InputError
from morl.models.transformer import Remat
from morl.rewards.mixture import MIXTURE
from morl.training.bounds import check_rules
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
class ReadingChoice:
    """Which state of a response heads read, where its features are kept.

    Args:
      layer: Layers passed, from 1; negative ones count from the last.
      pooling: The response's last token, or the mean or sum over what the assistant
        wrote.
    """

    layer: int = -1
    pooling: Literal["last", "mean", "sum"] = "last"


@dataclass(frozen=True)
class MixtureChoice:
    """A gate that mixes the rewards of heads which were trained before.

    Args:
      heads: Folder of these heads, or of the run that trained them; without it no gate
        is trained. They stay as they are; what they read and where texts are cut holds
        for the gate, whatever reading and text say, and head says nothing.
      hidden_width: Units of each hidden layer of the gate.
      hidden_layers: Of them.
      temperature: Smoothing of the mixture, above 0.
      scale: Factor of the mixed reward.
      debias: Largest Spearman correlation with length that is left to each reward
        before it is mixed, on the feedback that is learned from; 0 corrects nothing.
    """

    heads: Path | None = None
    hidden_width: int = 256
    hidden_layers: int = 2
    temperature: float = 10.0
    scale: float = 1.0
    debias: float = 0.03

    def __post_init__(self) -> None:
        """Refuses numbers that no gate can have."""
        positive = lambda value: (0 < value < math.inf, "above 0 and finite")
        check_rules(
            "mixture",
            vars(self),
            {
                "temperature": positive(self.temperature),
                "scale": positive(self.scale),
                "hidden_width": (self.hidden_width > 0, "1 or more"),
                "hidden_layers": (self.hidden_layers >= 0, "0 or more"),
                "debias": (0 <= self.debias < 1, "at least 0 and below 1"),
            },
        )


@dataclass(frozen=True)
class RewardConfig:
    """What ``morl fit`` is told where a reward model is trained.

    Args:
      model: smollm2, a GGUF file, a Hugging Face folder, or ORG/NAME.
      sources: Feedback to learn from: reader, path below ``data``, objective.
      objectives: What heads are trained for.
      head: Their kind.
      reading: Which state of a response they read.
      debias: Largest Spearman correlation with length that is left to each reward, by a
        correction that is fitted after training and saved with the heads; 0 for none.
      mixture: A gate over heads that were trained before, in place of heads.
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
    reading: ReadingChoice = ReadingChoice()
    debias: float = 0.0
    mixture: MixtureChoice = MixtureChoice()
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
        if self.mixture.heads is None:
            for name, choice in self.losses.items():
                check_kind(name, choice, self.head.kind)
        elif MIXTURE in self.objectives:
            raise InputError(
                f"found {MIXTURE!r}, expected another name: it is that of the mixed "
                "reward",
                where="objectives",
            )
        self._check_features()
        self._check_held_out()
        if self.weighting and self.weighting not in WEIGHTINGS:
            raise InputError(
                f"found {self.weighting!r}, expected one of {', '.join(WEIGHTINGS)}",
                where="weighting",
            )
        if self.weights and self.weighting not in ("", *BY_PREFERENCE):
            raise InputError(
                f"found weights with {self.weighting}, which takes none; these take "
                f"them as preferences: {', '.join(BY_PREFERENCE)}",
                where="weights",
            )

    def _check_held_out(self) -> None:
        """Refuses what waits for an evaluation where nothing is held out."""
        if self.training.validation:
            return
        for key, given in (
            ("loop.patience", self.loop.patience),
            ("checkpoint.best_by", self.checkpoint.best_by),
        ):
            if given:
                raise InputError(
                    f"found {given!r} with training.validation 0, expected prompts "
                    "that are held out",
                    where=key,
                )

    def _check_features(self) -> None:
        """Refuses what reads features where the backbone is in the step."""
        if not 0 <= self.debias < 1:
            raise InputError(
                f"found {self.debias}, expected at least 0 and below 1", where="debias"
            )
        if self.debias and self.mixture.heads is not None:
            raise InputError(
                f"found {self.debias} with a mixture, expected mixture.debias",
                where="debias",
            )
        if self.training.mode == "frozen":
            return
        for key, given in (
            ("reading", self.reading != ReadingChoice()),
            ("debias", self.debias > 0),
            ("mixture", self.mixture.heads is not None),
        ):
            if given:
                raise InputError(
                    f"found it with training.mode {self.training.mode}, where heads "
                    "read the last token's last state in the step; expected mode "
                    "frozen",
                    where=key,
                )


BY_PREFERENCE = (
    "aligned",
    "cagrad",
    "dual_projection",
    "raco",
    "random_simplex",
    "sdm",
    "upgrad",
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
