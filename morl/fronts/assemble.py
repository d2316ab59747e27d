"""A front: base policy, experts, every weighting by every method, and its control."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.fronts.candidates import Candidates, check_scored_by
from morl.fronts.control import control_points, control_sweeps, control_volumes
from morl.fronts.measure import BEST_OF_N, Measure, Measured
from morl.fronts.provenance import completed
from morl.fronts.settings import SweepSettings
from morl.fronts.trace import noise_rewards, trace_sweep
from morl.numerics import resample_counts
from morl.pareto import (
    ExactFront,
    Front,
    FrontPoint,
    Hypervolume,
    Normalisation,
    Provenance,
    find_ties,
    host,
    hypervolume_interval,
    mark_dominated,
    protocol_reference,
    share_closed,
    simplex_lattice,
)
from morl.rewards import Composition


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
      provenance: Where it all comes from; sizes and versions are added here.

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
    measure = Measure(candidates, grid, counts, settings.betas)
    selected = trace_sweep(composition, candidates, grid, settings.betas)
    sweeps = measure.methods(selected, "sweep", "")
    draws = noise_rewards(candidates, settings.noise_draws, seed=settings.seed)
    noise = control_sweeps(composition, measure, draws)
    control = control_points(measure, noise)
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
            **dict(zip(control, control_volumes(measure, noise, floor), strict=True)),
        },
        exact=_exact(composition, measure, sweeps, floor, base) if gold else None,
        units=units,
        normalisation=Normalisation(base.rewards, tuple(best.tolist())),
        provenance=completed(
            provenance or Provenance(), candidates, len(grid), settings
        ),
    )


def _exact(
    composition: Composition,
    measure: Measure,
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
        host.hypervolume(np.array(rewards), floor)
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
        host.hypervolume(rewards, floor),
        hypervolume_interval(measured.resampled, floor),
    )
