"""One step by three routes: ``jit`` over a mesh, ``shard_map`` and ``pmap``."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from morl.errors import InputError
from morl.models.compiler import wide_products
from morl.training.mesh import (
    AXES,
    ROWS,
    batch_sharding,
    constrained,
    row_parts,
    tree_shardings,
    whole,
)
from morl.training.state import Batch, Outcome, Params, Program, TrainState
from morl.training.step import Metrics, Reduction, Step, Update, make_step


class Route(NamedTuple):
    """A compiled step and where it wants its arguments.

    Attributes:
      step: From state, frozen parameters and batch to state and metrics; the state that
        goes in is given up.
      place_params: Puts a state, or parameters, where the step wants them.
      place_batch: Puts ``[a, b, ...]`` rows of this process there.
      share: Rows of ``b`` that this process makes.
      evaluate: From parameters, frozen ones and a batch to the sums over its rows.
    """

    step: Callable[[TrainState, Params, Batch], tuple[TrainState, Metrics]]
    place_params: Callable[[PyTree], PyTree]
    place_batch: Callable[[Batch], Batch]
    share: Callable[[int], slice]
    evaluate: Callable[[Params, Params, Batch], Outcome]


def jit_step(program: Program, update: Update, mesh: Mesh) -> Any:
    """The step of :func:`jit_route`, which may be compiled without being run.

    Returns:
      From state, frozen parameters and batch to state and metrics, under ``jax.jit``.
    """
    # Gradients where their parameters are: each device keeps its part of the sum.
    reduction = Reduction(lambda tree: tree, partial(constrained, mesh=mesh))
    return jax.jit(
        make_step(program, update, reduction),
        donate_argnums=0,
        compiler_options=compiler_options(mesh),
    )


def compiler_options(mesh: Mesh) -> dict[str, str]:
    """What XLA is asked for where it compiles for the devices of a mesh.

    They need not be those of this process, as in :mod:`morl.training.plan`.
    """
    on_cpu = all(device.platform == "cpu" for device in mesh.devices.flat)
    return wide_products() if on_cpu else {}


def jit_route(program: Program, update: Update, mesh: Mesh) -> Route:
    """The whole batch as one program, which XLA splits over the mesh.

    Parameters, optimizer and averages are split as the table of
    :mod:`morl.training.mesh` says (fully sharded and tensor parallel), rows over
    ``data`` and ``fsdp``.
    """
    rows = batch_sharding(mesh)
    return Route(
        jit_step(program, update, mesh),
        lambda tree: place(tree, tree_shardings(tree, mesh)),
        lambda batch: place_rows(batch, rows),
        lambda count: own_rows(count, mesh),
        jax.jit(
            make_evaluation(program),
            out_shardings=whole(mesh),
            compiler_options=compiler_options(mesh),
        ),
    )


def shard_map_route(program: Program, update: Update, mesh: Mesh) -> Route:
    """One program a device on its own rows, sums over devices written out.

    Raises:
      InputError: The mesh splits parameters.
    """
    _refuse_split(mesh, "shard_map")
    varying = partial(jax.lax.pcast, axis_name=ROWS, to="varying")
    reduction = Reduction(
        lambda tree: jax.tree.map(varying, tree),
        partial(jax.lax.psum, axis_name=ROWS),
    )
    body = make_step(program, update, reduction)
    mapped = jax.shard_map(
        body, mesh=mesh, in_specs=(P(), P(), P(None, ROWS)), out_specs=P()
    )
    rows = batch_sharding(mesh)
    options = compiler_options(mesh)
    return Route(
        jax.jit(mapped, donate_argnums=0, compiler_options=options),
        lambda tree: place(tree, jax.tree.map(lambda _: whole(mesh), tree)),
        lambda batch: place_rows(batch, rows),
        lambda count: own_rows(count, mesh),
        jax.jit(
            make_evaluation(program),
            out_shardings=whole(mesh),
            compiler_options=options,
        ),
    )


def pmap_route(program: Program, update: Update, mesh: Mesh) -> Route:
    """The same by ``jax.pmap``: replicated state, rows on a leading device axis.

    Inside ``pmap`` a gradient is the device's own, so gradients are summed and never
    losses.

    Raises:
      InputError: The mesh splits parameters.
    """
    _refuse_split(mesh, "pmap")
    total = partial(jax.lax.psum, axis_name="devices")
    body = make_step(program, update, Reduction(lambda tree: tree, total))
    local = [d for d in mesh.devices.flat if d.process_index == jax.process_index()]
    mapped = partial(
        jax.pmap,
        axis_name="devices",
        in_axes=(None, None, 0),
        out_axes=None,
        devices=local if jax.process_count() == 1 else None,
    )

    def rows(batch: Batch) -> Batch:
        split = lambda x: jnp.moveaxis(
            x.reshape(x.shape[0], len(local), -1, *x.shape[2:]), 1, 0
        )
        return jax.tree.map(split, batch)

    if jax.process_count() == 1:
        step, hold = mapped(body), lambda tree: jax.tree.map(jnp.asarray, tree)
    else:
        step = shared_step(mapped(body), mesh)
        hold = lambda tree: place(tree, jax.tree.map(lambda _: whole(mesh), tree))
    return Route(
        step,
        hold,
        rows,
        lambda count: own_rows(count, mesh),
        mapped(make_evaluation(program, total)),
    )


def shared_step(step: Step, mesh: Mesh) -> Step:
    """A step whose next state is on all devices of the mesh, and not on its own alone.

    What ``pmap`` gives back is a process's own. Orbax saves what processes share.
    """
    everywhere = whole(mesh)

    def shared(leaf: jax.Array) -> jax.Array:
        copies = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, everywhere, copies)

    def stepped(
        state: TrainState, frozen: Params, batch: Batch
    ) -> tuple[TrainState, Metrics]:
        later, metrics = step(state, frozen, batch)
        return jax.tree.map(shared, later), metrics

    return stepped


def own_rows(count: int, mesh: Mesh) -> slice:
    """Which of ``count`` rows of a micro-batch this process makes: one run of them.

    Raises:
      InputError: The mesh does not divide them, or scatters a process's rows.
    """
    check_rows(count, mesh)
    places = NamedSharding(mesh, P(ROWS)).devices_indices_map((count,))
    own = {
        (found[0].start or 0, count if found[0].stop is None else found[0].stop)
        for device, found in places.items()
        if device.process_index == jax.process_index()
    }
    first, last = min(own)[0], max(own)[1]
    if sum(stop - start for start, stop in own) != last - first:
        raise InputError(
            f"the rows of process {jax.process_index()} are not next to each other",
            where="mesh",
        )
    return slice(first, last)


def make_evaluation(
    program: Program, total: Callable[[PyTree], PyTree] = lambda tree: tree
) -> Callable[[Params, Params, Batch], Outcome]:
    """Sums over micro-batches ``[a, b, ...]`` without randomness or gradients."""

    def evaluate(params: Params, frozen: Params, batch: Batch) -> Outcome:
        one = partial(program.evaluate, params, frozen)
        parts = jax.lax.map(one, batch)
        return total(jax.tree.map(partial(jnp.sum, axis=0), parts))

    return evaluate


def place(tree: PyTree, shardings: PyTree) -> PyTree:
    """Puts arrays that every process holds whole onto the mesh."""

    def put(leaf: Any, sharding: Any) -> jax.Array:
        if sharding.is_fully_addressable:
            return jax.device_put(leaf, sharding)
        host = jax.device_get(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda at: host[at])

    return jax.tree.map(put, tree, shardings)


def place_rows(batch: Batch, sharding: Any) -> Batch:
    """Puts each process's rows of a batch onto the mesh, as parts of one."""
    if sharding.is_fully_addressable:
        return jax.device_put(batch, sharding)
    join = partial(jax.make_array_from_process_local_data, sharding)
    return jax.tree.map(join, batch)


def _refuse_split(mesh: Mesh, strategy: str) -> None:
    found = {axis: mesh.shape[axis] for axis in AXES[1:] if mesh.shape[axis] > 1}
    if found:
        raise InputError(
            f"found {found}, but {strategy} copies the parameters to every device: "
            "use strategy jit, or put all devices on data",
            where="mesh",
        )


def check_rows(count: int, mesh: Mesh | AbstractMesh) -> None:
    """Refuses a number of rows that the mesh does not divide."""
    if count % row_parts(mesh):
        raise InputError(
            f"found {count} rows a micro-batch, expected a multiple of "
            f"{row_parts(mesh)}, the devices they are split over",
            where="batch_size",
        )
