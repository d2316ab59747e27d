"""What a training step will ask of devices, before there are any: compiled, not run."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from jax.sharding import AbstractMesh, AxisType, Mesh

from morl.training.abstract import (
    Arguments,
    Rows,
    Whole,
    abstract_arguments,
    device_bytes,
    held_whole,
)
from morl.training.compiled_step import Built, NoRoom, compile_step
from morl.training.costs import Collective, Costs
from morl.training.hardware import Chip, chip
from morl.training.largest_batch import largest_batch
from morl.training.mesh import AXES, MeshSettings, axis_sizes, make_mesh, row_parts
from morl.training.reward_design import Design, Parts, TrainingSettings
from morl.training.strategies import check_rows
from morl.training.topologies import Topology

NO_COMPILER = (
    "there is no TPU compiler here: pip install 'morl[tpu]' has one, and needs no TPU. "
    "What follows is arithmetic alone, without activations"
)
AnyMesh = Mesh | AbstractMesh
Progress = Callable[[int, int], None]


class Asked(NamedTuple):
    """What is planned.

    Attributes:
      parts: From a mesh to the parts of a reward model, from shapes alone
        (:func:`morl.training.reward_design.abstract_backbone`).
      design: What those are made of.
      settings: How much is trained, on how much at once.
      rows: What a batch holds.
    """

    parts: Callable[[AnyMesh], Parts]
    design: Design
    settings: TrainingSettings
    rows: Rows


class Roofline(NamedTuple):
    """Least seconds that a step takes each part of a device, at their published peaks.

    Attributes:
      compute: Matrix products.
      memory: Traffic with its main memory.
      network: What it sends to other devices.
    """

    compute: float
    memory: float
    network: float


class Plan(NamedTuple):
    """What a step asks of each device.

    Attributes:
      topology: The devices.
      device: What JAX calls one.
      devices: How many there are.
      mesh: How they are arranged, by axis.
      batch: Rows and tokens of a step, over all devices.
      compiled: Whether there is a program; there is none without a compiler, or where
        it does not fit.
      why: Why there is none.
      fits: Whether the memory of a device holds it; None where that is not known.
      bytes_per_device: By kind, and in total.
      memory: Bytes of a device; None where nobody published them.
      flops: Of a step's matrix products on one device.
      bytes_moved: To and from its memory.
      collectives: By kind.
      unknown_loops: Loops that were counted once, for want of knowing better.
      seconds: The terms of the roofline.
      held_whole: Parameters that every device holds whole and should not.
      largest_batch: Rows of a micro-batch that still fit; None where it was not asked
        for, or is not known.
    """

    topology: str
    device: str
    devices: int
    mesh: dict[str, int]
    batch: dict[str, int]
    compiled: bool
    why: str
    fits: bool | None
    bytes_per_device: dict[str, int]
    memory: float | None
    flops: int | None
    bytes_moved: int | None
    collectives: dict[str, Collective]
    unknown_loops: tuple[str, ...]
    seconds: Roofline | None
    held_whole: tuple[Whole, ...]
    largest_batch: int | None

    @property
    def seconds_per_step(self) -> float | None:
        """The longest term: a step's time where all three overlap."""
        return None if self.seconds is None else max(self.seconds)

    @property
    def binds(self) -> str | None:
        """Which term that is."""
        if self.seconds is None:
            return None
        terms = self.seconds._asdict()
        return max(terms, key=lambda name: terms[name])

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens that all devices take in a second, padding included."""
        seconds = self.seconds_per_step
        return None if not seconds else self.batch["tokens"] / seconds

    def to_json(self) -> dict[str, Any]:
        """The same as dictionaries and lists."""
        return self._asdict() | {
            "collectives": {k: c._asdict() for k, c in self.collectives.items()},
            "seconds": None if self.seconds is None else self.seconds._asdict(),
            "held_whole": [one._asdict() for one in self.held_whole],
            "seconds_per_step": self.seconds_per_step,
            "binds": self.binds,
            "tokens_per_second": self.tokens_per_second,
        }


def plan_step(
    asked: Asked,
    mesh: MeshSettings,
    topology: Topology,
    *,
    search: Progress | None = None,
) -> Plan:
    """Compiles the step of a run for devices that need not exist, and counts it.

    Args:
      asked: What is trained.
      mesh: How the devices are arranged.
      topology: The devices.
      search: Look for the largest batch too, with two programs more; called with
        programs compiled and in all.

    Raises:
      InputError: The devices cannot be arranged so, or do not divide the rows.
    """
    found = _mesh(mesh, topology)
    check_rows(asked.settings.batch_size, found)
    given = _arguments(asked, found)
    limits = chip(topology.kind)
    if topology.devices is None:
        return _plan(asked, topology, found, given, limits, None, NO_COMPILER)
    try:
        built, why, used = _compiled(asked, found, given), "", None
    except NoRoom as error:
        built, why, used = None, str(error), error.used
    plan = _plan(asked, topology, found, given, limits, built, why)
    used = plan.bytes_per_device["total"] if built is not None else used
    if search is None or limits is None or used is None:
        return plan
    rows = largest_batch(
        partial(_total, asked, found),
        (asked.settings.batch_size, used),
        least=row_parts(found),
        limit=float(limits.bytes),
        progress=search,
    )
    return plan._replace(largest_batch=rows)


def _mesh(settings: MeshSettings, topology: Topology) -> AnyMesh:
    if topology.devices is not None:
        return make_mesh(settings, topology.devices)
    sizes = axis_sizes(settings, topology.count)
    return AbstractMesh(sizes, AXES, (AxisType.Auto,) * len(AXES))


def _arguments(asked: Asked, mesh: AnyMesh) -> Arguments:
    parts = asked.parts(mesh)
    return abstract_arguments(parts, asked.design, asked.settings, asked.rows, mesh)


def _compiled(asked: Asked, mesh: AnyMesh, given: Arguments) -> Built | None:
    if not isinstance(mesh, Mesh):
        return None
    return compile_step(asked.parts(mesh), mesh, given)


def _plan(
    asked: Asked,
    topology: Topology,
    mesh: AnyMesh,
    given: Arguments,
    limits: Chip | None,
    built: Built | None,
    why: str,
) -> Plan:
    kinds = _bytes(given, built)
    settings, memory = asked.settings, None if limits is None else limits.bytes
    rows = settings.accumulate * settings.batch_size
    fits = None if memory is None else kinds["total"] <= memory
    if built is None and topology.devices is not None:
        fits = False  # the compiler said so
    elif built is None and fits:
        fits = None  # activations are missing from the sum
    costs = None if built is None else built.costs
    return Plan(
        topology.name,
        topology.kind,
        topology.count,
        {axis: mesh.shape[axis] for axis in AXES},
        {
            "rows": rows,
            "micro_batch": settings.batch_size,
            "tokens": rows * asked.rows.tokens,
        },
        built is not None,
        why,
        fits,
        kinds,
        memory,
        None if costs is None else costs.flops,
        None if costs is None else costs.bytes,
        {} if costs is None else costs.collectives,
        () if costs is None else costs.unknown_loops,
        None if costs is None or limits is None else roofline(costs, limits),
        held_whole((given.state, given.frozen), mesh),
        None,
    )


def _bytes(given: Arguments, built: Built | None) -> dict[str, int]:
    """Bytes on each device by kind.

    Gradients are those of the parameters, which the program holds at once; what else it
    needs for itself is counted as activations, copies of parameters in another type
    included.
    """
    state = given.state
    kinds = {
        "parameters": device_bytes(state.params),
        "optimizer": device_bytes(state.optimizer),
        "average": device_bytes(state.average),
        "frozen": device_bytes(given.frozen),
        "batch": device_bytes(given.batch),
        "gradients": device_bytes(state.params),
    }
    if built is None:
        return kinds | {"total": sum(kinds.values())}
    kinds["gradients"] = min(kinds["gradients"], built.temporary)
    kinds["activations"] = built.temporary - kinds["gradients"]
    kinds["program"] = built.code
    total = built.arguments + built.results + built.temporary + built.code
    return kinds | {"other": max(total - sum(kinds.values()), 0), "total": total}


def roofline(costs: Costs, limits: Chip) -> Roofline:
    """Least time of each part of a device, all its links at work at once.

    References:
      Williams, Waterman and Patterson, Roofline: An Insightful Visual Performance Model
      for Multicore Architectures, Communications of the ACM 52 (2009).
    """
    sent = sum(one.bytes for one in costs.collectives.values())
    return Roofline(
        costs.flops / limits.flops,
        costs.bytes / limits.bytes_per_second,
        sent / limits.link_bytes_per_second,
    )


def _total(asked: Asked, mesh: AnyMesh, rows: int) -> int | None:
    """Bytes of a device with another number of rows; None where they do not fit."""
    other = asked._replace(settings=replace(asked.settings, batch_size=rows))
    given = _arguments(other, mesh)
    try:
        return _bytes(given, _compiled(other, mesh, given))["total"]
    except NoRoom:
        return None
