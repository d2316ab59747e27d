"""The gradients of K losses: one forward pass and K backward passes."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from morl.errors import InputError

Params: TypeAlias = PyTree[Any]
Chosen: TypeAlias = Callable[[tuple[Any, ...], Array], bool]
Mapped: TypeAlias = Callable[[Callable[[Any], Any], Any], Any]


def one_by_one(
    fn: Callable[[Any], Params], units: PyTree[Array]
) -> PyTree[Float[Array, "k ..."]]:
    """Applies ``fn`` to each row, written out: the program grows with their number."""
    num_rows = jax.tree.leaves(units)[0].shape[0]
    trees = [fn(jax.tree.map(lambda x, i=i: x[i], units)) for i in range(num_rows)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def side_by_side(
    fn: Callable[[Any], Params], units: PyTree[Array]
) -> PyTree[Float[Array, "k ..."]]:
    """Applies ``fn`` to all rows as one batch, by ``jax.vmap``."""
    return jax.vmap(fn)(units)


def rows(
    loss_fn: Callable[[Params], Float[Array, " k"]],
    params: Params,
    *,
    chosen: Chosen | None = None,
    mapped: Mapped = one_by_one,
) -> tuple[Float[Array, " k"], PyTree[Float[Array, "k ..."]]]:
    """Losses, and the gradient of each one.

    One forward pass, then K backward passes: at most ``(1 + 2 K) / 3`` times the cost
    of a gradient. Only the passes that the chosen parameters need are computed, so rows
    over the last layer cost little.

    A loss without labels in the batch must be finite all the same (a masked mean that
    is 0, say): where its backward pass holds NaN, zero times NaN reaches the parameters
    that it shares with the others.

    Args:
      loss_fn: From the parameters to the losses, minimised. Under data parallelism it
        takes their mean over the data axis itself (``jax.lax.pmean``), and so the rows
        are reduced like any gradient.
      params: All parameters.
      chosen: Whether a parameter counts, from its path (as in
        ``jax.tree_util.tree_map_with_path``) and itself; None for all.
      mapped: How the K backward passes run. :func:`one_by_one` is fastest on a CPU;
        ``jax.lax.map`` compiles one pass and holds the activations' gradients of one
        loss; :func:`side_by_side` batches them, for accelerators that one pass leaves
        idle, and holds those of K losses.

    Returns:
      The losses, and a tree like ``params`` whose leaves carry a leading objective
      axis; it holds None in place of what was not chosen.

    Raises:
      InputError: The losses are not a vector, or no parameter is chosen.

    Examples:
      >>> square = lambda p: jnp.array([p["a"] ** 2, p["a"] * p["b"]])
      >>> losses, grads = rows(square, {"a": jnp.array(3.0), "b": jnp.array(2.0)})
      >>> losses.tolist(), grads["a"].tolist(), grads["b"].tolist()
      ([9.0, 6.0], [6.0, 2.0], [0.0, 3.0])
    """
    losses, grads, _ = rows_with_aux(
        lambda p: (loss_fn(p), ()), params, chosen=chosen, mapped=mapped
    )
    return losses, grads


def rows_with_aux(
    loss_fn: Callable[[Params], tuple[Float[Array, " k"], Any]],
    params: Params,
    *,
    chosen: Chosen | None = None,
    mapped: Mapped = one_by_one,
) -> tuple[Float[Array, " k"], PyTree[Float[Array, "k ..."]], Any]:
    """As :func:`rows`, for a function that also returns what has no gradient.

    Args:
      loss_fn: From the parameters to the losses and anything else, such as metrics.
      params: All parameters.
      chosen: Whether a parameter counts; None for all.
      mapped: How the K backward passes run.

    Returns:
      The losses, the rows, and what else ``loss_fn`` returned.

    Raises:
      InputError: The losses are not a vector, or no parameter is chosen.
    """
    picked, rest = (params, ()) if chosen is None else split(params, chosen)
    if not jax.tree.leaves(picked):
        raise InputError("no parameter is chosen", where="rows")
    losses, pullback, aux = jax.vjp(
        lambda p: loss_fn(p if chosen is None else join(p, rest)), picked, has_aux=True
    )
    if losses.ndim != 1:
        raise InputError(
            f"losses have shape {losses.shape}, expected one entry an objective",
            where="rows",
        )
    return losses, each_row(pullback, losses, mapped=mapped), aux


def each_row(
    pullback: Callable[[Float[Array, " k"]], tuple[Params]],
    losses: Float[Array, " k"],
    *,
    mapped: Mapped = one_by_one,
) -> PyTree[Float[Array, "k ..."]]:
    """The K rows of a Jacobian, from the pullback that ``jax.vjp`` returned."""
    # The zeros carry the mesh axes that the losses vary over inside shard_map.
    units = jnp.eye(losses.size, dtype=losses.dtype) + jnp.zeros_like(losses)[None]
    return mapped(lambda unit: pullback(unit)[0], units)


def weighted_gradient(
    weights: Float[Array, " k"],
    loss_fn: Callable[[Params], Float[Array, " k"]],
    params: Params,
    *,
    present: Bool[Array, " k"] | None = None,
) -> Params:
    r"""The gradient of :math:`\sum_k w_k \ell_k`, by one backward pass.

    For weights that came from rows over a subtree, from a layerwise Gramian or from an
    earlier step. In one compiled program with :func:`rows` over the same function, the
    forward pass is shared.

    Args:
      weights: Weight of each objective; constants of the gradient.
      loss_fn: From the parameters to the losses, minimised.
      params: All parameters.
      present: Objectives that count; None for all.

    Returns:
      A tree like ``params``.
    """
    fixed = jax.lax.stop_gradient(weights)

    def total(p: Params) -> Float[Array, ""]:
        losses = loss_fn(p)
        if present is not None:
            losses = jnp.where(present, losses, 0)
        return jnp.sum(fixed.astype(losses.dtype) * losses)

    return jax.grad(total)(params)


def split(params: Params, chosen: Chosen) -> tuple[Params, Params]:
    """Parts a tree in two, each with None in place of what the other one holds.

    Args:
      params: Any tree without None.
      chosen: Whether a leaf belongs to the first part, from its path and itself.

    Returns:
      What was chosen, and the rest; :func:`join` puts them together.

    Examples:
      >>> named = lambda path, leaf: path[0].key == "head"
      >>> split({"body": 1, "head": 2}, named)
      ({'body': None, 'head': 2}, {'body': 1, 'head': None})
    """
    keep = jax.tree_util.tree_map_with_path(chosen, params)
    picked = jax.tree.map(lambda on, leaf: leaf if on else None, keep, params)
    rest = jax.tree.map(lambda on, leaf: None if on else leaf, keep, params)
    return picked, rest


def join(picked: Params, rest: Params) -> Params:
    """One tree from the two that :func:`split` made."""
    return jax.tree.map(
        lambda first, second: second if first is None else first,
        picked,
        rest,
        is_leaf=lambda leaf: leaf is None,
    )
