"""Every source of a composition on one batch: the reward matrix and its mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Float32

from morl.errors import InputError
from morl.rewards.batch import Scored, Scorer, TextBatch, scored
from morl.rewards.composition import Composition
from morl.rewards.names import unknown_name
from morl.rewards.objective import Declarations, Reward

Column = Float[np.ndarray, " n"] | Float[Array, " n"] | Sequence[float | None]


@dataclass(frozen=True)
class Scores:
    """Raw rewards of a batch.

    Attributes:
      names: The rewards, in the order of the composition.
      rewards: NaN where absent.
      present: Where there is a value.
      explanations: By row, then by reward.
      critiques: By row, then by reward; empty texts where nothing was written.
      failures: By reward, how often each kind of failure made a row absent.
    """

    names: tuple[str, ...]
    rewards: Float32[np.ndarray, "n k"]
    present: Bool[np.ndarray, "n k"]
    explanations: tuple[tuple[str, ...], ...]
    critiques: tuple[tuple[str, ...], ...]
    failures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def head_reward(name: str) -> Reward:
    """A reward whose column the caller supplies, as the output of a reward head.

    It keeps its coefficient; an objective, whose coefficient weights replace, needs no
    more than ``morl.objectives(name)``.

    Args:
      name: Name of the reward and of its column.

    Returns:
      A reward without a source that compares within a prompt only, as Bradley-Terry
      scores do.
    """
    return Reward(name, scale="per-prompt", declares=Declarations(basis="data-driven"))


def score_sources(
    composition: Composition,
    batch: TextBatch,
    columns: Mapping[str, Any] | None = None,
) -> Scores:
    """Evaluates every source of a composition once.

    Args:
      composition: What the rewards are of.
      batch: Responses to score.
      columns: By name, values ``[n]`` that were computed elsewhere, None or NaN where
        absent. Every reward without a source needs one; for a reward with a source it
        takes the place of the source.

    Returns:
      Raw rewards ``[n, k]`` in the order of ``composition.names``.

    Raises:
      InputError: A column is missing, unknown or of another length, or a source
        cannot score; the message names it.

    Examples:
      >>> from morl.rewards import objectives, rules
      >>> from morl.rewards.batch import text_batch
      >>> (helpful,) = objectives("helpful")
      >>> scores = score_sources(
      ...     helpful - 0.1 * rules.length("word"),
      ...     text_batch(["q"], ["a short answer"]),
      ...     {"helpful": [0.5]},
      ... )
      >>> scores.names, scores.rewards.tolist()
      (('helpful', 'length'), [[0.5, 3.0]])
    """
    columns = columns or {}
    for name in columns:
        if name not in composition.names:
            raise unknown_name(name, composition.names, where="columns")
    parts = [
        _given(reward.name, columns[reward.name], batch)
        if reward.name in columns
        else _computed(reward, batch)
        for reward in composition.rewards
    ]
    n = len(batch)
    blank = ("",) * n
    return Scores(
        composition.names,
        np.stack([part.values for part in parts], axis=1).reshape(n, len(parts)),
        np.stack([part.present for part in parts], axis=1).reshape(n, len(parts)),
        tuple(zip(*(part.explanations for part in parts), strict=True)),
        tuple(zip(*(part.critiques or blank for part in parts), strict=True)),
        {
            name: part.failures
            for name, part in zip(composition.names, parts, strict=True)
            if part.failures
        },
    )


def _computed(reward: Reward, batch: TextBatch) -> Scored:
    if reward.source is None:
        raise InputError(
            "has no source; pass its values as columns={...}", where=reward.name
        )
    if not isinstance(reward.source, Scorer):
        raise InputError(
            f"its source {type(reward.source).__name__} has no score(batch); pass its "
            "values as columns={...}",
            where=reward.name,
        )
    found = reward.source.score(batch)
    if len(found.values) != len(batch):
        raise InputError(
            f"its source gave {len(found.values)} values for {len(batch)} rows",
            where=reward.name,
        )
    return found


def _given(name: str, column: Any, batch: TextBatch) -> Scored:
    try:
        # None becomes NaN: both say that there is no value.
        values = np.asarray(column, np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"found {type(column).__name__}, expected numbers", where=f"columns.{name}"
        ) from None
    if values.shape != (len(batch),):
        raise InputError(
            f"has shape {values.shape}, expected ({len(batch)},), one value a row",
            where=f"columns.{name}",
        )
    known = [float(v) if np.isfinite(np.float32(v)) else None for v in values]
    return scored(
        known, ["given" if v is not None else "absent: none given" for v in known]
    )
