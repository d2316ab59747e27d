"""Suite: is the reward as good on a domain that it was not fitted to?"""

from collections.abc import Sequence

from morl.assess.accuracy import ordered
from morl.assess.baselines import length_margins
from morl.assess.estimates import (
    Estimate,
    Sampled,
    difference,
    estimate_of,
    sampled_mean,
)
from morl.assess.findings import Bars, Finding, Sheet
from morl.assess.scored import Scored
from morl.assess.suites.inputs import PairSet, pair_sets
from morl.errors import InputError
from morl.feedback import Record
from morl.types import Names

QUESTION = "Is the reward as good on a domain that it was not fitted to?"
CAPTION = (
    "Share of pairs in order [95% interval over prompts]. Lost: the domain it was "
    "fitted to less the other; prompts of the two are drawn apart. Longer wins: the "
    "rule of length on each; lost beyond it: what the head loses and the rule does not."
)


def generalisation(
    inside: Sequence[Record],
    inside_scored: Scored,
    outside: Sequence[Record],
    outside_scored: Scored,
    heads: Names,
    *,
    seed: int = 0,
) -> Finding:
    """Accuracy on a held-out domain beside that on the domain of the fit.

    A set of pairs outside is set beside that of the same objective and head inside;
    where there is none, beside every set inside that the same head judges.

    Args:
      inside: Feedback from the domain that the heads were fitted to, on other prompts.
      inside_scored: Of its responses.
      outside: Feedback from the other domain.
      outside_scored: Of its responses.
      heads: Names of the heads.
      seed: Of the bootstraps.

    Raises:
      InputError: One side has no preference, or no head judges both.
    """
    sets = pair_sets(inside, inside_scored, heads)
    couples = [
        (own, other)
        for other in pair_sets(outside, outside_scored, heads)
        for own in _partners(sets, other)
    ]
    if not couples:
        raise InputError(
            f"no head of {', '.join(heads)} judges pairs of both sides",
            where="generalisation",
        )
    lines, labels, series = [], [], {"fitted to": [], "held out": []}
    for own, other in couples:
        estimates = _compared(own, other, seed)
        lines.append(
            {"fitted to": own.name, "held out": other.name, "head": own.head}
            | estimates
        )
        labels.append(f"{other.name}, beside {own.data}")
        series["fitted to"].append(estimates["accuracy"])
        series["held out"].append(estimates["held-out accuracy"])
    bars = Bars(
        "Pairs in order on both domains",
        "share of pairs",
        tuple(labels),
        {name: tuple(values) for name, values in series.items()},
        0.5,
    )
    return Finding(
        "generalisation", QUESTION, (Sheet("Domains", tuple(lines), CAPTION),), (bars,)
    )


def _partners(sets: Sequence[PairSet], other: PairSet) -> list[PairSet]:
    judged = [own for own in sets if own.head == other.head]
    return [own for own in judged if own.objective == other.objective] or judged


def _compared(own: PairSet, other: PairSet, seed: int) -> dict[str, Estimate]:
    inside, outside = _shares(own, seed), _shares(other, seed + 1)
    lost = [difference(a, b) for a, b in zip(inside, outside, strict=True)]
    return {
        "accuracy": estimate_of(inside[0]),
        "held-out accuracy": estimate_of(outside[0]),
        "lost": estimate_of(lost[0]),
        "longer wins": estimate_of(inside[1]),
        "held-out longer wins": estimate_of(outside[1]),
        "lost beyond length": estimate_of(difference(lost[0], lost[1])),
    }


def _shares(pairs: PairSet, seed: int) -> tuple[Sampled, Sampled]:
    """Of the head and of the rule of length, over the same draws."""
    length = length_margins(pairs.better_length, pairs.worse_length)
    return (
        sampled_mean(ordered(pairs.margins), pairs.groups, seed=seed),
        sampled_mean(ordered(length), pairs.groups, seed=seed),
    )
