"""The algebra of compositions: what operators and methods do to the tree.

Functions here take compositions and return changed copies.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from morl.errors import InputError
from morl.rewards import consistency
from morl.rewards.expression import Branch, Column, Leaf, Node, One, Sum
from morl.rewards.gates import Condition, Constraint, Gate, Joined
from morl.rewards.objective import Operand, Reward, Term
from morl.rewards.schedule import (
    Number,
    added,
    coefficient,
    finite,
    is_schedule,
    nonnegative,
    scaled,
)
from morl.rewards.transforms import Transform

if TYPE_CHECKING:
    import morl.rewards.composition

Composition: TypeAlias = "morl.rewards.composition.Composition"
AnyCondition: TypeAlias = Condition | Joined


def plus(first: Composition, second: Composition) -> Composition:
    """The sum of two compositions; constraints of both hold."""
    return merged(summed(weighed(first.root) + weighed(second.root)), first, second)


def times(whole: Composition, factor: Operand) -> Composition:
    """``factor * whole``, multipliers included."""
    if isinstance(factor, Term):
        raise InputError(
            "found a product of rewards, expected a number or a schedule; "
            "let one reward gate another with .when or morl.where"
        )
    factor = coefficient(factor, "*")
    if whole.constraints and isinstance(factor, float) and factor < 0:
        raise InputError(
            "a negative factor would reward the violation of "
            f"{whole.constraints[0].condition}; put subject_to outside it"
        )
    root = summed([(part, scaled(c, factor)) for part, c in weighed(whole.root)])
    constraints = tuple(
        Constraint(c.condition, scaled(c.multiplier, factor)) for c in whole.constraints
    )
    return replace(whole, root=root, constraints=constraints)


def when(
    whole: Composition, condition: AnyCondition, otherwise: Number | None
) -> Composition:
    """A lone reward behind a gate; anything else as one side of a branch."""
    column = lone_column(whole)
    if column is None:
        if otherwise is None:
            raise InputError(
                "give otherwise=: the utility where the condition fails",
                where="when",
            )
        return branch(condition, whole, whole.of(otherwise))
    if column.transforms or column.gate is not None:
        raise InputError(
            "gates read and give raw units: write one .when(...) with all its "
            "conditions, then .through(...)",
            where=column.reward.name,
        )
    floor = column.reward.worst if otherwise is None else otherwise
    if floor is None:
        raise InputError(
            "declares no worst value; give otherwise=: the raw value where the "
            "condition fails (0 would reward failure where scores are negative)",
            where=f"{column.reward.name}.when",
        )
    gate = Gate(condition, finite(floor, f"{column.reward.name}.when otherwise"))
    return checked(replace(whole, columns=(replace(column, gate=gate),)))


def through(whole: Composition, transforms: tuple[Any, ...]) -> Composition:
    """A lone reward after ``transforms``."""
    column = lone_column(whole)
    if column is None:
        raise InputError(
            "transforms belong to one reward: write helpful.through(...) before "
            "it is scaled or added",
            where="through",
        )
    for each in transforms:
        if not isinstance(each, Transform):
            raise InputError(
                f"found {each!r}, expected a transform such as "
                "morl.transforms.clip(-1, 1)",
                where=f"{column.reward.name}.through",
            )
    grown = replace(column, transforms=(*column.transforms, *transforms))
    return replace(whole, columns=(grown,))


def subject_to(
    whole: Composition, condition: AnyCondition, multiplier: Number
) -> Composition:
    """``whole`` less the violation of every comparison in ``condition``."""
    parts = condition.parts if isinstance(condition, Joined) else (condition,)
    either = isinstance(condition, Joined) and condition.sense == "any"
    if either or not all(isinstance(part, Condition) for part in parts):
        raise InputError(
            f"({condition}) has no single violation; constraints join with & only",
            where="subject_to",
        )
    if not is_schedule(multiplier):
        multiplier = nonnegative(multiplier, "subject_to multiplier")
    added_ones = tuple(Constraint(part, multiplier) for part in parts)
    return checked(replace(whole, constraints=whole.constraints + added_ones))


def branch(
    condition: AnyCondition, then: Composition, otherwise: Composition
) -> Composition:
    """``then`` where ``condition`` holds, ``otherwise`` elsewhere."""
    for side in (then, otherwise):
        refuse_constraints(side, "where")
    return merged(Branch(condition, then.root, otherwise.root), then, otherwise)


def merged(root: Node, *parts: Composition) -> Composition:
    """A composition with ``root``, and with what surrounds ``parts``."""
    columns = consistency.union(tuple(c for part in parts for c in part.columns))
    choices = {part.absent for part in parts if part.columns}
    if len(choices) > 1:
        raise InputError(
            "the parts differ in what an absent reward does; call if_absent on the "
            "whole",
            where="if_absent",
        )
    calibrations = [p.calibration for p in parts if p.calibration is not None]
    if any(consistency.differ(calibrations[0], other) for other in calibrations[1:]):
        raise InputError(
            "the parts have different calibrations; calibrate the whole",
            where="calibrated",
        )
    return checked(
        replace(
            parts[0],
            columns=columns,
            root=root,
            constraints=tuple(c for part in parts for c in part.constraints),
            calibration=calibrations[0] if calibrations else None,
            absent=choices.pop() if choices else parts[0].absent,
        )
    )


def refuse_constraints(part: Composition, where: str) -> None:
    """Refuses constraints inside a node that would change what they mean."""
    if part.constraints:
        raise InputError(
            f"subject_to({part.constraints[0].condition}) stands inside; put it on the "
            "whole",
            where=where,
        )


def weighed(root: Node) -> list[tuple[Node, Number]]:
    """``root`` as parts and coefficients of a sum."""
    if isinstance(root, Sum):
        return list(zip(root.parts, root.coefficients, strict=True))
    return [(root, 1.0)]


def summed(terms: list[tuple[Node, Number]]) -> Node:
    """The sum of ``terms``, with the coefficients of equal rewards added up."""
    first: dict[Node, int] = {}
    parts: list[tuple[Node, Number]] = []
    for part, factor in terms:
        simple = isinstance(part, (Leaf, One))
        if simple and part in first:
            known = parts[first[part]][1]
            parts[first[part]] = (part, added(known, factor))
            continue
        if simple:
            first[part] = len(parts)
        parts.append((part, factor))
    if len(parts) == 1 and not isinstance(parts[0][0], (Leaf, One)):
        node, factor = parts[0]
        if isinstance(factor, float) and factor == 1:
            return node
    return Sum(tuple(p for p, _ in parts), tuple(c for _, c in parts))


def lone_column(composition: Composition) -> Column | None:
    """The column of a lone reward with coefficient 1, or None."""
    if len(composition.columns) != 1 or composition.constraints:
        return None
    column = composition.columns[0]
    return column if composition.root == bare(column.reward) else None


def bare(reward: Reward) -> Sum:
    """A reward alone, with coefficient 1."""
    return Sum((Leaf(reward.name),), (1.0,))


def checked(composition: Composition) -> Composition:
    """``composition``, refused where one name stands for two rewards."""
    consistency.check_conditions(composition.conditions, composition.columns)
    return composition
