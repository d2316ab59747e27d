"""Heads that say a distribution of the reward: quantiles, or mean and variance."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from morl.errors import InputError
from morl.losses import gaussian_log_odds, quantile_log_odds
from morl.models.heads.family import Estimate, Head, Readings, States
from morl.models.heads.linear import LinearHead, head_rewards, init_linear_head

LEVELS = tuple(level / 20 for level in range(1, 20))  # 0.05 to 0.95
LOG_VARIANCES = (-10.0, 10.0)


def quantile(levels: Sequence[float] = LEVELS) -> Head:
    """Heads that say quantiles of the reward, which never cross.

    Trained on scores by the pinball loss, or on preferences by the odds that a draw
    from the better response's quantiles exceeds one from the worse's.

    Args:
      levels: Increasing levels of the quantiles, each in (0, 1), two or more.

    Raises:
      InputError: The levels do not increase inside (0, 1).

    References:
      Dorka, Quantile Regression for Distributional Reward Models (arXiv:2409.10164).
    """
    known = np.asarray(levels, np.float32)
    inside = known.size > 1 and known[0] > 0 and known[-1] < 1
    if not (inside and (np.diff(known) > 0).all()):
        raise InputError(
            f"found {list(levels)}, expected two or more increasing levels in (0, 1)",
            where="levels",
        )
    return Head(
        partial(_init_quantiles, count=known.size),
        partial(_read_quantiles, count=known.size),
        _estimate_quantiles,
        partial(_quantile_between, levels=known),
        lambda better, worse: quantile_log_odds(better, worse)[..., None],
        lambda values: jnp.mean(values, axis=-1, keepdims=True),
        lambda values: jnp.min(values, axis=-1),
    )


def _init_quantiles(
    key: PRNGKeyArray, width: int, num_objectives: int, *, count: int
) -> LinearHead:
    head = init_linear_head(key, width, num_objectives * count)
    weight = head.weight.reshape(width, num_objectives, count)
    # All quantiles follow the first at first, at steps that span one unit in all.
    step = float(np.log(np.expm1(1 / count)))
    first = jnp.arange(count) == 0
    weight = jnp.where(first[None, None], weight, 0)
    bias = jnp.broadcast_to(jnp.where(first, -0.5, step)[None], weight.shape[1:])
    return LinearHead(weight.reshape(width, -1), bias.reshape(-1))


def _read_quantiles(params: LinearHead, states: States, *, count: int) -> Readings:
    flat = head_rewards(params, states.response)
    raw = flat.reshape(*flat.shape[:-1], -1, count)
    steps = jax.nn.softplus(raw[..., 1:])
    return Readings(jnp.cumsum(jnp.concatenate([raw[..., :1], steps], -1), axis=-1))


def _estimate_quantiles(values: Float[Array, "*batch q"]) -> Estimate:
    return Estimate(jnp.mean(values, axis=-1), jnp.std(values, axis=-1))


def _quantile_between(
    values: Float[Array, "*batch q"],
    level: float | Float[Array, ""],
    *,
    levels: Float[np.ndarray, " q"],
) -> Float[Array, "*batch"]:
    flat = values.reshape(-1, values.shape[-1])
    at = jax.vmap(lambda row: jnp.interp(level, jnp.asarray(levels), row))(flat)
    return at.reshape(values.shape[:-1])


def gaussian() -> Head:
    """Heads that say the mean and the log-variance of a normal reward.

    Trained on scores by their likelihood, or on preferences by the odds that a draw
    for the better response exceeds one for the worse.

    References:
      Lou et al., Uncertainty-aware Reward Model (arXiv:2410.00847); Sun et al.,
      Probabilistic Uncertain Reward Model (arXiv:2503.22480).
    """
    return Head(
        lambda key, width, count: init_linear_head(key, width, 2 * count),
        _read_gaussian,
        lambda values: Estimate(values[..., 0], jnp.exp(values[..., 1] / 2)),
        _gaussian_quantile,
        _gaussian_gaps,
        lambda values: values[..., :1],
        None,
    )


def _read_gaussian(params: LinearHead, states: States) -> Readings:
    flat = head_rewards(params, states.response)
    mean, log_variance = jnp.moveaxis(flat.reshape(*flat.shape[:-1], -1, 2), -1, 0)
    bounded = jnp.clip(log_variance, *LOG_VARIANCES)
    return Readings(jnp.stack([mean, bounded], axis=-1))


def _gaussian_quantile(
    values: Float[Array, "*batch m"], level: float | Float[Array, ""]
) -> Float[Array, "*batch"]:
    turn = jax.scipy.special.ndtri(jnp.asarray(level, values.dtype))
    return values[..., 0] + turn * jnp.exp(values[..., 1] / 2)


def _gaussian_gaps(
    better: Float[Array, "*batch m"], worse: Float[Array, "*batch m"]
) -> Float[Array, "*batch j"]:
    odds = gaussian_log_odds(
        better[..., 0], worse[..., 0], jnp.exp(better[..., 1]), jnp.exp(worse[..., 1])
    )
    return odds[..., None]
