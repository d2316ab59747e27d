"""Reward against KL: what each nat of distance from the candidates bought."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from morl.errors import InputError
from morl.pareto import Front, FrontPoint, intervals_of, rewards_of, weights_of
from morl.plots.styles import (
    BASE,
    BASE_LOOK,
    BLUE,
    BOX,
    GREY,
    axis_label,
    method_styles,
    shared_unit,
)
from morl.sampling.select import best_of_n_kl

SPREAD = 0.1
# Points whose KL differs by no more than this share of the widest have one KL.
SAME = 0.01
BOX_MARGIN = 0.05
KL_LABEL = "KL from uniform over the candidates [nats]"
LIMIT_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": GREY, "lw": 0.9, "ls": (0, (5, 2))},
    {"color": BLUE, "lw": 0.9, "ls": (0, (1, 1.5))},
)


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


def _spread(
    points: Sequence[FrontPoint], value: Float[np.ndarray, " n"], widest: float
) -> Float[np.ndarray, " n"]:
    """KL of each point; where all are the same, less the more, the less ``value``.

    Points of one column would hide each other. To the left, because to the right of
    best-of-n lies more KL than a choice among the candidates can have.
    """
    kl = np.array([point.kl for point in points], dtype=np.float64)
    width = SPREAD * widest
    if len(kl) < 2 or np.ptp(kl) > SAME * widest:
        return kl
    rank = np.argsort(np.argsort(value)) / (len(value) - 1)
    return np.maximum(kl - width * (1 - rank), 0)


def candidates_of(front: Front) -> int | None:
    """Candidates a prompt of all sweeps; None where they differ or are not known."""
    found = {point.n for point in front.points if point.role == "sweep"}
    return found.pop() if len(found) == 1 else None


def draw_reward_kl(ax: Axes, front: Front, *, objective: int | None = None) -> None:
    """Draws each point's reward against its KL divergence from the candidates.

    The KL is from the uniform distribution over the N candidates that were sampled, at
    most log N, which a single choice has. A line marks that, and another the KL from
    the policy itself that best-of-n has at most (:func:`morl.sampling.best_of_n_kl`).
    More KL buys more reward for any method: compare methods at the same KL. A method
    whose points all have one KL (best-of-n) is spread to the left of it, by reward; the
    control is a box around its band.

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
    swept = [p for p in front.points if p.kl is not None and p.role != "expert"]
    widest = max((p.kl or 0.0 for p in swept), default=0.0)
    for method, style in method_styles(front).items():
        points = [p for p in swept if p.method == method]
        if not points:
            continue
        value, low, high = _gain_bounds(points, front.base, objective).T
        kl = np.array([p.kl for p in points], dtype=np.float64)
        measured = np.isfinite(low)
        if points[0].role == "control":
            _box(ax, kl[measured], low[measured], high[measured])
        else:
            kl = _spread(points, value, widest)
            fine = {"color": style.color, "lw": 0.8, "zorder": 1.5}
            fade = float(np.clip(8 / len(points), 0.16, 0.65))
            ax.vlines(kl[measured], low[measured], high[measured], alpha=fade, **fine)
        ax.plot(kl, value, style.marker, color=style.color, ms=3.4, mew=0.7, alpha=0.85)
    _base(ax, front.base, objective)
    _limits(ax, front)
    ax.set_xlabel(KL_LABEL)
    unit = shared_unit(front) or "weighted units"
    ax.set_ylabel(
        f"gain in utility,\nown weighting [{unit}]"
        if objective is None
        else axis_label(front, objective)
    )


def _box(
    ax: Axes,
    kl: Float[np.ndarray, " n"],
    low: Float[np.ndarray, " n"],
    high: Float[np.ndarray, " n"],
) -> None:
    """A box around a control's points and their band."""
    if not len(kl):
        return
    # To the left, as a column is spread: to the right there may be no more KL to have.
    corner = kl.min() - BOX_MARGIN, low.min()
    size = np.ptp(kl) + BOX_MARGIN, high.max() - low.min()
    ax.add_patch(Rectangle(corner, *size, **BOX, zorder=1))


def _limits(ax: Axes, front: Front) -> None:
    """Lines at the most KL that one choice of the candidates, and best-of-n, have."""
    count = candidates_of(front)
    if count is None:
        return
    for value, look in zip(kl_limits(count), LIMIT_LOOKS, strict=True):
        ax.axvline(value, **look, zorder=0.8)


def kl_limits(count: int) -> tuple[float, float]:
    """Log N, and the KL of best-of-n from its policy, in nats."""
    return float(np.log(count)), best_of_n_kl(count)


def limit_entries(front: Front) -> list[Line2D]:
    """Legend entries of the lines; none where the number of candidates is not known."""
    count = candidates_of(front)
    if count is None:
        return []
    most, own = kl_limits(count)
    labels = (
        f"log {count} = {most:.2f}: one choice of {count}",
        f"best-of-{count} from the policy itself: {own:.2f} at most",
    )
    return [
        Line2D([], [], **look, label=label)
        for look, label in zip(LIMIT_LOOKS, labels, strict=True)
    ]


def _base(ax: Axes, base: FrontPoint, objective: int | None) -> None:
    """The base policy, and the level that a gain has to leave."""
    level = 0.0 if objective is None else base.rewards[objective]
    ax.axhline(level, color=BASE.color, lw=0.8, ls=":")
    if objective is not None and base.interval is not None:
        ax.axhspan(*base.interval[objective], color=BASE.color, alpha=0.07, lw=0)
    ax.plot(base.kl or 0.0, level, **BASE_LOOK, zorder=5)
