"""What a weighting sees, and what it answers with."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PyTree, Real

from morl.errors import InputError

State: TypeAlias = PyTree[Array]
Prefs: TypeAlias = Real[Array | np.ndarray, "..."] | Sequence[float | int]


class Signals(NamedTuple):
    """What a weighting may look at; a method names the signal it lacks.

    Attributes:
      gramian: Inner products of the objectives' gradients of their losses.
      losses: Loss of each objective, minimised.
      present: Objectives that have labels in the batch; None where all have. Rows of an
        absent objective may hold anything.
      cross: Inner products of the gradients on one batch with those on another,
        independent one.
    """

    gramian: Float[Array, "k k"]
    losses: Float[Array, " k"] | None = None
    present: Bool[Array, " k"] | None = None
    cross: Float[Array, "k k"] | None = None


class Solution(NamedTuple):
    """Weights, and how far they are from meeting the method's own conditions.

    Attributes:
      weights: Weight of each objective; 0 where it is absent.
      residual: Largest violation of the conditions that define the weights, relative
        to the size of what they balance; 0 where the weights are a closed formula.
        Infinity where there are none: the weights of all that is present are NaN.
    """

    weights: Float[Array, " k"]
    residual: Float[Array, ""]


class Weighting(NamedTuple):
    """A pair of pure functions that chooses how much each objective counts.

    Attributes:
      init: From the number of objectives to the state; a pytree of arrays.
      update: From signals and state to a solution and the next state.
    """

    init: Callable[[int], State]
    update: Callable[[Signals, State], tuple[Solution, State]]


def watched(weighting: Weighting, *reads: Callable[[Signals], Array]) -> Weighting:
    """A weighting that shows what is not finite, and does not carry it on.

    Where an entry that it reads is NaN or infinite, or a weight that it finds, the
    weights of all present objectives are NaN and the residual is infinity. After such
    an entry its state is what it was before.

    Args:
      weighting: What is watched.
      reads: From the signals to what the weighting reads of them, zero where an
        objective is absent.
    """

    def update(signals: Signals, state: State) -> tuple[Solution, State]:
        solution, later = weighting.update(signals, state)
        sound = jnp.ones((), bool)
        for read in reads:
            sound &= jnp.all(jnp.isfinite(read(signals)))
        known = sound & jnp.all(jnp.isfinite(solution.weights))
        unknown = jnp.where(present_of(signals), jnp.nan, 0.0)
        shown = Solution(
            jnp.where(known, solution.weights, unknown),
            jnp.where(known, solution.residual, jnp.inf),
        )
        kept = lambda new, old: jnp.where(sound, new, old)
        return shown, jax.tree.map(kept, later, state)

    return Weighting(weighting.init, update)


def required(signal: Float[Array, "..."] | None, name: str, method: str) -> Array:
    """The signal that a method cannot do without.

    Raises:
      InputError: It is missing; the message names it and the method.
    """
    if signal is None:
        raise InputError(
            f"needs Signals.{name}, found None", where=f"weighting {method}"
        )
    return signal


def present_of(signals: Signals) -> Bool[Array, " k"]:
    """The mask of objectives that count."""
    if signals.present is None:
        return jnp.ones(signals.gramian.shape[0], bool)
    return signals.present


def present_gramian(signals: Signals) -> Float[Array, "k k"]:
    """The Gramian in float32 at least, with zeros where an objective is absent."""
    gramian = signals.gramian
    gramian = gramian.astype(jnp.promote_types(gramian.dtype, jnp.float32))
    if signals.present is None:
        return gramian
    both = signals.present[:, None] & signals.present[None, :]
    return jnp.where(both, gramian, 0)


def present_losses(signals: Signals, method: str) -> Float[Array, " k"]:
    """The losses, with zeros where an objective is absent.

    Raises:
      InputError: They are missing.
    """
    losses = required(signals.losses, "losses", method)
    return jnp.where(present_of(signals), losses, 0)


def present_cross(signals: Signals, method: str) -> Float[Array, "k k"]:
    """The cross-Gramian, with zeros where an objective is absent.

    Raises:
      InputError: It is missing.
    """
    cross = required(signals.cross, "cross", method)
    cross = cross.astype(jnp.promote_types(cross.dtype, jnp.float32))
    present = present_of(signals)
    return jnp.where(present[:, None] & present[None], cross, 0)


def checked_prefs(prefs: Prefs | None, method: str) -> Prefs | None:
    """Preferences as an array; numbers that are known are checked, traced ones pass.

    Args:
      prefs: At least 0 each, not all of them 0; None where the user has none.
      method: What takes them.

    Raises:
      InputError: They are not a vector, one is negative or not finite, or all are 0.
    """
    if prefs is None or isinstance(prefs, Tracer):
        return prefs
    known, where = np.asarray(prefs), f"weighting {method}"
    if known.ndim != 1:
        raise InputError(
            f"prefs has shape {known.shape}, expected one entry an objective",
            where=where,
        )
    if not (np.isfinite(known) & (known >= 0)).all() or not known.any():
        raise InputError(
            f"prefs is {known.tolist()}, expected finite numbers that are at least 0, "
            "and one above",
            where=where,
        )
    return known


def positive_prefs(prefs: Prefs | None, method: str) -> Prefs | None:
    """Preferences of a method that has no use for 0, else :func:`checked_prefs`.

    Raises:
      InputError: As there, or one is 0.
    """
    checked = checked_prefs(prefs, method)
    if isinstance(checked, np.ndarray) and not checked.all():
        raise InputError(
            f"prefs is {checked.tolist()}, expected numbers above 0",
            where=f"weighting {method}",
        )
    return checked


def preferences(prefs: Prefs | None, signals: Signals) -> Float[Array, " k"]:
    """Preferences in the Gramian's type; renormalised over what is present.

    Args:
      prefs: At least 0 each; None for ``1 / k`` each.
      signals: Say which objectives there are.

    Raises:
      InputError: Their number is not the number of objectives.
    """
    gramian = signals.gramian
    k = gramian.shape[0]
    if prefs is not None and np.shape(prefs) != (k,):
        raise InputError(
            f"prefs has shape {np.shape(prefs)}, the Gramian has {k} objectives",
            where="prefs",
        )
    kind = jnp.promote_types(gramian.dtype, jnp.float32)
    whole = jnp.full(k, 1 / k, kind) if prefs is None else jnp.asarray(prefs, kind)
    if signals.present is None:
        return whole
    kept = jnp.where(signals.present, whole, 0)
    left = jnp.sum(kept)
    return kept * (jnp.sum(whole) / jnp.where(left > 0, left, 1))
