"""Devices by name, there or not: a TPU slice, or processors for trials."""

import importlib.util
import math
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from morl.errors import InputError

CPU = "cpu"


class Version(NamedTuple):
    """One version of a TPU.

    Attributes:
      kind: What JAX calls its devices.
      devices: How many a chip has.
    """

    kind: str
    devices: int


VERSIONS: Mapping[str, Version] = {
    "v5e": Version("TPU v5 lite", 1),
    "v5p": Version("TPU v5", 1),
    "v6e": Version("TPU v6 lite", 1),
    "tpu7x": Version("TPU7x", 2),
}
# The compiler asks where it runs otherwise, complains when nobody answers, and takes a
# lock as if it ran programs.
_NOWHERE: Mapping[str, str] = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class Topology(NamedTuple):
    """Devices that a program is compiled for.

    Attributes:
      name: As it was asked for.
      kind: What JAX calls one of them.
      count: How many there are.
      devices: What the compiler takes; None where there is no compiler for them here.
    """

    name: str
    kind: str
    count: int
    devices: tuple[Any, ...] | None


def find_topology(name: str) -> Topology:
    """Devices by name: ``v5e:4x4``, ``v5p:4x4x4``, ``cpu:8``.

    No TPU is needed for a TPU's: only its compiler, which is in the package libtpu.
    Processors are made of the one that is here, if no other program ran before.

    Raises:
      InputError: The name means nothing, or the compiler does not know such devices.
    """
    version, _, sizes = name.partition(":")
    if version not in (CPU, *VERSIONS) or not re.fullmatch(r"\d+(x\d+){0,2}", sizes):
        raise InputError(
            f"found {name!r}, expected one of {', '.join(VERSIONS)} with sizes: "
            "v5e:4x4 or v5p:4x4x4, or cpu:8",
            where="topology",
        )
    count = math.prod(int(size) for size in sizes.split("x"))
    if not count:
        raise InputError(f"found {name!r}, expected sizes above 0", where="topology")
    if version == CPU:
        return Topology(name, CPU, count, _processors(name, count))
    if not has_compiler():
        known = VERSIONS[version]
        return Topology(name, known.kind, count * known.devices, None)
    for key, value in _NOWHERE.items():
        os.environ.setdefault(key, value)
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=name)
    except Exception as error:
        # The compiler raises what its plugin chose, with its reasons in the text.
        raise InputError(
            f"the TPU compiler does not take {name!r}: {error}", where="topology"
        ) from error
    devices = tuple(found.devices)
    return Topology(name, devices[0].device_kind, len(devices), devices)


def has_compiler() -> bool:
    """Whether programs for TPUs can be compiled here."""
    return importlib.util.find_spec("libtpu") is not None


def _processors(name: str, count: int) -> tuple[Any, ...]:
    try:
        if jax.config.jax_num_cpu_devices < count:  # type: ignore[attr-defined]
            jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        pass  # too late to ask: the devices are made already, and counted below
    found = jax.devices(CPU)
    if len(found) < count:
        raise InputError(
            f"found {name!r}, but this process has {len(found)} processors by now: set "
            f"JAX_NUM_CPU_DEVICES={count} ahead of it",
            where="topology",
        )
    return tuple(found[:count])
