"""Why a response has its utility: what each reward, constraint and gate contributed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from morl import scalarize
from morl.errors import InputError
from morl.rewards import consistency, pipeline
from morl.rewards.batch import TextBatch
from morl.rewards.composition import Composition
from morl.rewards.expression import Scalarized, number, walk
from morl.rewards.gates import violation
from morl.rewards.scoring import Scores, score_sources
from morl.rewards.transforms import State

EXACT = "weight x value: the contributions add up to the utility"
GRADIENT = (
    "gradient x value: the weight is the slope of the utility at this response, and "
    "what the contributions leave over is the remainder"
)


@dataclass(frozen=True)
class Part:
    """What one reward is, and does to the utility of one response.

    Attributes:
      name: The reward.
      raw: As its source gave it; None where absent.
      calibrated: In units of the reference policy, as gates and constraints read it;
        the raw value where the composition has no calibration.
      value: As the utility sees it: after gate, direction and transforms.
      weight: The slope of the utility in ``value``: in a sum its coefficient, after
        absent objectives gave theirs away; None where the utility is absent.
      contribution: ``weight * value``; None where reward or utility is absent.
      reason: The explanation of the source, or why the reward is absent.
      critique: What a judge wrote.
    """

    name: str
    raw: float | None
    calibrated: float | None
    value: float | None
    weight: float | None
    contribution: float | None
    reason: str = ""
    critique: str = ""


@dataclass(frozen=True)
class Penalty:
    """What one constraint does to the utility of one response.

    Attributes:
      condition: As it is written.
      violation: How far on the wrong side; None where the reward is absent.
      contribution: Minus multiplier times violation.
    """

    condition: str
    violation: float | None
    contribution: float | None


@dataclass(frozen=True)
class ResponseExplanation:
    """One response: its parts, its penalties, and what they come to.

    Attributes:
      parts: One a reward, in the order of the composition.
      penalties: One a constraint.
      remainder: Utility less all contributions: the constant of a linear composition,
        what the slopes do not explain of another; None where the utility is absent.
      utility: None where absent.
      admissible: Whether every constraint is known to hold.
      text: The response itself, where it was given.
    """

    parts: tuple[Part, ...]
    penalties: tuple[Penalty, ...]
    remainder: float | None
    utility: float | None
    admissible: bool
    text: str = ""


@dataclass(frozen=True)
class Explanation:
    """Why the responses of a batch have their utilities.

    Attributes:
      method: What a contribution is, in words.
      exact: Whether contributions and a constant add up to the utility by definition.
      calibrated: Whether the composition has units of the reference policy.
      responses: One a row.
    """

    method: str
    exact: bool
    calibrated: bool
    responses: tuple[ResponseExplanation, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as dictionaries and lists; what is absent is None."""
        return asdict(self)

    def __str__(self) -> str:
        """One table a response."""
        from morl.rewards.render import explanation_text

        return explanation_text(self)


class _Slopes(NamedTuple):
    utility: Float[Array, " n"]
    present: Bool[Array, " n"]
    values: Float[Array, "n k"]
    values_present: Bool[Array, "n k"]
    slopes: Float[Array, "n k"]
    violations: Float[Array, "n c"]
    penalties: Float[Array, "n c"]


def explain(
    composition: Composition,
    rewards: Float[Array | np.ndarray, "n k"],
    present: Bool[Array | np.ndarray, "n k"],
    *,
    scores: Scores | None = None,
    texts: Sequence[str] = (),
    weights: Float[Array | np.ndarray, "*n m"] | None = None,
    state: State = None,
) -> Explanation:
    r"""Takes the utility of each response apart.

    The contribution of a reward is :math:`z_k \, \partial u / \partial z_k`, at the
    value :math:`z_k` that the utility sees. Where the composition is a sum (branches
    and gates included) this is its weight times its value, and contributions, penalties
    and the constant add up to the utility. Elsewhere the slope holds near this response
    only, the explanation says so, and shows what is left over.

    Args:
      composition: What is explained.
      rewards: In the order of ``composition.names``, in the units that its methods
        take: calibrated ones where it has a calibration.
      present: Which are there.
      scores: From the sources: raw rewards, reasons and critiques to show; without
        them ``rewards`` are shown as raw.
      texts: The responses, to show.
      weights: Replace the coefficients of the objectives, as for ``utility``.
      state: Of the transforms, where any has state.

    Returns:
      An :class:`Explanation`, which prints as tables.

    Examples:
      >>> from morl.rewards import objectives
      >>> helpful, harmless = objectives("helpful", "harmless")
      >>> found = explain(0.5 * helpful + 2.0 * harmless,
      ...                 jnp.array([[1.0, 0.25]]), jnp.ones((1, 2), bool))
      >>> [part.contribution for part in found.responses[0].parts]
      [0.5, 0.5]
      >>> found.exact, found.responses[0].utility
      (True, 1.0)
    """
    rewards, present = jnp.asarray(rewards, jnp.float32), jnp.asarray(present)
    admissible = np.asarray(composition.admissible(rewards, present))
    given = None if weights is None else jnp.asarray(weights)
    found = _slopes(
        composition,
        rewards,
        present,
        consistency.checked_weights(composition, given),
        consistency.checked_state(composition, state),
    )
    found = jax.tree.map(np.asarray, found)
    shown = scores or _unexplained(composition, rewards, present)
    exact = _is_sum(composition)
    return Explanation(
        EXACT if exact else GRADIENT,
        exact,
        composition.calibration is not None,
        tuple(
            _response(
                _parts(shown, np.asarray(rewards), found, row),
                _penalties(composition, np.asarray(present), found, row),
                float(found.utility[row]) if found.present[row] else None,
                bool(admissible[row]),
                texts[row] if texts else "",
            )
            for row in range(len(rewards))
        ),
    )


def explain_batch(
    composition: Composition,
    batch: TextBatch,
    columns: Mapping[str, Any] | None = None,
    *,
    group: int = 1,
    weights: Float[Array | np.ndarray, "*n m"] | None = None,
    state: State = None,
) -> Explanation:
    """Scores a batch by every source and explains the utilities.

    Args:
      composition: What is explained.
      batch: Responses, those to one prompt side by side.
      columns: Values of rewards without a source, as for ``score_sources``.
      group: Responses a prompt. A calibrated composition centres each prompt on them,
        as if the reference policy had written them.
      weights: Replace the coefficients of the objectives.
      state: Of the transforms, where any has state.

    Raises:
      InputError: The batch is not a whole number of groups, or the composition is
        calibrated to a centre and ``group`` is 1, which would make every reward 0.
    """
    if group < 1 or len(batch) % group:
        raise InputError(
            f"{len(batch)} responses are not a whole number of groups of {group}",
            where="group",
        )
    scores = score_sources(composition, batch, columns)
    calibrated = scores.rewards
    if composition.calibration is not None:
        if group == 1:
            raise InputError(
                "the composition is calibrated: give several responses a prompt, to "
                "centre them on",
                where="group",
            )
        grouped = (len(batch) // group, group, len(scores.names))
        units = composition.units(
            jnp.asarray(scores.rewards).reshape(grouped),
            jnp.asarray(scores.present).reshape(grouped),
        )
        calibrated = np.asarray(units).reshape(scores.rewards.shape)
    return explain(
        composition,
        calibrated,
        scores.present,
        scores=scores,
        texts=batch.texts,
        weights=weights,
        state=state,
    )


@jax.jit
def _slopes(
    composition: Composition,
    rewards: Float[Array, "n k"],
    present: Bool[Array, "n k"],
    weights: Float[Array, "*n m"] | None,
    state: State,
) -> _Slopes:
    """Utilities, and their slopes in what the utility sees; raw rewards stay fixed."""
    gated = pipeline.gate(composition, rewards, present)
    values, _ = pipeline.transform(composition, gated, state, pipeline.frozen)
    utility = partial(pipeline.utility_of, composition, gated, weights=weights)
    # Rows do not meet, so that the gradient of the sum holds the slope of each.
    total = lambda seen: (lambda u: (jnp.sum(u[0]), u))(utility(seen))
    (_, (reached, here)), slopes = jax.value_and_grad(total, has_aux=True)(values)
    shorts, costs = [], []
    for constraint in composition.constraints:
        condition = constraint.condition
        column = gated.raw[:, composition.names.index(condition.reward.name)]
        short = violation(condition, column, pipeline.threshold(composition, condition))
        shorts.append(short)
        costs.append(-number(constraint.multiplier) * short)
    stacked = lambda rows: jnp.stack(rows, -1) if rows else jnp.zeros((len(values), 0))
    return _Slopes(
        reached, here, values, gated.present, slopes, stacked(shorts), stacked(costs)
    )


def _unexplained(
    composition: Composition, rewards: Float[Array, "n k"], present: Bool[Array, "n k"]
) -> Scores:
    silent = ((("",) * len(composition.names)),) * len(rewards)
    raw = np.asarray(rewards), np.asarray(present)
    return Scores(composition.names, *raw, explanations=silent, critiques=silent)


def _parts(
    scores: Scores, rewards: np.ndarray, found: _Slopes, row: int
) -> tuple[Part, ...]:
    parts = []
    for index, name in enumerate(scores.names):
        here = bool(scores.present[row, index])
        seen = bool(found.values_present[row, index])
        value = float(found.values[row, index]) if seen else None
        weight = float(found.slopes[row, index]) if found.present[row] else None
        parts.append(
            Part(
                name,
                raw=float(scores.rewards[row, index]) if here else None,
                calibrated=float(rewards[row, index]) if here else None,
                value=value,
                weight=weight,
                contribution=_product(weight, value),
                reason=scores.explanations[row][index],
                critique=scores.critiques[row][index],
            )
        )
    return tuple(parts)


def _product(weight: float | None, value: float | None) -> float | None:
    return None if weight is None or value is None else weight * value


def _penalties(
    composition: Composition, present: np.ndarray, found: _Slopes, row: int
) -> tuple[Penalty, ...]:
    penalties = []
    for index, constraint in enumerate(composition.constraints):
        condition = constraint.condition
        known = present[row, composition.names.index(condition.reward.name)]
        short, cost = found.violations[row, index], found.penalties[row, index]
        penalties.append(
            Penalty(
                str(condition),
                float(short) if known else None,
                float(cost) if known else None,
            )
        )
    return tuple(penalties)


def _response(
    parts: tuple[Part, ...],
    penalties: tuple[Penalty, ...],
    utility: float | None,
    admissible: bool,
    text: str,
) -> ResponseExplanation:
    rest = None
    if utility is not None:
        shares = [each.contribution for each in (*parts, *penalties)]
        rest = utility - sum(share for share in shares if share is not None)
    return ResponseExplanation(parts, penalties, rest, utility, admissible, text)


def _is_sum(composition: Composition) -> bool:
    """Whether the utility is a sum in every branch."""
    return all(
        node.function is scalarize.linear
        for node in walk(composition.root)
        if isinstance(node, Scalarized)
    )
