"""The record of a front: points, weightings, intervals, provenance.

The records hold tuples of Python numbers, compare by value, and are checked when they
are made. :mod:`morl.pareto.files` reads and writes them as ``front.json``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from morl.errors import InputError
from morl.pareto.normalisation import Normalisation

Bounds = tuple[float, float]
ROLES = ("base", "expert", "sweep", "control")


@dataclass(frozen=True)
class FrontPoint:
    """One policy, measured.

    Attributes:
      method: The family, such as ``"best-of-n"`` or ``"tilt beta=0.5"``;
        ``"reference"`` for the base policy; starts with ``"noise"`` for the control.
      weights: The weighting it was selected for, one entry an objective; zeros for the
        base policy, which is the exact optimum of the weighting that asks for nothing.
      rewards: Mean over prompts of each objective, by judges that had no part in the
        selection (or by gold rewards where those are known).
      interval: 95% bounds of each entry of ``rewards``, from a bootstrap over prompts;
        each entry's own, but of the control one band that holds for all its values at
        once in 95% of runs (wider: many are looked at). None where no spread was
        measured.
      selector_rewards: The same means as the selecting heads see them; None where
        there was no selector.
      kl: Mean KL divergence in nats from the uniform distribution over the ``n``
        candidates that the base policy sampled, so at most ``log(n)``; None where not
        measured.
      seed: Seed of the candidates.
      dominated: Whether another point of its method is at least as good in every
        objective and better in one (:func:`morl.pareto.mark_dominated`): methods at
        different KL are not set against each other by a flag.
      length: Mean response length in tokens.
      beta: KL weight of the tilt.
      n: Candidates a prompt.
      label: What a figure calls it; the method where empty.
      role: ``"base"``, ``"expert"`` (best found for one objective), ``"sweep"`` or
        ``"control"``.
      ties: Indices, in its front, of the points that its intervals do not tell from it.
    """

    method: str
    weights: tuple[float, ...]
    rewards: tuple[float, ...]
    interval: tuple[Bounds, ...] | None = None
    selector_rewards: tuple[float, ...] | None = None
    kl: float | None = None
    seed: int = 0
    dominated: bool = False
    length: float | None = None
    beta: float | None = None
    n: int | None = None
    label: str = ""
    role: str = "sweep"
    ties: tuple[int, ...] = ()


@dataclass(frozen=True)
class Hypervolume:
    """Volume that a method's points dominate above the front's reference point.

    Attributes:
      value: The volume, at least 0; of the control the mean over its sets of heads.
      interval: 95% bounds over prompts (all points resampled together), of the control
        over its sets of heads too; None where not measured.
    """

    value: float
    interval: Bounds | None = None


@dataclass(frozen=True)
class ExactFront:
    """The same selection made with the true rewards, where those are known.

    Attributes:
      points: What selection by gold rewards reaches over the same candidates.
      hypervolume: Of ``points``, above the front's reference point.
      base_hypervolume: Of the base policy alone.
      share_closed: For each method, the share of the gap between ``base_hypervolume``
        and ``hypervolume`` that it closes.
    """

    points: tuple[FrontPoint, ...]
    hypervolume: float
    base_hypervolume: float
    share_closed: dict[str, float]


@dataclass(frozen=True)
class Provenance:
    """Where a front comes from: what a second one has to be made of and with.

    Attributes:
      config_hash: SHA-256 of the resolved configuration.
      seeds: All seeds used.
      created_by: Program and version, such as ``"morl front 0.1.0"``.
      command: The command line.
      model: Name and fingerprint of the policy.
      judge: Who scored the points, and why it is not the selector.
      data: Data sources, each with what part of it was used.
      sizes: Counts, such as prompts, candidates, weightings, resamples.
      versions: Library name to version.
    """

    config_hash: str = ""
    seeds: tuple[int, ...] = ()
    created_by: str = ""
    command: str = ""
    model: str = ""
    judge: str = ""
    data: tuple[str, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Front:
    """Points under one set of objectives, and what is known about them.

    Attributes:
      objectives: Names, in the order of every vector here.
      reference: The point that hypervolumes are measured from (``protocol_reference``).
      points: All points, controls and base policy included.
      hypervolume: One entry a method.
      exact: The true front, where it is known.
      units: Unit of each objective; empty where there is none to name.
      normalisation: Frozen scale from the base policy (0) to the experts (1).
      provenance: Where it all comes from.

    Raises:
      InputError: Lengths that do not match the objectives, numbers that are not finite,
        bounds that are reversed, an unknown role, or a tie with no such point.
    """

    objectives: tuple[str, ...]
    reference: tuple[float, ...]
    points: tuple[FrontPoint, ...]
    hypervolume: dict[str, Hypervolume] = field(default_factory=dict)
    exact: ExactFront | None = None
    units: tuple[str, ...] = ()
    normalisation: Normalisation | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        """Refuses a record that cannot be what it says."""
        if not self.objectives or len(set(self.objectives)) != len(self.objectives):
            raise InputError(
                f"found {self.objectives}, expected distinct names", where="objectives"
            )
        _vector(self.reference, self.objectives, "reference")
        if self.units and len(self.units) != len(self.objectives):
            raise _unequal(self.units, self.objectives, "units")
        if self.normalisation is not None:
            _vector(self.normalisation.base, self.objectives, "normalisation.base")
            _vector(self.normalisation.best, self.objectives, "normalisation.best")
        for method, volume in self.hypervolume.items():
            _volume(volume, f"hypervolume.{method}")
        _points(self.points, self.objectives, "points")
        if self.exact is not None:
            _points(self.exact.points, self.objectives, "exact.points")
            for key, value in (
                ("hypervolume", self.exact.hypervolume),
                ("base_hypervolume", self.exact.base_hypervolume),
                *((f"share_closed.{m}", v) for m, v in self.exact.share_closed.items()),
            ):
                _finite(value, f"exact.{key}")

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that swept weightings, in order of appearance."""
        return methods_of(self.points, "sweep")

    @property
    def controls(self) -> tuple[str, ...]:
        """Methods of the control, in order of appearance."""
        return methods_of(self.points, "control")

    @property
    def base(self) -> FrontPoint | None:
        """The base policy."""
        return next((p for p in self.points if p.role == "base"), None)

    @property
    def experts(self) -> tuple[FrontPoint, ...]:
        """The best points found for single objectives."""
        return tuple(p for p in self.points if p.role == "expert")


def methods_of(points: Sequence[FrontPoint], role: str) -> tuple[str, ...]:
    """Methods of the points with ``role``, in order of appearance."""
    return tuple(dict.fromkeys(p.method for p in points if p.role == role))


def select(points: Sequence[FrontPoint], method: str, role: str) -> list[FrontPoint]:
    """The points of one method in one role, in order."""
    return [p for p in points if p.method == method and p.role == role]


def rewards_of(points: Sequence[FrontPoint]) -> Float[np.ndarray, "n k"]:
    """Reward vectors of ``points``, one a row; ``[0, 0]`` for no points."""
    return np.array([p.rewards for p in points], dtype=np.float64).reshape(
        len(points), -1 if points else 0
    )


def weights_of(points: Sequence[FrontPoint]) -> Float[np.ndarray, "n k"]:
    """Weightings of ``points``, one a row; ``[0, 0]`` for no points."""
    return np.array([p.weights for p in points], dtype=np.float64).reshape(
        len(points), -1 if points else 0
    )


def intervals_of(points: Sequence[FrontPoint]) -> Float[np.ndarray, "n k 2"]:
    """Bounds of ``points``; infinite where none were measured.

    An unknown interval is as wide as can be: it never separates two points.
    """
    return np.array(
        [p.interval or ((-math.inf, math.inf),) * len(p.rewards) for p in points]
    ).reshape(len(points), -1 if points else 0, 2)


def _unequal(
    found: Sequence[object], objectives: tuple[str, ...], where: str
) -> InputError:
    return InputError(
        f"has {len(found)} entries, objectives are {objectives}", where=where
    )


def _finite(value: float, where: str) -> None:
    if not math.isfinite(value):
        raise InputError(f"found {value}, expected a finite number", where=where)


def _vector(values: tuple[float, ...], objectives: tuple[str, ...], where: str) -> None:
    if len(values) != len(objectives):
        raise _unequal(values, objectives, where)
    for i, value in enumerate(values):
        _finite(value, f"{where}[{i}]")


def _interval(pair: Bounds, where: str) -> None:
    if len(pair) != 2 or not all(map(math.isfinite, pair)) or pair[0] > pair[1]:
        raise InputError(
            f"found {pair}, expected finite [low, high] with low <= high", where=where
        )


def _volume(volume: Hypervolume, where: str) -> None:
    _finite(volume.value, f"{where}.value")
    if volume.value < 0:
        raise InputError(f"found {volume.value}, expected >= 0", where=f"{where}.value")
    if volume.interval is not None:
        _interval(volume.interval, f"{where}.interval")


def _points(
    points: tuple[FrontPoint, ...], objectives: tuple[str, ...], where: str
) -> None:
    for i, point in enumerate(points):
        here = f"{where}[{i}]"
        _vector(point.weights, objectives, f"{here}.weights")
        _vector(point.rewards, objectives, f"{here}.rewards")
        if point.interval is not None:
            if len(point.interval) != len(objectives):
                raise _unequal(point.interval, objectives, f"{here}.interval")
            for k, pair in enumerate(point.interval):
                _interval(pair, f"{here}.interval[{k}]")
        if point.selector_rewards is not None:
            _vector(point.selector_rewards, objectives, f"{here}.selector_rewards")
        for key, value in (
            ("kl", point.kl),
            ("length", point.length),
            ("beta", point.beta),
        ):
            _finite(0.0 if value is None else value, f"{here}.{key}")
        if point.role not in ROLES:
            raise InputError(
                f"found {point.role!r}, expected one of {ROLES}", where=f"{here}.role"
            )
        if any(not 0 <= tie < len(points) or tie == i for tie in point.ties):
            raise InputError(
                f"found {point.ties}, expected other points' indices below "
                f"{len(points)}",
                where=f"{here}.ties",
            )
