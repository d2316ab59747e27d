"""Which device holds what: a named mesh, and one table from parameters to its axes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from morl.errors import InputError
from morl.models.transformer import Held

AXES = ("data", "fsdp", "tensor")
ROWS = ("data", "fsdp")  # over which the rows of a batch are split

# Logical axes of every parameter, by the end of its path; norms and biases are whole.
LOGICAL: Mapping[str, tuple[str | None, ...]] = {
    "embedding": ("vocab", "width"),
    "head": ("vocab", "width"),
    "qkv.weight": ("heads", "width"),
    "out.weight": ("width", "heads"),
    "gate_up.weight": ("ffn", "width"),
    "down.weight": ("width", "ffn"),
    "qkv.adapter.first": (None, "width"),
    "qkv.adapter.second": ("heads", None),
    "out.adapter.first": (None, "heads"),
    "out.adapter.second": ("width", None),
    "gate_up.adapter.first": (None, "width"),
    "gate_up.adapter.second": ("ffn", None),
    "down.adapter.first": (None, "ffn"),
    "down.adapter.second": ("width", None),
}
# Which axis of the mesh splits each logical axis.
TABLE: Mapping[str, str] = {
    "vocab": "tensor",
    "heads": "tensor",
    "ffn": "tensor",
    "width": "fsdp",
}


@dataclass(frozen=True)
class MeshSettings:
    """Devices along each axis of the mesh.

    Args:
      data: Copies of the parameters, each with its own rows; 0 takes what is left.
      fsdp: Parts that parameters and optimizer are split into, each with its own rows.
      tensor: Parts that each layer's products are split into.

    Raises:
      InputError: A number is negative, or ``fsdp`` or ``tensor`` is 0.
    """

    data: int = 0
    fsdp: int = 1
    tensor: int = 1

    def __post_init__(self) -> None:
        """Refuses what is no number of devices."""
        for name, value in asdict(self).items():
            least = 0 if name == "data" else 1
            if value < least:
                raise InputError(
                    f"found {value}, expected at least {least}", where=f"mesh.{name}"
                )


def axis_sizes(settings: MeshSettings, count: int) -> tuple[int, int, int]:
    """Devices along each axis, for so many in all.

    Raises:
      InputError: The sizes do not divide their number.
    """
    fixed = settings.fsdp * settings.tensor
    data = settings.data or count // fixed
    if not data or data * fixed != count:
        raise InputError(
            f"found {asdict(settings)}, which does not make {count} devices",
            where="mesh",
        )
    return data, settings.fsdp, settings.tensor


def make_mesh(settings: MeshSettings, devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh of all devices, or of those given, with automatic axes.

    Raises:
      InputError: The sizes do not divide the number of devices.
    """
    found = list(jax.devices() if devices is None else devices)
    shape = axis_sizes(settings, len(found))
    return Mesh(np.array(found).reshape(shape), AXES, (AxisType.Auto,) * len(AXES))


def path_name(path: Sequence[Any]) -> str:
    """A parameter's path with dots between its parts.

    Examples:
      >>> tree = {"layers": {0: {"out": 1}}}
      >>> jax.tree_util.tree_map_with_path(lambda path, _: path_name(path), tree)
      {'layers': {0: {'out': 'layers.0.out'}}}
    """
    return jax.tree_util.keystr(tuple(path), simple=True, separator=".")


def logical_axes(path: str, shape: Sequence[int]) -> tuple[str | None, ...]:
    """The logical axes of a parameter; leading ones, of stacked layers, are whole.

    Examples:
      >>> logical_axes("backbone.layers.3.qkv.weight", (48, 16))
      ('heads', 'width')
      >>> logical_axes("backbone.norm.weight", (16,))
      (None,)
    """
    for end, axes in LOGICAL.items():
        if path == end or path.endswith(f".{end}"):
            return (None,) * (len(shape) - len(axes)) + axes
    return (None,) * len(shape)


def parameter_spec(
    path: str,
    shape: Sequence[int],
    mesh: Mesh | AbstractMesh,
    table: Mapping[str, str] = TABLE,
) -> P:
    """How a parameter is split over the mesh.

    An axis that its part of the mesh does not divide stays whole.

    Args:
      path: Name of the parameter, dots between its parts.
      shape: Its shape.
      mesh: The devices.
      table: From logical axes to axes of the mesh.
    """
    named = [
        table.get(name) if name is not None else None
        for name in logical_axes(path, shape)
    ]
    fits = [
        axis if axis is not None and not size % mesh.shape[axis] else None
        for axis, size in zip(named, shape, strict=True)
    ]
    return P(*fits)


def tree_shardings(tree: PyTree, mesh: Mesh | AbstractMesh) -> PyTree:
    """A sharding for each leaf of a state: by its path, whichever part it is in.

    Moments of an optimizer, averages and masters end in the path of their parameter,
    and so are split as it is.
    """
    place = lambda path, leaf: NamedSharding(
        mesh, parameter_spec(path_name(path), leaf.shape, mesh)
    )
    return jax.tree_util.tree_map_with_path(place, tree)


def batch_sharding(mesh: Mesh | AbstractMesh) -> NamedSharding:
    """Micro-batches ``[a, b, ...]`` split over their rows."""
    return NamedSharding(mesh, P(None, ROWS))


def row_parts(mesh: Mesh | AbstractMesh) -> int:
    """How many parts the rows of a batch are split into."""
    return math.prod(mesh.shape[axis] for axis in ROWS)


def whole(mesh: Mesh | AbstractMesh) -> NamedSharding:
    """A sharding of what every device holds."""
    return NamedSharding(mesh, P())


def held_on(mesh: Mesh | AbstractMesh) -> Held:
    """Where a model that devices share holds its activations.

    The residual stream is split over its tokens, as rows are. The embedding is looked
    up in parts of its width, for the tokens of all that share it, and what was found is
    exchanged: that moves the activations of a layer, where to gather the embedding (and
    to add up its gradients) would move the vocabulary.
    """
    place = lambda *spec: partial(
        jax.lax.with_sharding_constraint, shardings=NamedSharding(mesh, P(*spec))
    )
    rest = tuple(axis for axis in ROWS if axis != TABLE["width"])
    return Held(
        place(rest),
        place(rest, TABLE["width"]),
        place(ROWS),
        partial(constrained, mesh=mesh),
        mesh.shape[TABLE["heads"]],
    )


def constrained(tree: PyTree, mesh: Mesh | AbstractMesh) -> PyTree:
    """Values where the table puts parameters of the same paths."""
    return jax.tree.map(
        jax.lax.with_sharding_constraint, tree, tree_shardings(tree, mesh)
    )
