"""Compositions: rewards, how they count, and what must hold.

A :class:`Composition` is what the operators of rewards build. It is a frozen pytree:
names and functions are static, numbers are leaves, so that new weights, thresholds,
multipliers or temperatures never recompile anything.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from morl.errors import InputError
from morl.rewards import algebra, consistency, pipeline, writing
from morl.rewards.calibration import Calibration
from morl.rewards.expression import (
    ABSENT,
    RENORMALIZE,
    Column,
    One,
    Sum,
    conditions,
    leaf_names,
    slots,
)
from morl.rewards.gates import (
    STATIC,
    Condition,
    Logic,
    comparisons,
    conjunction,
)
from morl.rewards.objective import Operand, Reward, Term
from morl.rewards.pipeline import Outcome
from morl.rewards.schedule import (
    Arrays,
    Number,
    coefficient,
    is_number,
    is_schedule,
    value_at,
)
from morl.rewards.table import formula, table
from morl.rewards.transforms import State, Transform

if TYPE_CHECKING:
    from morl.rewards.explain import Explanation


Weights: TypeAlias = Float[Arrays, "*weights m"] | Sequence[float] | None


class UncalibratedWarning(UserWarning):
    """Scores that compare only within a prompt are compared across prompts."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False, repr=False)
class Composition(Term):
    """Rewards, how they count towards one utility, and what must hold.

    Build it with operators on rewards and with :func:`smooth_chebyshev` and its kin,
    not by hand. Every method takes *raw* rewards, in the order of :attr:`names`; on a
    calibrated composition these are the rewards that :meth:`units` returns.

    Attributes:
      columns: Rewards that count, each once, with gate and transforms.
      root: The utility as a tree over them.
      constraints: Comparisons whose violation is subtracted.
      absent: ``"renormalize"`` where the weights of absent objectives go to those
        present, ``"propagate"`` where an absent reward makes the utility absent.
      calibration: To the reference policy, or None.
    """

    columns: tuple[Any, ...]
    root: Any
    constraints: tuple[Any, ...] = ()
    calibration: Any = None
    absent: str = field(default=RENORMALIZE, metadata=STATIC)

    # What is in it ----------------------------------------------------------------

    @staticmethod
    def of(term: Operand) -> "Composition":
        """A reward with coefficient 1, a number or a schedule as a composition."""
        if isinstance(term, Composition):
            return term
        if isinstance(term, Reward):
            return Composition((Column(term),), algebra.bare(term))
        if is_number(term) or is_schedule(term):
            return Composition((), Sum((One(),), (coefficient(term, "composition"),)))
        raise InputError(
            f"found {term!r}, expected a number, schedule, reward or composition"
        )

    def composed(self) -> "Composition":
        """Itself."""
        return self

    @property
    def rewards(self) -> tuple[Reward, ...]:
        """All rewards: objectives first, each kind in order of first use."""
        counted = {c.reward.name: c.reward for c in self.columns}
        used = {name: counted[name] for name in leaf_names(self.root)}
        for condition in self.conditions:
            used.setdefault(condition.reward.name, condition.reward)
        return tuple(sorted(used.values(), key=lambda reward: not reward.steered))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all K rewards, in the order of every reward vector."""
        return tuple(reward.name for reward in self.rewards)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the objectives that have a coefficient for weights to replace."""
        weighed = {slot.name for slot in slots(self.root)}
        return tuple(r.name for r in self.rewards if r.steered and r.name in weighed)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every comparison made: by branches, gates and constraints."""
        gates = [c.gate.condition for c in self.columns if c.gate is not None]
        gated = tuple(c for gate in gates for c in comparisons(gate))
        return (
            conditions(self.root)
            + gated
            + tuple(constraint.condition for constraint in self.constraints)
        )

    def reward(self, name: str) -> Reward:
        """The reward called ``name``."""
        for reward in self.rewards:
            if reward.name == name:
                return reward
        raise consistency.missing_name(self, name)

    def column(self, name: str) -> Column:
        """The column called ``name``; a bare one where it is only compared."""
        for column in self.columns:
            if column.reward.name == name:
                return column
        return Column(self.reward(name))

    @property
    def spec_hash(self) -> str:
        """SHA-256 of :meth:`to_yaml`: the same on any machine."""
        return writing.spec_hash(self)

    def to_yaml(self) -> str:
        """The composition as text for :func:`morl.from_yaml`, exactly."""
        return writing.to_yaml(self)

    def __str__(self) -> str:
        """A table of its rewards, and what must hold."""
        return table(self)

    def __repr__(self) -> str:
        """The utility as a formula."""
        return f"Composition({formula(self.root)})"

    # Building ---------------------------------------------------------------------

    def plus(self, other: Operand, *, factor: Number = 1.0) -> "Composition":
        """``self + factor * other``; the number 0 adds nothing, as ``sum`` needs it."""
        if is_number(other) and not isinstance(other, Tracer) and other == 0:
            return self
        return algebra.plus(self, Composition.of(other).times(factor))

    def times(self, factor: Operand) -> "Composition":
        """``factor * self``: coefficients of a sum, and multipliers, are scaled."""
        return algebra.times(self, factor)

    def when(self, *given: Logic, otherwise: Number | None = None) -> "Composition":
        """This where all conditions hold, ``otherwise`` elsewhere.

        On a single reward the floor is in its raw unit, before transforms, and defaults
        to its worst declared value; on anything else it is a utility and must be given.
        """
        return algebra.when(self, conjunction(given, "when"), otherwise)

    def through(self, *transforms: Transform) -> "Composition":
        """A single reward after ``transforms``, first to last."""
        return algebra.through(self, transforms)

    def subject_to(self, *given: Logic, multiplier: Number = 1.0) -> "Composition":
        """This less ``multiplier`` times the violation of each condition.

        ``harmless >= t`` subtracts ``multiplier * max(t - harmless, 0)``, in raw units.

        Args:
          given: Comparisons, which may be joined with ``&`` but not with ``|``.
          multiplier: Utility lost a unit of violation, at least 0.
        """
        condition = conjunction(given, "subject_to")
        return algebra.subject_to(self, condition, multiplier)

    def if_absent(self, choice: str) -> "Composition":
        """The same with another choice of what an absent reward does.

        Args:
          choice: ``"renormalize"``: the weights of absent objectives go to those that
            are present, in proportion; a rule, a nested part or a constraint that is
            absent still makes the utility absent, since nothing can stand in for it.
            ``"propagate"``: any absent reward with weight makes the utility absent.
        """
        if choice not in ABSENT:
            raise InputError(
                f"found {choice!r}, expected one of {', '.join(ABSENT)}",
                where="if_absent",
            )
        return replace(self, absent=choice)

    def calibrated(self, calibration: Calibration) -> "Composition":
        """The same, its thresholds read in the units of ``calibration``."""
        missing = [
            r.name
            for r in self.rewards
            if r.scale == "per-prompt" and r.name not in calibration.names
        ]
        if missing:
            raise InputError(
                f"calibrates {calibration.names}, but {', '.join(missing)} compares "
                "only within a prompt and is not among them",
                where="calibrated",
            )
        return replace(self, calibration=calibration)

    def at(self, step: Number) -> "Composition":
        """The same with every schedule at its value at ``step``; that may be traced."""
        settle = lambda leaf: value_at(leaf, step) if is_schedule(leaf) else leaf
        return jax.tree.map(settle, self, is_leaf=is_schedule)

    # Evaluating -------------------------------------------------------------------

    def units(
        self,
        rewards: Float[Arrays, "*batch k"],
        present: Bool[Arrays, "*batch k"],
        reference: Float[Arrays, "*samples k"] | None = None,
        reference_present: Bool[Arrays, "*samples k"] | None = None,
    ) -> Float[Array, "*batch k"]:
        """Scores of heads in the units of the calibration; as they are without one.

        Args:
          rewards: Scores ``[..., g, k]`` of ``g`` responses a prompt, in the order of
            :attr:`names`; any ``[..., k]`` without a calibration.
          present: Which are there.
          reference: Scores ``[..., n, k]`` of the reference policy's responses to the
            same prompts; the group itself where not given.
          reference_present: Which of those are there, the others may hold NaN; all
            where not given.
        """
        if self.calibration is None:
            return jnp.asarray(rewards)
        units = self.calibration.within(self.names)
        return units.apply(rewards, present, reference, reference_present)

    def init_state(self) -> State:
        """The state of all transforms before anything was seen, by name."""
        return {
            column.reward.name: tuple(each.init() for each in column.transforms)
            for column in self.columns
            if column.transforms
        }

    def apply(
        self,
        rewards: Float[Arrays, "*batch k"],
        present: Bool[Arrays, "*batch k"],
        state: State = None,
        weights: Weights = None,
    ) -> Outcome:
        """Everything at once: gates, transforms, utility, constraints, new state.

        Args:
          rewards: Raw rewards, in the order of :attr:`names`; NaN is fine where absent.
          present: Which are there.
          state: Of the transforms, from :meth:`init_state` or the outcome before.
          weights: Coefficients of :attr:`objectives`, one vector or one an example.

        Returns:
          An :class:`Outcome`.
        """
        self._check(rewards, present)
        weights = consistency.checked_weights(self, weights)
        state = consistency.checked_state(self, state)
        return pipeline.apply(self, rewards, present, state, weights)

    def utility(
        self,
        rewards: Float[Arrays, "*batch k"],
        present: Bool[Arrays, "*batch k"],
        weights: Weights = None,
        *,
        state: State = None,
    ) -> tuple[Float[Array, "*batch"], Bool[Array, "*batch"]]:
        """Utility of raw rewards, and where there is one.

        Transforms apply what ``state`` has learnt and learn nothing.

        Args:
          rewards: Raw rewards, in the order of :attr:`names`; NaN is fine where absent.
          present: Which are there.
          weights: Replace the coefficients of :attr:`objectives`; one vector, or one
            an example. Rules and nested parts keep theirs.
          state: Of the transforms, where any has state.

        Returns:
          Utility in float32, zero and without meaning where absent, and its mask.
        """
        self._check(rewards, present)
        weights = consistency.checked_weights(self, weights)
        state = consistency.checked_state(self, state)
        return pipeline.utility(self, rewards, present, state, weights)

    def transform(
        self,
        rewards: Float[Arrays, "*batch k"],
        present: Bool[Arrays, "*batch k"],
        state: State = None,
    ) -> tuple[Float[Array, "*batch k"], State]:
        """Raw rewards after gates, direction and transforms, and the new state.

        The rewards that come out are for algorithms that combine them on their own, and
        for looking at; every method of this class takes raw ones.
        """
        self._check(rewards, present)
        state = consistency.checked_state(self, state)
        return pipeline.transformed(self, rewards, present, state)

    def admissible(
        self, rewards: Float[Arrays, "*batch k"], present: Bool[Arrays, "*batch k"]
    ) -> Bool[Array, "*batch"]:
        """Where every constraint is known to hold on raw rewards."""
        self._check(rewards, present)
        return pipeline.admissible(self, rewards, present)

    def weights_at(self, step: Number = 0) -> Float[Array, " m"]:
        """Coefficients of :attr:`objectives` at ``step``, which may be traced."""
        steered = consistency.steered_slots(self)
        by_name = {slot.name: slot.coefficient for slot in steered}
        return jnp.stack([value_at(by_name[name], step) for name in self.objectives])

    def explain(
        self,
        rewards: Float[Array | np.ndarray, "n k"],
        present: Bool[Array | np.ndarray, "n k"],
        *,
        texts: Sequence[str] = (),
        weights: Float[Array, " m"] | None = None,
        state: State = None,
    ) -> "Explanation":
        """What each reward adds to the utility of each response.

        See :func:`morl.rewards.explain.explain`.
        """
        from morl.rewards.explain import explain

        return explain(
            self, rewards, present, texts=texts, weights=weights, state=state
        )

    # Comparing --------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        """Whether structure and every number are equal."""
        if not isinstance(other, Composition):
            return NotImplemented
        mine, shape = jax.tree.flatten(self)
        theirs, other_shape = jax.tree.flatten(other)
        return shape == other_shape and all(
            np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True)
        )

    def __hash__(self) -> int:
        """Equal compositions have equal hashes."""
        leaves, shape = jax.tree.flatten(self)
        return hash((shape, *(np.asarray(x, np.float64).tobytes() for x in leaves)))

    def _check(self, rewards: Arrays, present: Arrays) -> None:
        consistency.check_columns(self.names, rewards, present)
        consistency.check_percentiles(self)
        across = consistency.compared_across_prompts(self)
        if across:
            warnings.warn(
                consistency.uncalibrated(across),
                UncalibratedWarning,
                stacklevel=3,
            )
