"""Reward models averaged in their weights."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from morl.errors import InputError
from morl.training.mesh import path_name
from morl.training.state import Params


def averaged_params(
    models: Sequence[Params],
    weights: Sequence[float | int] | Float[Array, " m"] | None = None,
) -> Params:
    r"""Weight-averaged reward model: :math:`\sum_m w_m \theta_m`.

    Models that were fine-tuned from the same parameters, on other orders of the data or
    at other learning rates, average to one that is less easily exploited, at the cost
    of one. Models of other beginnings do not: their units do not correspond.

    Args:
      models: Parameters of one structure, heads and backbone.
      weights: How much each counts, at least 0; divided by their sum. Equal where not
        given.

    Returns:
      The average, summed in float32, in the types of the first.

    Raises:
      InputError: There is no model; structures, shapes or types differ, and the message
        names the first place where they do; or weights are negative, not finite, all 0,
        or not one a model.

    Examples:
      >>> models = [{"weight": jnp.array([r, 2.0])} for r in (1.0, 3.0)]
      >>> print(averaged_params(models)["weight"])
      [2. 2.]
      >>> print(averaged_params(models, [3, 1])["weight"])
      [1.5 2. ]

    References:
      Ramé et al., WARM: On the Benefits of Weight Averaged Reward Models
      (arXiv:2401.12187), 2024.
    """
    if not models:
        raise InputError("found none, expected one or more", where="models")
    for place, model in enumerate(models[1:], start=1):
        _check_alike(models[0], model, f"models[{place}]")
    shares = _shares(len(models), weights)

    def average(*leaves: Array) -> Array:
        kind = jnp.promote_types(leaves[0].dtype, jnp.float32)
        parts = [s * leaf.astype(kind) for s, leaf in zip(shares, leaves, strict=True)]
        return jnp.asarray(sum(parts[1:], start=parts[0])).astype(leaves[0].dtype)

    return jax.tree.map(average, *models)


def _shares(
    count: int, weights: Sequence[float | int] | Float[Array, " m"] | None
) -> list[float]:
    found = np.ones(count) if weights is None else np.asarray(weights, float)
    if found.shape != (count,):
        raise InputError(
            f"found {found.size} weights, expected one for each of {count} models",
            where="weights",
        )
    if not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        raise InputError(
            f"found {found.tolist()}, expected numbers of at least 0, and one above",
            where="weights",
        )
    return (found / found.sum()).tolist()


def _check_alike(first: Params, other: Params, where: str) -> None:
    expected, found = _leaves(first), _leaves(other)
    for name in [*expected, *found]:
        sides = found.get(name, "nothing"), expected.get(name, "nothing")
        if sides[0] != sides[1]:
            raise InputError(
                f"{name}: found {sides[0]}, models[0] has {sides[1]}", where=where
            )
    if jax.tree.structure(first) != jax.tree.structure(other):
        raise InputError(
            f"found the structure {jax.tree.structure(other)}, models[0] has "
            f"{jax.tree.structure(first)}",
            where=where,
        )


def _leaves(params: Params) -> dict[str, str]:
    """Type and shape of every leaf, by where it is."""
    leaves: list[tuple[Any, Any]] = jax.tree.leaves_with_path(params)
    return {path_name(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}
