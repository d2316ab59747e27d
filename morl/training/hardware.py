"""What the makers say of their devices, and a place for what none of them holds."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax


class Chip(NamedTuple):
    """Published limits of one device.

    Attributes:
      flops: Operations a second in bfloat16 on dense matrices.
      bytes_per_second: Bandwidth of its memory.
      bytes: Its memory.
      link_bytes_per_second: Bandwidth between devices, all links in one direction.
    """

    flops: float
    bytes_per_second: float
    bytes: float
    link_bytes_per_second: float


GIB = 2**30
# cloud.google.com/tpu/docs (system architecture, each version), and NVIDIA's data
# sheets of the A100, the H100 SXM and the H200; NVLink of one device, one direction.
CHIPS: Mapping[str, Chip] = {
    "TPU v4": Chip(275e12, 1228e9, 32 * GIB, 300e9),
    "TPU v5 lite": Chip(197e12, 819e9, 16 * GIB, 200e9),
    "TPU v5": Chip(459e12, 2765e9, 95 * GIB, 600e9),
    "TPU v6 lite": Chip(918e12, 1640e9, 32 * GIB, 400e9),
    "TPU7x": Chip(1153.5e12, 3690e9, 96 * GIB, 300e9),  # half a chip is a device
    "NVIDIA A100-SXM4-80GB": Chip(312e12, 2039e9, 80 * GIB, 300e9),
    "NVIDIA H100 80GB HBM3": Chip(989e12, 3350e9, 80 * GIB, 450e9),
    "NVIDIA H200": Chip(989e12, 4800e9, 141 * GIB, 450e9),
}


def chip(kind: str) -> Chip | None:
    """What is known of a device by the name JAX gives it; None where nothing is."""
    return CHIPS.get(kind)


def peak_flops(devices: Sequence[Any]) -> float | None:
    """Operations a second of all devices in bfloat16; None where one is not known."""
    known = [chip(device.device_kind) for device in devices]
    found = [one.flops for one in known if one is not None]
    return sum(found) if len(found) == len(known) else None


def peak_memory(devices: Sequence[Any]) -> int | None:
    """Most bytes that any device had in use; None where devices do not say."""
    stats = [device.memory_stats() for device in devices]
    peaks = [each["peak_bytes_in_use"] for each in stats if each]
    return max(peaks) if peaks else None


@contextmanager
def on_host() -> Iterator[None]:
    """Puts arrays that are made meanwhile into the memory of the host.

    Models that are split over devices are more than one of them holds. Where JAX was
    told to see no processor (``JAX_PLATFORMS``), they go where they would have gone.
    """
    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        yield
        return
    with jax.default_device(host):
        yield
