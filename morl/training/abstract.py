"""The arguments of a training step as shapes with places: no array is made."""

from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh
from jaxtyping import PyTree

from morl.training.mesh import batch_sharding, path_name, tree_shardings
from morl.training.order import PADDING
from morl.training.reward_batch import RewardBatch, Widths, token_batch
from morl.training.reward_design import Design, Parts, TrainingSettings, start
from morl.training.reward_rows import NOTHING
from morl.training.state import Params, TrainState

BIG = 2**20  # bytes of a parameter above which not every device should hold it whole


class Rows(NamedTuple):
    """The rows of a batch.

    Attributes:
      tokens: Of each, padding included.
      room: For responses and pairs.
    """

    tokens: int
    room: Widths


class Arguments(NamedTuple):
    """What a step takes, shapes with shardings in place of arrays."""

    state: TrainState
    frozen: Params
    batch: RewardBatch


def abstract_arguments(
    parts: Parts,
    design: Design,
    settings: TrainingSettings,
    rows: Rows,
    mesh: Mesh | AbstractMesh,
) -> Arguments:
    """What the step of a run takes, where the run puts it.

    Args:
      parts: Of a reward model, arrays or shapes.
      design: What it is made of.
      settings: How much is trained, on how much at once.
      rows: What a batch holds.
      mesh: The devices.
    """
    begin = lambda params: start(parts._replace(params=params), design, settings)
    state = jax.eval_shape(begin, parts.params)
    batch = abstract_batch(settings, rows, len(design.names), mesh)
    return Arguments(placed(state, mesh), placed(parts.frozen, mesh), batch)


def placed(tree: PyTree, mesh: Mesh | AbstractMesh) -> PyTree:
    """Shapes with the shardings that the table gives their paths."""
    place = lambda leaf, sharding: jax.ShapeDtypeStruct(
        leaf.shape, leaf.dtype, sharding=sharding
    )
    return jax.tree.map(place, tree, tree_shardings(tree, mesh))


def abstract_batch(
    settings: TrainingSettings,
    rows: Rows,
    num_objectives: int,
    mesh: Mesh | AbstractMesh,
) -> RewardBatch:
    """Micro-batches ``[a, b, ...]`` of rows, as a run makes them."""
    one = token_batch(
        [NOTHING],
        np.array([PADDING]),
        length=rows.tokens,
        room=rows.room,
        num_objectives=num_objectives,
    )
    sharding = batch_sharding(mesh)

    def many(leaf: np.ndarray) -> jax.ShapeDtypeStruct:
        shape = (settings.accumulate, settings.batch_size, *leaf.shape[1:])
        dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    return jax.tree.map(many, one)


def device_bytes(tree: PyTree) -> int:
    """Bytes of a tree on each device, padding of layouts left out."""
    return sum(map(_device_bytes, jax.tree.leaves(tree)))


def _device_bytes(leaf: jax.ShapeDtypeStruct) -> int:
    assert leaf.sharding is not None
    return int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize


class Whole(NamedTuple):
    """A parameter that every device holds whole.

    Attributes:
      name: Its path.
      bytes: Its size.
    """

    name: str
    bytes: int


def held_whole(tree: PyTree, mesh: Mesh | AbstractMesh) -> tuple[Whole, ...]:
    """Large parameters that are not split although the mesh splits parameters."""
    if mesh.shape["fsdp"] * mesh.shape["tensor"] == 1:
        return ()
    return tuple(
        Whole(path_name(path), size)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if (size := int(np.prod(leaf.shape)) * leaf.dtype.itemsize) >= BIG
        and leaf.sharding.is_fully_replicated
    )
