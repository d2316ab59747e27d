"""The way of a raw reward vector through a composition, in the one order there is.

Raw rewards -> gates -> direction -> transforms -> utility, less the violations of
constraints. Gates and constraints read raw units, always: no function here takes
rewards that were transformed before.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from morl.rewards.expression import Scope, evaluate, number
from morl.rewards.gates import Condition, Percentile, Truth, holds, violation
from morl.rewards.schedule import Number
from morl.rewards.transforms import State, Transform, Values

if TYPE_CHECKING:
    import morl.rewards.composition

Composition: TypeAlias = "morl.rewards.composition.Composition"
Step: TypeAlias = Callable[[Transform, Values, Any, State], tuple[Values, State]]


class Outcome(NamedTuple):
    """Everything a composition says about a batch of raw reward vectors.

    Attributes:
      utility: The scalar to maximise; finite, and without meaning, where absent.
      present: Where there is a utility.
      rewards: After gates, direction and transforms: larger is better.
      rewards_present: Where those are present; a gate that cannot be decided makes
        its reward absent.
      admissible: Where every constraint is known to hold, in raw units.
      state: State of the transforms, after this batch.
    """

    utility: Float[Array, "*batch"]
    present: Bool[Array, "*batch"]
    rewards: Float[Array, "*batch k"]
    rewards_present: Bool[Array, "*batch k"]
    admissible: Bool[Array, "*batch"]
    state: State


class Gated(NamedTuple):
    """Rewards before transforms: larger is better, absent ones zero."""

    raw: Float[Array, "*batch k"]
    raw_present: Bool[Array, "*batch k"]
    rewards: Float[Array, "*batch k"]
    present: Bool[Array, "*batch k"]


@jax.jit
def apply(
    composition: Composition,
    raw: Float[Array, "*batch k"],
    present: Bool[Array, "*batch k"],
    state: State,
    weights: Float[Array, "*weights m"] | None,
) -> Outcome:
    """The whole way, and what the transforms learnt on it."""
    gated = gate(composition, raw, present)
    rewards, state = transform(composition, gated, state, running)
    value, here = utility_of(composition, gated, rewards, weights)
    allowed = admissible(composition, raw, present)
    return Outcome(value, here, rewards, gated.present, allowed, state)


@jax.jit
def utility(
    composition: Composition,
    raw: Float[Array, "*batch k"],
    present: Bool[Array, "*batch k"],
    state: State,
    weights: Float[Array, "*weights m"] | None,
) -> tuple[Float[Array, "*batch"], Bool[Array, "*batch"]]:
    """Utility by what the transforms have learnt before."""
    gated = gate(composition, raw, present)
    rewards, _ = transform(composition, gated, state, frozen)
    return utility_of(composition, gated, rewards, weights)


@jax.jit
def transformed(
    composition: Composition,
    raw: Float[Array, "*batch k"],
    present: Bool[Array, "*batch k"],
    state: State,
) -> tuple[Float[Array, "*batch k"], State]:
    """Rewards as the utility sees them, and what the transforms learnt."""
    gated = gate(composition, raw, present)
    return transform(composition, gated, state, running)


def running(
    transform: Transform, values: Values, present: Any, state: State
) -> tuple[Values, State]:
    """Learns from the batch, then changes it."""
    state = transform.observe(values, present, state)
    return transform.apply(values, present, state), state


def frozen(
    transform: Transform, values: Values, present: Any, state: State
) -> tuple[Values, State]:
    """Changes the batch by what was learnt before."""
    return transform.apply(values, present, state), state


def gate(composition: Composition, raw: Array, present: Array) -> Gated:
    """Applies the gates of the columns, then the sign of minimised ones."""
    raw = jnp.where(present, raw, 0).astype(jnp.promote_types(raw.dtype, jnp.float32))
    decide = _decider(composition, raw, present)
    rewards, here = [], []
    for index, name in enumerate(composition.names):
        value, known = raw[..., index], present[..., index]
        gate = composition.column(name).gate
        if gate is not None:
            truth, decided = holds(gate.condition, decide)
            value = jnp.where(truth, value, number(gate.otherwise))
            # The floor needs no reward, only the knowledge that the gate is shut.
            known = decided & (known | ~truth)
        minimised = composition.reward(name).direction == "minimize"
        rewards.append(-value if minimised else value)
        here.append(known)
    kept = jnp.stack(here, -1)
    return Gated(raw, present, jnp.where(kept, jnp.stack(rewards, -1), 0), kept)


def transform(
    composition: Composition, gated: Gated, state: State, step: Step
) -> tuple[Float[Array, "*batch k"], State]:
    """Sends every column through its transforms."""
    columns, after = [], {}
    for index, name in enumerate(composition.names):
        values, present = gated.rewards[..., index], gated.present[..., index]
        states = []
        transforms = composition.column(name).transforms
        for each, its_state in zip(transforms, state.get(name, ()), strict=True):
            values, its_state = step(each, values, present, its_state)
            states.append(its_state)
        if transforms:
            after[name] = tuple(states)
        columns.append(jnp.where(present, values, 0))
    return jnp.stack(columns, -1), after


def utility_of(
    composition: Composition,
    gated: Gated,
    rewards: Float[Array, "*batch k"],
    weights: Float[Array, "*weights m"] | None,
) -> tuple[Float[Array, "*batch"], Bool[Array, "*batch"]]:
    """Utility of transformed rewards, and where there is one."""
    batch = rewards.shape[:-1]
    flat = lambda x: x.reshape(-1, x.shape[-1])
    # One column a reward, contiguous: twice as fast on CPU as rows cut across.
    columns = jax.tree.map(lambda x: flat(x).T, gated._replace(rewards=rewards))
    one = lambda row, weights: _utility_of_one(composition, row, weights)
    axis = None
    if weights is not None and weights.ndim > 1:
        weights, axis = flat(jnp.broadcast_to(weights, (*batch, weights.shape[-1]))), 0
    value, present = jax.vmap(one, (1, axis))(columns, weights)
    return value.reshape(batch), present.reshape(batch)


@jax.jit
def admissible(composition: Composition, raw: Array, present: Array) -> Array:
    """Where every constraint is known to hold; an unknown one is not admissible."""
    raw = jnp.where(present, raw, 0)
    decide = _decider(composition, raw, present)
    met = jnp.ones(raw.shape[:-1], bool)
    for constraint in composition.constraints:
        met = met & decide(constraint.condition)[0]
    return met


def _utility_of_one(
    composition: Composition, row: Gated, weights: Float[Array, " m"] | None
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    names = composition.names
    steered = composition.objectives
    scope = Scope(
        rewards=dict(zip(names, row.rewards, strict=True)),
        present=dict(zip(names, row.present, strict=True)),
        decide=_decider(composition, row.raw, row.raw_present),
        steered=frozenset(steered),
        weights={} if weights is None else dict(zip(steered, weights, strict=True)),
        best=lambda name: best(composition, name),
        absent=composition.absent,
    )
    value, present = evaluate(composition.root, scope)
    for constraint in composition.constraints:
        condition = constraint.condition
        index = names.index(condition.reward.name)
        short = violation(condition, row.raw[index], threshold(composition, condition))
        value = value - number(constraint.multiplier) * short
        # A constraint that cannot be checked is not taken to hold.
        present = present & row.raw_present[index]
    return jnp.where(present, value, 0), present


def best(composition: Composition, name: str) -> Number | None:
    """The best value known of a reward as the utility sees it, or None."""
    reward, column = composition.reward(name), composition.column(name)
    high = reward.best
    if composition.calibration is not None and name in composition.calibration.names:
        high = composition.calibration.best(name, reward.direction)
    if high is not None and reward.direction == "minimize":
        high = -high
    for each in column.transforms:
        high = each.ceiling(high)
    return high


def threshold(composition: Composition, condition: Condition) -> Float[Array, ""]:
    """The threshold of a comparison as a number in raw units."""
    if not isinstance(condition.threshold, Percentile):
        return number(condition.threshold)
    return composition.calibration.value_at(
        condition.reward.name, number(condition.threshold.q)
    )


def _decider(
    composition: Composition, raw: Array, present: Array
) -> Callable[[Condition], Truth]:
    def decide(condition: Condition) -> Truth:
        index = composition.names.index(condition.reward.name)
        value, known = raw[..., index], present[..., index]
        level = threshold(composition, condition)
        truth = value >= level if condition.sense == ">=" else value <= level
        return truth & known, known

    return decide
