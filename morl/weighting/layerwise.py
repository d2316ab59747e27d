"""The Gramian of a chain of layers, without ever holding K gradients of the model."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from morl.errors import InputError
from morl.numerics.rows import gramian
from morl.weighting.rows import Mapped, each_row, join, one_by_one, split

Params: TypeAlias = PyTree[Any]
Values: TypeAlias = PyTree[Any]
Layer: TypeAlias = Callable[[Any, Any], Any]
# From gradients with respect to the outputs, one an objective, to those with respect to
# the inputs, and the K x K sums of those with respect to the parameters.
Pullback: TypeAlias = Callable[[Any, Mapped], tuple[Any, Array]]
Link: TypeAlias = Callable[[Any, Any], tuple[Any, Pullback]]


def layerwise_gramian(
    links: Sequence[Link],
    params: Sequence[Params],
    inputs: Values,
    *,
    mapped: Mapped = one_by_one,
) -> tuple[Float[Array, " k"], Float[Array, "k k"]]:
    r"""Losses of a chain of layers, and the Gramian of their gradients.

    The K gradients travel backwards together. Each layer turns its own share of them
    into K x K inner products and drops it, so that beside the activations no more than
    K gradients of *one* layer are held. The step is then one backward pass of the
    weighted loss, :func:`~morl.weighting.weighted_gradient`.

    Args:
      links: First to last, each made by :func:`single` or :func:`repeated`, with
        parameters of its own; the last one returns the losses ``[k]``.
      params: Parameters of each link.
      inputs: What the first link takes, such as tokens.
      mapped: How the K backward passes of one layer run, as in
        :func:`~morl.weighting.rows`.

    Returns:
      The losses, and the Gramian over all of ``params``.

    Raises:
      InputError: The numbers of links and of their parameters differ, or the last one
        does not return a vector.

    Examples:
      >>> double = single(lambda p, x: p * x)
      >>> losses, total = layerwise_gramian(
      ...     [double, double], [jnp.array(2.0), jnp.array([1.0, 3.0])], jnp.array(5.0)
      ... )
      >>> losses.tolist(), total.tolist()
      ([10.0, 30.0], [[125.0, 75.0], [75.0, 325.0]])
    """
    if len(links) != len(params) or not links:
        raise InputError(
            f"found {len(links)} links and parameters of {len(params)}, expected those "
            "of each",
            where="layerwise_gramian",
        )
    values, pullbacks = inputs, []
    for link, own in zip(links, params, strict=True):
        values, pullback = link(own, values)
        pullbacks.append(pullback)
    if jnp.ndim(values) != 1:
        raise InputError(
            f"the last link returns shape {jnp.shape(values)}, expected one loss an "
            "objective",
            where="layerwise_gramian",
        )
    slopes = each_row(lambda unit: (unit,), values, mapped=mapped)
    parts = []
    for pullback in reversed(pullbacks):
        slopes, part = pullback(slopes, mapped)
        parts.append(part)
    return values, reduce(jnp.add, parts)


def single(layer: Layer) -> Link:
    """A link of one layer, whose activations are kept for its backward pass.

    Args:
      layer: From parameters and values to values. Values are any tree; integers in it
        (tokens, segments) pass without a gradient. ``jax.checkpoint`` makes it keep
        its inputs only.

    Returns:
      A link for :func:`layerwise_gramian`.
    """

    def link(params: Params, values: Values) -> tuple[Values, Pullback]:
        smooth, fixed = split(values, _has_gradient)

        def apply(own: Params, part: Values) -> tuple[Values, Values]:
            return split(layer(own, join(part, fixed)), _has_gradient)

        outputs, pull, rest = jax.vjp(apply, params, smooth, has_aux=True)

        def pullback(slopes: Values, mapped: Mapped) -> tuple[Values, Array]:
            grads, before = mapped(pull, slopes)
            return before, _sums(grads, slopes)

        return join(outputs, rest), pullback

    return link


def repeated(layer: Layer) -> Link:
    """A link of many equal layers, whose parameters are stacked along a leading axis.

    They run in ``jax.lax.scan``: the program holds one of them. Only their inputs are
    kept, and each forward pass is made once more on the way back.

    Args:
      layer: From parameters and values to values of the same shapes and types.

    Returns:
      A link for :func:`layerwise_gramian`.
    """
    link = single(layer)

    def chain(params: Params, values: Values) -> tuple[Values, Pullback]:
        forward = lambda now, own: (layer(own, now), now)
        outputs, inputs = jax.lax.scan(forward, values, params)

        def pullback(slopes: Values, mapped: Mapped) -> tuple[Values, Array]:
            def back(
                after: Values, here: tuple[Params, Values]
            ) -> tuple[Values, Array]:
                _, pull = link(*here)
                return pull(after, mapped)

            before, parts = jax.lax.scan(back, slopes, (params, inputs), reverse=True)
            return before, jnp.sum(parts, axis=0)

        return outputs, pullback

    return chain


def _has_gradient(path: tuple[Any, ...], leaf: Array) -> bool:
    del path
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.inexact))


def _sums(grads: Params, slopes: Values) -> Float[Array, "k k"]:
    if jax.tree.leaves(grads):
        return gramian(grads)
    leaf = jax.tree.leaves(slopes)[0]
    kind = jnp.promote_types(leaf.dtype, jnp.float32)
    return jnp.zeros((leaf.shape[0], leaf.shape[0]), kind)
