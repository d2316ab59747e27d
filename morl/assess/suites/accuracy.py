"""Suite: does the reward order pairs as they were labelled?"""

from collections.abc import Sequence

from morl.assess.accuracy import compare_accuracy
from morl.assess.baselines import length_margins
from morl.assess.estimates import Estimate
from morl.assess.findings import Bars, Finding, Sheet
from morl.assess.scored import Scored
from morl.assess.suites.benchmarks import (
    best_of_sheet,
    section_sheet,
    style_sheets,
)
from morl.assess.suites.inputs import PairSet, of_source, of_subset, pair_sets
from morl.feedback import Record
from morl.types import Names

QUESTION = "Which pairs does the reward order as they were labelled?"
CAPTION = (
    "Share of pairs in order [95% interval over prompts]; a tie counts half, chance is "
    "0.5. Longer wins: the rule that the longer response is better, on the same pairs; "
    "gain: the head less that rule, over the same draws of prompts."
)


def accuracy(
    records: Sequence[Record], scored: Scored, heads: Names, *, seed: int = 0
) -> Finding:
    """Accuracy by data set, subset and objective, beside the rule of length.

    Where records are of RewardBench, RewardBench 2 or RM-Bench, these have their own
    scores as well.

    Args:
      records: With preferences.
      scored: Of their responses.
      heads: Names of the heads.
      seed: Of the bootstrap.

    Raises:
      InputError: There is no preference.
    """
    sets = pair_sets(records, scored, heads, data=of_subset)
    whole = [
        pairs
        for pairs in pair_sets(records, scored, heads, data=of_source)
        if sum(_within(part, pairs) for part in sets) > 1
    ]
    found = [_compared(pairs, seed) for pairs in (*sets, *whole)]
    lines = tuple(
        {
            "data": pairs.data,
            "objective": pairs.objective,
            "head": pairs.head,
            "pairs": len(pairs.margins),
            **estimates,
        }
        for pairs, estimates in zip((*sets, *whole), found, strict=True)
    )
    own = (
        *section_sheet(records, scored, heads, seed=seed),
        *best_of_sheet(records, scored, heads, seed=seed),
        *style_sheets(records, scored, heads, seed=seed),
    )
    names = tuple(pairs.name for pairs in (*sets, *whole))
    series = {
        key: tuple(estimates[key] for estimates in found)
        for key in ("accuracy", "longer wins")
    }
    bars = Bars("Pairs in order", "share of pairs", names, series, 0.5)
    return Finding(
        "accuracy", QUESTION, (Sheet("Pairs", lines, CAPTION), *own), (bars,)
    )


def _within(part: PairSet, whole: PairSet) -> bool:
    same = (part.objective, part.head) == (whole.objective, whole.head)
    return same and part.data.startswith(f"{whole.data}, ")


def _compared(pairs: PairSet, seed: int) -> dict[str, Estimate]:
    length = length_margins(pairs.better_length, pairs.worse_length)
    found = compare_accuracy(pairs.margins, length[:, None], pairs.groups, seed=seed)
    count, prompts = found.accuracy.count, found.accuracy.prompts
    return {
        "accuracy": Estimate(*found.accuracy),
        "longer wins": Estimate(*found.baselines[0]),
        "gain": Estimate(*found.gains[0], count, prompts),
    }
