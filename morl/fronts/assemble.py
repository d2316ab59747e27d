"""From what every weighting reached, prompt by prompt, to a front with intervals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from morl.errors import InputError
from morl.fronts.candidates import Candidates, check_scored_by
from morl.fronts.settings import SweepSettings
from morl.fronts.trace import Sweep, noise_rewards, trace_sweep
from morl.numerics import interval, resample_counts, resampled_means
from morl.numerics.bootstrap import LEVEL
from morl.pareto import (
    ExactFront,
    Front,
    FrontPoint,
    Hypervolume,
    Normalisation,
    Provenance,
    find_ties,
    hypervolume,
    hypervolume_interval,
    mark_dominated,
    protocol_reference,
    share_closed,
    simplex_lattice,
)
from morl.rewards import Composition

BEST_OF_N = "best-of-n"
NOISE = "noise"


class Measured(NamedTuple):
    """Points of one method, with the resampled means that their intervals come from."""

    points: list[FrontPoint]
    resampled: Float[np.ndarray, "r w j"]


def weightings(num_objectives: int, divisions: int) -> Float[np.ndarray, "w k"]:
    """The simplex lattice with vertices, and the centroid where it is not on it.

    Examples:
      >>> weightings(3, 10).shape
      (67, 3)
    """
    lattice = simplex_lattice(num_objectives, divisions)
    centroid = np.full((1, num_objectives), 1 / num_objectives)
    if np.isclose(lattice, centroid).all(axis=1).any():
        return lattice
    return np.concatenate([lattice, centroid])


def with_vertices(
    weights: Float[np.ndarray, "w k"], objectives: tuple[str, ...]
) -> Float[np.ndarray, "v k"]:
    """``weights``, followed by the single-objective weightings that they lack.

    The experts are among them, and the reference point of hypervolumes comes from
    those.

    Raises:
      InputError: Another number of columns than objectives, no row, an entry that is
        negative or not finite, or a row of zeros.

    Examples:
      >>> with_vertices(np.array([[1.0, 0.0], [0.5, 0.5]]), ("helpful", "harmless"))
      array([[1. , 0. ],
             [0.5, 0.5],
             [0. , 1. ]])
    """
    if weights.shape[1] != len(objectives) or not len(weights):
        raise InputError(
            f"weights have shape {weights.shape}, objectives are {objectives}",
            where="weights",
        )
    broken = ~np.isfinite(weights).all(axis=1) | (weights < 0).any(axis=1)
    broken |= ~(weights > 0).any(axis=1)
    if broken.any():
        row = int(np.argmax(broken))
        raise InputError(
            f"found {weights[row].tolist()}, expected numbers of at least 0, one of "
            "them above",
            where=f"weights[{row}]",
        )
    vertices = np.eye(len(objectives))
    lacking = [v for v in vertices if not np.isclose(weights, v).all(axis=1).any()]
    return np.concatenate([weights, *(vertex[None] for vertex in lacking)])


def assemble_front(
    composition: Composition,
    candidates: Candidates,
    settings: SweepSettings,
    *,
    weights: Float[np.ndarray, "w k"] | None = None,
    gold: bool = False,
    units: tuple[str, ...] = (),
    provenance: Provenance | None = None,
) -> Front:
    """Traces every weighting and its noise control, and measures what they reach.

    Args:
      composition: What selects; its objectives are the judge's.
      candidates: Scored responses of the reference policy.
      settings: Betas, draws of the control, resamples.
      weights: Weightings of the objectives, to which missing vertices are added;
        :func:`weightings` where not given.
      gold: The judge's rewards are the true ones: the same selection by them is drawn
        as the exact front.
      units: Unit of each objective.
      provenance: Where it all comes from.

    Returns:
      The front: base policy, experts, sweeps, control, hypervolumes.

    Raises:
      InputError: Weights that are none, or candidates scored by another composition.
    """
    check_scored_by(composition, candidates)
    if weights is None:
        weights = weightings(len(candidates.objectives), settings.divisions)
    grid = with_vertices(np.asarray(weights, float), candidates.objectives)
    counts = resample_counts(
        len(candidates.judged), num_resamples=settings.resamples, seed=settings.seed
    )
    measure = _Measure(candidates, grid, counts, settings.betas)
    selected = trace_sweep(composition, candidates, grid, settings.betas)
    sweeps = measure.methods(selected, "sweep", "")
    noise = _noise_sweeps(composition, candidates, grid, settings)
    control = measure.control(Sweep(*(part.mean(axis=0) for part in noise)))
    methods = {name: _marked(measured) for name, measured in (sweeps | control).items()}
    base = measure.base()
    # An expert is a point of its method: marked among those, not among the experts.
    experts = measure.experts(methods[BEST_OF_N].points)
    floor = protocol_reference(
        np.array(base.rewards), np.array([expert.rewards for expert in experts])
    )
    points = [base, *experts]
    for measured in methods.values():
        points += measured.points
    best = np.max([point.rewards for point in experts], axis=0)
    return Front(
        objectives=candidates.objectives,
        reference=tuple(floor.tolist()),
        points=find_ties(points),
        hypervolume={
            **{name: _volume(methods[name], floor) for name in sweeps},
            **dict(zip(control, _noise_volumes(noise, counts, floor), strict=True)),
        },
        exact=_exact(composition, measure, sweeps, floor, base) if gold else None,
        units=units,
        normalisation=Normalisation(base.rewards, tuple(best.tolist())),
        provenance=provenance or Provenance(),
    )


class _Measure(NamedTuple):
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

    def control(self, swept: Sweep) -> dict[str, Measured]:
        """Points of the control, under one band that holds for all of them at once.

        Hundreds of points are looked at, and at 95% each some would seem to gain by
        chance. The band is as wide as the largest of their standardised deviations is
        in 95% of the resamples (max-t; Romano and Wolf, 2005).
        """
        found = self.methods(swept, "control", f"{NOISE} ")
        resampled = np.stack([measured.resampled for measured in found.values()])
        spread = resampled.std(axis=1, keepdims=True)
        away = resampled - resampled.mean(axis=1, keepdims=True)
        scores = np.divide(
            np.abs(away), spread, out=np.zeros_like(away), where=spread > 0
        )
        reach = np.quantile(scores.max(axis=(0, 2, 3)), LEVEL) * spread[:, 0]
        return {
            name: Measured(
                [
                    replace(point, interval=_around(point.rewards, width))
                    for point, width in zip(measured.points, widths, strict=True)
                ],
                measured.resampled,
            )
            for (name, measured), widths in zip(found.items(), reach, strict=True)
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
            interval=_bounds(interval(resampled_means(judged, self.counts))),
            selector_rewards=self._named(np.nanmean(rewards, axis=(0, 1))),
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
        selected = np.nanmean(swept.selected[index], axis=1)
        points = [
            FrontPoint(
                method=name,
                weights=tuple(self.weights[w].tolist()),
                rewards=tuple(mean[w].tolist()),
                interval=_bounds(np.stack([low[w], high[w]])),
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


def _noise_sweeps(
    composition: Composition,
    candidates: Candidates,
    weights: Float[np.ndarray, "w k"],
    settings: SweepSettings,
) -> Sweep:
    """Sweeps by sets of heads that know nothing: every part has an axis of draws."""
    draws = noise_rewards(candidates, settings.noise_draws, seed=settings.seed)
    swept = [
        trace_sweep(
            composition, replace(candidates, rewards=rewards), weights, settings.betas
        )
        for rewards in draws
    ]
    return Sweep(*(np.stack(parts) for parts in zip(*swept, strict=True)))


def _noise_volumes(
    noise: Sweep,
    counts: Int[np.ndarray, "r b"],
    floor: Float[np.ndarray, " k"],
) -> list[Hypervolume]:
    """The mean volume of one set of noise heads by each method, over draws and prompts.

    Points averaged over the draws would lie closer together than those of any one set
    of heads, as a method's are, and dominate less. Each resample of the prompts takes
    the next draw, so that the interval is that of one set of heads.
    """
    found = []
    for method in np.moveaxis(np.asarray(noise.judged), 1, 0):
        volumes = [hypervolume(points.mean(axis=1), floor) for points in method]
        resampled = [
            resampled_means(points.transpose(1, 0, 2), counts[place :: len(method)])
            for place, points in enumerate(method)
        ]
        bounds = hypervolume_interval(np.concatenate(resampled), floor)
        found.append(Hypervolume(float(np.mean(volumes)), bounds))
    return found


def _exact(
    composition: Composition,
    measure: _Measure,
    sweeps: dict[str, Measured],
    floor: Float[np.ndarray, " k"],
    base: FrontPoint,
) -> ExactFront:
    """The same selection with the judge's rewards in place of the selector's."""
    truth = measure.candidates
    places = [truth.names.index(name) for name in truth.objectives]
    rewards, present = truth.rewards.copy(), truth.present.copy()
    rewards[..., places], present[..., places] = truth.judged, True
    knowing = replace(truth, rewards=rewards, present=present)
    swept = trace_sweep(composition, knowing, measure.weights, ())
    exact = measure._replace(candidates=knowing, betas=())
    points = mark_dominated(exact.methods(swept, "sweep", "")[BEST_OF_N].points)
    best, start = (
        hypervolume(np.array(rewards), floor)
        for rewards in ([point.rewards for point in points], [base.rewards])
    )
    return ExactFront(
        points=points,
        hypervolume=best,
        base_hypervolume=start,
        share_closed={
            name: share_closed(_volume(measured, floor).value, base=start, exact=best)
            for name, measured in sweeps.items()
            # Candidates that are all worth the same leave no gap to close.
            if best > start
        },
    )


def _marked(measured: Measured) -> Measured:
    """The same with its points marked against each other."""
    return measured._replace(points=list(mark_dominated(measured.points)))


def _volume(measured: Measured, floor: Float[np.ndarray, " k"]) -> Hypervolume:
    rewards = np.array([point.rewards for point in measured.points])
    return Hypervolume(
        hypervolume(rewards, floor), hypervolume_interval(measured.resampled, floor)
    )


def _around(
    centre: tuple[float, ...], reach: Float[np.ndarray, " j"]
) -> tuple[tuple[float, float], ...]:
    middle = np.array(centre)
    return _bounds(np.stack([middle - reach, middle + reach]))


def _bounds(bounds: Float[np.ndarray, "2 j"]) -> tuple[tuple[float, float], ...]:
    return tuple((float(low), float(high)) for low, high in bounds.T)
