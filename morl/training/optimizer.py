"""Optimizers of a run: a schedule, clipping, and AdamW or Muon."""

import math
from dataclasses import dataclass

import jax
import optax
from jaxtyping import Array, PyTree

from morl.errors import InputError


@dataclass(frozen=True)
class OptimizerSettings:
    """How gradients become parameters.

    Args:
      learning_rate: Peak of the schedule.
      warmup_steps: Steps from 0 up to the peak.
      final_share: Learning rate at the last step, as a share of the peak.
      clip_norm: Longest gradient; longer ones are shortened to it.
      beta1: Decay of AdamW's first moment.
      beta2: Decay of its second.
      epsilon: Added to the root of the second moment.
      weight_decay: Of matrices; vectors have none.

    Raises:
      InputError: A number is out of its range.
    """

    learning_rate: float = 1e-4
    warmup_steps: int = 0
    final_share: float = 0.1
    clip_norm: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what no optimizer can use."""
        ranges = {
            "learning_rate": (0, math.inf, False),
            "clip_norm": (0, math.inf, False),
            "epsilon": (0, math.inf, False),
            "warmup_steps": (0, math.inf, True),
            "weight_decay": (0, math.inf, True),
            "final_share": (0, 1, True),
            "beta1": (0, 1, True),
            "beta2": (0, 1, True),
        }
        for name, (low, high, closed) in ranges.items():
            value = vars(self)[name]
            if not (value >= low if closed else value > low) or not value <= high:
                raise InputError(
                    f"found {value}, expected {'at least' if closed else 'above'} "
                    f"{low}" + (f" and at most {high}" if high == 1 else ""),
                    where=f"optimizer.{name}",
                )


def warmed_up(settings: OptimizerSettings, behind: optax.Schedule) -> optax.Schedule:
    """A schedule with the warm-up of the settings in front of it.

    The first step moves already: from 0 it would be lost.
    """
    steps, peak = settings.warmup_steps, settings.learning_rate
    if not steps:
        return behind
    rise = optax.linear_schedule(peak / steps, peak, steps)
    return optax.join_schedules([rise, behind], [steps])


def constant(settings: OptimizerSettings, num_steps: int) -> optax.Schedule:
    """The peak behind the warm-up."""
    del num_steps
    return warmed_up(settings, optax.constant_schedule(settings.learning_rate))


def linear_decay(settings: OptimizerSettings, num_steps: int) -> optax.Schedule:
    """Down to the final share of the peak along a line."""
    peak, left = settings.learning_rate, max(num_steps - settings.warmup_steps, 1)
    last = peak * settings.final_share
    return warmed_up(settings, optax.linear_schedule(peak, last, left))


def cosine_decay(settings: OptimizerSettings, num_steps: int) -> optax.Schedule:
    """Down to the final share of the peak along a cosine.

    References:
      Loshchilov and Hutter, SGDR (arXiv:1608.03983), equation 5.
    """
    peak, left = settings.learning_rate, max(num_steps - settings.warmup_steps, 1)
    behind = optax.cosine_decay_schedule(peak, left, settings.final_share)
    return warmed_up(settings, behind)


def make_optimizer(
    settings: OptimizerSettings, learning_rate: optax.Schedule
) -> optax.GradientTransformation:
    """Clipping by the norm of the whole gradient, then AdamW.

    References:
      Loshchilov and Hutter, Decoupled Weight Decay Regularization (arXiv:1711.05101).
    """
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(
            learning_rate,
            b1=settings.beta1,
            b2=settings.beta2,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            mask=_matrices,
        ),
    )


def _matrices(params: PyTree[Array]) -> PyTree[bool]:
    return jax.tree.map(lambda x: x.ndim > 1, params)
