"""Reward against KL: what each nat of distance from the base policy bought."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from morl.errors import InputError
from morl.pareto import Front, FrontPoint, intervals_of, rewards_of, weights_of
from morl.plots.styles import BASE, axis_label, method_styles

SPREAD = 0.1


def _gain_bounds(
    points: Sequence[FrontPoint], base: FrontPoint, objective: int | None
) -> Float[np.ndarray, "n 3"]:
    """Value, lower and upper bound of what is drawn for each point.

    For the utility, the bounds are those of the weighted sum over the box of the
    objectives' intervals: an outer bound, since the prompts are shared.
    """
    rewards, bounds = rewards_of(points), intervals_of(points)
    if objective is not None:
        return np.column_stack([rewards[:, objective], bounds[:, objective]])
    weights = weights_of(points)
    start = weights @ np.array(base.rewards)
    value = np.einsum("nk,nk->n", weights, rewards) - start
    # An infinite bound under a weight of zero would give NaN.
    counted = np.where(weights[..., None] != 0, bounds, 0.0)
    edges = weights[..., None] * counted
    low, high = edges.min(-1).sum(-1) - start, edges.max(-1).sum(-1) - start
    return np.column_stack([value, low, high])


def _widest(front: Front) -> float:
    """The largest KL of a front, in nats."""
    return max((p.kl for p in front.points if p.kl is not None), default=0.0)


def _spread(
    points: Sequence[FrontPoint], value: Float[np.ndarray, " n"], width: float
) -> Float[np.ndarray, " n"]:
    """KL of each point; where all are equal, moved sideways by the rank of ``value``.

    Points of equal KL would otherwise hide each other in one column.
    """
    kl = np.array([point.kl for point in points], dtype=np.float64)
    if len(kl) < 2 or np.ptp(kl) > 0.1 * width:
        return kl
    rank = np.argsort(np.argsort(value)) / (len(value) - 1) - 0.5
    return kl + width * rank


def draw_reward_kl(ax: Axes, front: Front, *, objective: int | None = None) -> None:
    """Draws each point's reward against its KL divergence from the base policy.

    More KL buys more reward for any method: compare methods at the same KL. A method
    whose points all have one KL (best-of-n) is spread sideways around it, by reward.

    Args:
      ax: Axes to draw on; labels, with units, are set, no legend.
      front: The front; points without a KL are left out.
      objective: Index of the objective on the vertical axis; where not given, the gain
        in utility over the base policy, each point under its own weighting.

    Raises:
      InputError: The front has no base policy to measure a gain in utility from.
    """
    if front.base is None:
        raise InputError("found no point with role base", where="points")
    for method, style in method_styles(front).items():
        points = [
            p
            for p in front.points
            if p.method == method and p.kl is not None and p.role != "expert"
        ]
        if not points:
            continue
        value, low, high = _gain_bounds(points, front.base, objective).T
        kl = _spread(points, value, SPREAD * _widest(front))
        measured = np.isfinite(low)
        ax.vlines(
            kl[measured],
            low[measured],
            high[measured],
            color=style.color,
            alpha=float(np.clip(8 / len(points), 0.16, 0.65)),
            lw=0.8,
        )
        ax.plot(kl, value, style.marker, color=style.color, ms=3.8, mew=0.9)
    _base(ax, front.base, objective)
    ax.set_xlabel("KL from the base policy [nats]")
    ax.set_ylabel(
        "gain in utility, own weighting"
        if objective is None
        else axis_label(front, objective)
    )


def _base(ax: Axes, base: FrontPoint, objective: int | None) -> None:
    """The base policy, and the level that a gain has to leave."""
    level = 0.0 if objective is None else base.rewards[objective]
    ax.axhline(level, color=BASE.color, lw=0.8, ls=":")
    if objective is not None and base.interval is not None:
        ax.axhspan(*base.interval[objective], color=BASE.color, alpha=0.07, lw=0)
    ax.plot(
        base.kl or 0.0,
        level,
        BASE.marker,
        color=BASE.color,
        ms=8,
        mec="white",
        zorder=5,
    )
