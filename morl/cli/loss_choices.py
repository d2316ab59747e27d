"""Losses by name: what each objective of a reward model learns by, and from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from morl.errors import InputError
from morl.losses import (
    binary_cross_entropy,
    bradley_terry,
    davidson,
    gaussian_nll,
    huber_error,
    margin_bradley_terry,
    ordinal_loss,
    pinball_loss,
    rao_kupper,
    scaled_bradley_terry,
    soft_bradley_terry,
    squared_error,
)
from morl.models.heads import LEVELS
from morl.numerics import WeightedSum
from morl.training.bounds import check_rules
from morl.training.labels import (
    TIE,
    LabelReader,
    only_pairs,
    only_scores,
    or_scores,
    pairs_with_ties,
    rankings,
)
from morl.training.reward_batch import Example
from morl.training.reward_program import ObjectiveLosses
from morl.types import Names

DISTRIBUTIONS = {"pinball": "quantile", "gaussian": "gaussian"}  # loss to kind of head
OWN_LOSS = {kind: loss for loss, kind in DISTRIBUTIONS.items()}


@dataclass(frozen=True)
class LossChoice:
    """How one objective learns.

    Args:
      pairs: bradley_terry, margin (a stronger preference asks for a wider gap), scaled
        (it counts more), soft (labels are right with probability ``confidence``),
        rao_kupper or davidson (ties are learned from, too), or plackett_luce (of ranked
        lists as wholes).
      scores: squared, huber, binary (scores are probabilities of "yes"), ordinal
        (scores are grades from 0 to ``grades`` - 1), pinball (of quantile heads), or
        gaussian (of gaussian heads).
      labels: auto learns from preferences, also those that a ranking or unequal scores
        imply, and from scores where a record implies none; pairs and scores learn from
        one alone.
      margin: Nats of log-odds that a unit of strength asks for, with margin.
      confidence: Probability that a preference is right, with soft.
      tie: Nats below which rao_kupper often sees a tie, above 0; how much davidson
        favours one, any number.
      grades: Of ordinal scores.
      delta: Where huber turns from a square to a line, in units of the score.
    """

    pairs: Literal[
        "bradley_terry",
        "margin",
        "scaled",
        "soft",
        "rao_kupper",
        "davidson",
        "plackett_luce",
    ] = "bradley_terry"
    scores: Literal["squared", "huber", "binary", "ordinal", "pinball", "gaussian"] = (
        "binary"
    )
    labels: Literal["auto", "pairs", "scores"] = "auto"
    margin: float = 1.0
    confidence: float = 0.9
    tie: float = 0.5
    grades: int = 5
    delta: float = 1.0

    def __post_init__(self) -> None:
        """Refuses numbers that the losses cannot take."""
        check_rules(
            "losses",
            vars(self),
            {
                "confidence": (0.5 < self.confidence <= 1, "above 0.5, at most 1"),
                "tie": (self.tie > 0 or self.pairs != "rao_kupper", "above 0"),
                "grades": (self.grades >= 2, "2 or more"),
                "delta": (self.delta > 0, "above 0"),
                "margin": (self.margin >= 0, "0 or more"),
            },
        )


Gaps: TypeAlias = Float[Array, "*n"]
Mask: TypeAlias = Bool[Array, "*n"]


def chosen_losses(choice: LossChoice) -> ObjectiveLosses:
    """The losses that a configuration names, on log-odds and on rewards."""
    scores: Mapping[str, Callable[..., WeightedSum]] = {
        "squared": squared_error,
        "huber": partial(huber_error, delta=choice.delta),
        "binary": binary_cross_entropy,
        "ordinal": _ordinal,
    }
    ordinal = choice.scores == "ordinal"
    return ObjectiveLosses(
        _pairs(choice),
        # A distribution has a loss of its own, and none of its points.
        scores.get(choice.scores, squared_error),
        choice.grades - 1 if ordinal else 0,
        {"pinball": _pinball, "gaussian": _normal}.get(choice.scores),
    )


def _pairs(choice: LossChoice) -> Callable[..., WeightedSum]:
    def plain(loss: Callable[..., WeightedSum], *names: str) -> Callable:
        def on_gaps(
            gaps: Gaps, strength: Gaps, mask: Mask, *, weights: Gaps | None = None
        ) -> WeightedSum:
            known = {
                "strength": strength,
                "tied": strength == TIE,
                "confidence": choice.confidence,
            }
            given = [known[name] for name in names]
            return loss(gaps, 0 * gaps, *given, mask, weights=weights)

        return on_gaps

    bare = plain(bradley_terry)
    return {
        "bradley_terry": bare,
        "margin": plain(partial(margin_bradley_terry, scale=choice.margin), "strength"),
        "scaled": plain(scaled_bradley_terry, "strength"),
        "soft": plain(soft_bradley_terry, "confidence"),
        "rao_kupper": plain(partial(rao_kupper, threshold=choice.tie), "tied"),
        "davidson": plain(partial(davidson, tie_reward=choice.tie), "tied"),
        "plackett_luce": bare,  # of what is no list
    }[choice.pairs]


def _ordinal(
    points: Gaps,
    grades: Gaps,
    mask: Mask,
    *,
    weights: Gaps | None = None,
    thresholds: Float[Array, " cuts"],
) -> WeightedSum:
    whole = jnp.asarray(grades, jnp.int32)
    return ordinal_loss(points, whole, thresholds, mask, weights=weights)


def _pinball(quantiles: Float[Array, "*n m"], scores: Gaps, mask: Mask) -> WeightedSum:
    return pinball_loss(quantiles, scores, jnp.asarray(LEVELS), mask)


def _normal(values: Float[Array, "*n m"], scores: Gaps, mask: Mask) -> WeightedSum:
    return gaussian_nll(values[..., 0], values[..., 1], scores, mask)


def chosen_labels(choice: LossChoice) -> LabelReader:
    """What an objective learns from."""
    if choice.labels == "scores":
        return only_scores
    found = {
        "plackett_luce": rankings,
        "rao_kupper": pairs_with_ties,
        "davidson": pairs_with_ties,
    }.get(choice.pairs, only_pairs)
    return found if choice.labels == "pairs" else or_scores(found)


def gate_labels(choice: LossChoice) -> LabelReader:
    """What a gate learns from: preferences, whatever the heads learned from."""
    ties = choice.pairs in ("rao_kupper", "davidson")
    return pairs_with_ties if ties else only_pairs


def check_kind(name: str, choice: LossChoice, kind: str) -> None:
    """Refuses a loss of a distribution that the heads do not say, and the reverse.

    A head that says a distribution would never learn its width by a loss of points.

    Raises:
      InputError: Names the objective, the loss and what goes together.
    """
    wanted = DISTRIBUTIONS.get(choice.scores)
    if wanted is not None and kind != wanted:
        raise InputError(
            f"found {choice.scores} with {kind} heads, expected head.kind {wanted}",
            where=f"losses.{name}.scores",
        )
    if kind in OWN_LOSS and choice.pairs == "plackett_luce":
        raise InputError(
            f"found plackett_luce with {kind} heads, whose deviation it would not "
            "train; expected a loss of pairs",
            where=f"losses.{name}.pairs",
        )


def check_scores(
    examples: Sequence[Example],
    names: Names,
    choices: Mapping[str, LossChoice],
    kind: str,
) -> None:
    """Refuses scores that a loss cannot take, or that would not train a deviation.

    Raises:
      InputError: Names the record, the objective, the score, and what was expected.
    """
    for example in examples:
        for _, number, score in example.scores:
            choice = choices.get(names[number], LossChoice())
            own = OWN_LOSS.get(kind, choice.scores)
            if choice.scores != own:
                raise InputError(
                    f"found a score for {names[number]!r} and the loss "
                    f"{choice.scores}, which would not train the deviation of {kind} "
                    f"heads; expected losses.{names[number]}.scores {own}",
                    where=example.where,
                )
            fits, expected = True, ""
            if choice.scores == "binary":
                fits, expected = 0 <= score <= 1, "a probability from 0 to 1 (binary)"
            if choice.scores == "ordinal":
                fits = score in range(choice.grades)
                expected = f"a whole number from 0 to {choice.grades - 1} (ordinal)"
            if not (fits and np.isfinite(score)):
                raise InputError(
                    f"found a score of {score:g} for {names[number]!r}, expected "
                    f"{expected or 'a finite number'}; losses.{names[number]}.scores "
                    "names the loss",
                    where=example.where,
                )
