"""From what every weighting reached, prompt by prompt, to points with intervals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.fronts.candidates import Candidates
from morl.fronts.trace import Sweep, known_mean
from morl.numerics import interval, resampled_means
from morl.pareto import FrontPoint

BEST_OF_N = "best-of-n"


class Measured(NamedTuple):
    """Points of one method, with the resampled means that their intervals come from."""

    points: list[FrontPoint]
    resampled: Float[np.ndarray, "r w j"]


class Measure(NamedTuple):
    """What turns a sweep into points: who is judged, on which resamples."""

    candidates: Candidates
    weights: Float[np.ndarray, "w k"]
    counts: Int[np.ndarray, "r b"]
    betas: Sequence[float]

    def methods(self, swept: Sweep, role: str, prefix: str) -> dict[str, Measured]:
        """Points of every method of a sweep, by the method's name."""
        names = [BEST_OF_N, *(f"tilt beta={beta:g}" for beta in self.betas)]
        return {
            prefix + name: self._method(swept, index, prefix + name, role)
            for index, name in enumerate(names)
        }

    def base(self) -> FrontPoint:
        """The reference policy: the mean over its candidates."""
        candidates = self.candidates
        judged = candidates.judged.mean(axis=1)
        rewards = np.where(candidates.present, candidates.rewards, np.nan)
        return FrontPoint(
            method="reference",
            weights=(0.0,) * len(candidates.objectives),
            rewards=tuple(judged.mean(axis=0).tolist()),
            interval=bounds_of(interval(resampled_means(judged, self.counts))),
            selector_rewards=self._named(
                known_mean(rewards.reshape(-1, rewards.shape[-1]))
            ),
            kl=0.0,
            seed=candidates.seed,
            length=float(candidates.lengths.mean()),
            n=1,
            label="reference policy",
            role="base",
        )

    def experts(self, points: Sequence[FrontPoint]) -> list[FrontPoint]:
        """The points of a method that weigh one objective alone."""
        names = self.candidates.objectives
        return [
            replace(
                next(point for point in points if np.allclose(point.weights, vertex)),
                role="expert",
                label=f"{name} expert",
            )
            for name, vertex in zip(names, np.eye(len(names)), strict=True)
        ]

    def _method(self, swept: Sweep, index: int, name: str, role: str) -> Measured:
        judged = np.asarray(swept.judged[index])  # [w b j]
        resampled = resampled_means(judged.transpose(1, 0, 2), self.counts)
        low, high = interval(resampled)
        mean = judged.mean(axis=1)
        selected = known_mean(np.asarray(swept.selected[index]).swapaxes(0, 1))
        points = [
            FrontPoint(
                method=name,
                weights=tuple(self.weights[w].tolist()),
                rewards=tuple(mean[w].tolist()),
                interval=bounds_of(np.stack([low[w], high[w]])),
                selector_rewards=self._named(selected[w]),
                kl=float(swept.kl[index, w].mean()),
                seed=self.candidates.seed,
                length=float(swept.length[index, w].mean()),
                beta=self.betas[index - 1] if index else None,
                n=self.candidates.judged.shape[1],
                role=role,
            )
            for w in range(len(self.weights))
        ]
        return Measured(points, resampled)

    def _named(self, rewards: Float[np.ndarray, " k"]) -> tuple[float, ...] | None:
        """The selector's view of the judge's objectives; None where it has none."""
        names, wanted = self.candidates.names, self.candidates.objectives
        if not set(wanted) <= set(names):
            return None
        chosen = rewards[[names.index(name) for name in wanted]]
        return tuple(chosen.tolist()) if np.isfinite(chosen).all() else None


def bounds_of(bounds: Float[np.ndarray, "2 j"]) -> tuple[tuple[float, float], ...]:
    """Lower and upper bound of each objective, as points hold them."""
    return tuple((float(low), float(high)) for low, high in bounds.T)
