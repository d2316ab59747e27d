"""What a composition refuses: names that clash, counts that differ, lost meanings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from morl import scalarize
from morl.errors import InputError
from morl.rewards.expression import Leaf, Scalarized, Slot, leaf_names, slots, walk
from morl.rewards.gates import Condition, Percentile
from morl.rewards.names import unknown_name
from morl.rewards.objective import Reward
from morl.rewards.schedule import Arrays, Number
from morl.rewards.spec import SCALARIZERS
from morl.rewards.transforms import State

if TYPE_CHECKING:
    import morl.rewards.composition

Composition: TypeAlias = "morl.rewards.composition.Composition"
Column: TypeAlias = "morl.rewards.composition.Column"

NONNEGATIVE = frozenset(each.function for each in SCALARIZERS.values()) - {
    scalarize.linear
}


def union(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """``columns`` with each reward once; two forms of one reward are refused."""
    first: dict[str, Column] = {}
    for column in columns:
        name = column.reward.name
        known = first.setdefault(name, column)
        check_same(known.reward, column.reward)
        if differ(known, column):
            raise InputError(
                "is used twice with different gates or transforms; a reward has one "
                "of each, everywhere in a composition",
                where=name,
            )
    return tuple(first.values())


def check_same(known: Reward, found: Reward) -> None:
    """Refuses one name for two rewards."""
    if known != found:
        raise InputError(
            f"names two rewards that differ: {known} and {found}", where=known.name
        )


def check_conditions(
    conditions: tuple[Condition, ...], columns: tuple[Column, ...]
) -> None:
    """Refuses conditions on another reward of the same name."""
    seen = {column.reward.name: column.reward for column in columns}
    for condition in conditions:
        check_same(
            seen.setdefault(condition.reward.name, condition.reward), condition.reward
        )


def check_columns(
    names: tuple[str, ...], rewards: Float[Arrays, "..."], present: Arrays
) -> None:
    """Refuses a batch whose last axis is not the rewards."""
    if rewards.shape[-1:] != (len(names),):
        raise InputError(
            f"rewards have shape {rewards.shape}, expected the last axis to be the "
            f"{len(names)} rewards {names}"
        )
    if present.shape != rewards.shape:
        raise InputError(
            f"present has shape {present.shape}, rewards have {rewards.shape}"
        )
    if present.dtype != bool:
        raise InputError(f"present holds {present.dtype}, expected Booleans")


def check_percentiles(composition: Composition) -> None:
    """Refuses percentiles of the reference policy where nothing is known of it."""
    for condition in composition.conditions:
        if isinstance(condition.threshold, Percentile):
            if composition.calibration is None:
                raise InputError(
                    "a percentile of the reference policy needs a calibration; use "
                    "composition.calibrated(calibrate(...))",
                    where=str(condition),
                )
            composition.calibration.check_name(condition.reward.name)


def checked_weights(
    composition: Composition, weights: Float[Arrays, "..."] | Sequence[float] | None
) -> Float[Array, "..."] | None:
    """``weights`` in float32, one entry an objective; what is known is checked."""
    if weights is None:
        return None
    if isinstance(weights, Sequence):
        weights = jnp.asarray(weights, jnp.float32)
    objectives = composition.objectives
    if weights.shape[-1:] != (len(objectives),):
        count = weights.shape[-1] if weights.ndim else "no"
        raise InputError(f"weights has {count} entries, objectives are {objectives}")
    steered_slots(composition)
    if not isinstance(weights, Tracer):
        finite = np.isfinite(np.asarray(weights)).reshape(-1, len(objectives))
        broken = [n for i, n in enumerate(objectives) if not finite[:, i].all()]
        if broken:
            raise InputError(f"weights of {', '.join(broken)} are not finite")
        _refuse_negative(composition, np.asarray(weights).reshape(finite.shape))
    return jnp.asarray(weights, jnp.float32)


def _refuse_negative(
    composition: Composition, weights: Float[np.ndarray, "n m"]
) -> None:
    """Refuses negative weights where a scalarizer would take less for better."""
    for node in walk(composition.root):
        if not isinstance(node, Scalarized) or node.function not in NONNEGATIVE:
            continue
        parts = {part.name for part in node.parts if isinstance(part, Leaf)}
        for name, column in zip(composition.objectives, weights.T, strict=True):
            if name in parts and column.min(initial=0) < 0:
                raise InputError(
                    f"weight of {name} is {column.min():g}, expected at least 0",
                    where=node.function.__name__,
                )


def steered_slots(composition: Composition) -> tuple[Slot, ...]:
    """Slots of the objectives, refused where one has two unlike coefficients."""
    objectives = composition.objectives
    steered = tuple(s for s in slots(composition.root) if s.name in objectives)
    first: dict[str, Number] = {}
    for slot in steered:
        known = first.setdefault(slot.name, slot.coefficient)
        if differ(known, slot.coefficient):
            raise InputError(
                f"has coefficients {known} and {slot.coefficient} in different places, "
                "so that one weight cannot replace both; put what differs in front, as "
                "in 0.1 * morl.linear({...})",
                where=slot.name,
            )
    return steered


def checked_state(composition: Composition, state: State) -> State:
    """``state``, or the empty one; learnt statistics cannot be made up."""
    initial = composition.init_state()
    if state is None:
        stateful = [name for name, each in initial.items() if jax.tree.leaves(each)]
        if stateful:
            raise InputError(
                f"transforms of {', '.join(stateful)} have state; pass state=, from "
                "init_state() or the outcome before"
            )
        return initial
    if not isinstance(state, dict) or set(state) != set(initial):
        found = sorted(state) if isinstance(state, dict) else type(state).__name__
        raise InputError(f"state is of {found}, expected {sorted(initial)}")
    return state


def compared_across_prompts(
    composition: Composition, heads: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Per-prompt scores that meet a threshold or a nonlinear scalarizer as they are.

    Args:
      composition: Where they are looked for.
      heads: Rewards that come from heads, whatever they declare.
    """
    read = {condition.reward.name for condition in composition.conditions}
    for node in walk(composition.root):
        if isinstance(node, Scalarized) and node.function is not scalarize.linear:
            centred = [n for n in leaf_names(node) if _centred(composition, n)]
            read.update(set(leaf_names(node)) - set(centred))
    calibration = composition.calibration
    known = set()
    if calibration is not None:
        known = set(calibration.names) - set(calibration.kept)
    return tuple(
        reward.name
        for reward in composition.rewards
        if (reward.scale == "per-prompt" or reward.name in heads)
        and reward.name in read
        and reward.name not in known
    )


def uncalibrated(names: tuple[str, ...]) -> str:
    """What is said of scores that :func:`compared_across_prompts` found."""
    return (
        f"{', '.join(names)}: scores that compare only within a prompt meet a "
        "threshold or a nonlinear scalarizer; calibrate them to the reference "
        "policy with composition.calibrated(calibrate(...))"
    )


def differ(first: Any, second: Any) -> bool:
    """Whether two pytrees are known to differ; traced leaves count as equal."""
    mine, shape = jax.tree.flatten(first)
    theirs, other_shape = jax.tree.flatten(second)
    if shape != other_shape:
        return True
    known = [
        (a, b)
        for a, b in zip(mine, theirs, strict=True)
        if not isinstance(a, Tracer) and not isinstance(b, Tracer)
    ]
    return any(not np.array_equal(a, b) for a, b in known)


def missing_name(composition: Composition, name: str) -> InputError:
    """The error for a reward that the composition does not have."""
    return unknown_name(name, composition.names, where="composition")


def _centred(composition: Composition, name: str) -> bool:
    transforms = composition.column(name).transforms
    return any(each.centres_prompts for each in transforms)
