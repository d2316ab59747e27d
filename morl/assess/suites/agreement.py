"""Suite: do the objectives agree on the same responses and the same pairs?"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from morl.assess.agreement import order_agreement
from morl.assess.cross import CrossMatrix, cross_accuracy
from morl.assess.estimates import Estimate
from morl.assess.findings import Bars, Finding, Sheet
from morl.assess.scored import Scored
from morl.assess.suites.inputs import check_scored, prompt_groups, response_starts
from morl.errors import InputError
from morl.feedback import Record, pair_table
from morl.types import Names

QUESTION = "Do the objectives agree on the same responses?"
HEADS_CAPTION = (
    "Share of the pairs of responses to a prompt that two heads order alike [95% "
    "interval over prompts]; 0.5 is chance, below it they pull apart."
)
PAIRS_CAPTION = (
    "Share of each objective's labelled pairs (columns) that each head (rows) orders "
    "as labelled; 0.5 is chance, below it the head prefers what raters rejected."
)


def agreement(
    records: Sequence[Record], scored: Scored, heads: Names, *, seed: int = 0
) -> Finding:
    """How far two heads order responses alike, and each head every objective's pairs.

    Args:
      records: Prompts with two responses or more; labels are optional.
      scored: Of their responses.
      heads: Names of the heads, two or more.
      seed: Of the bootstrap.

    Raises:
      InputError: There is one head only, or no prompt has two responses.
    """
    check_scored(records, scored, heads)
    if len(heads) < 2:
        raise InputError(
            f"found heads for {', '.join(heads)} alone, expected two or more",
            where="--suite agreement",
        )
    couples = _couples(records, scored, heads, seed)
    lines = tuple(
        {"head": one, "other head": other, "pairs": found.count, "ordered alike": found}
        for (one, other), found in couples.items()
    )
    bars = Bars(
        "Responses that two heads order alike",
        "share of pairs",
        tuple(f"{one} and {other}" for one, other in couples),
        {"agreement": tuple(couples.values())},
        0.5,
    )
    sheets = [Sheet("Heads", lines, HEADS_CAPTION)]
    matrix = _matrix(records, scored, heads, seed)
    if matrix is not None:
        sheets.append(Sheet("Heads and labels", _matrix_lines(matrix), PAIRS_CAPTION))
    return Finding("agreement", QUESTION, tuple(sheets), (bars,))


def _couples(
    records: Sequence[Record], scored: Scored, heads: Names, seed: int
) -> dict[tuple[str, str], Estimate]:
    starts = response_starts(records)
    counts = np.diff(starts)
    if counts.max(initial=0) < 2:
        raise InputError("no prompt has two responses", where="--suite agreement")
    present = np.arange(counts.max())[None, :] < counts[:, None]
    table = np.full((*present.shape, len(heads)), np.nan)
    table[present] = scored.rewards
    found = {}
    for (i, one), (j, other) in combinations(enumerate(heads), 2):
        share = order_agreement(table[..., i], table[..., j], present, seed=seed)
        found[one, other] = Estimate(*share)
    return found


def _matrix(
    records: Sequence[Record], scored: Scored, heads: Names, seed: int
) -> CrossMatrix | None:
    objectives = tuple(dict.fromkeys(name for r in records for name in r.labels))
    pairs = pair_table(records, objectives)
    if not len(pairs.objective):
        return None
    starts = response_starts(records)[pairs.record_index]
    rewards = scored.rewards.astype(float)
    return cross_accuracy(
        rewards[starts + pairs.better] - rewards[starts + pairs.worse],
        pairs.objective,
        prompt_groups(records)[pairs.record_index],
        heads=heads,
        columns=objectives,
        seed=seed,
    )


def _matrix_lines(matrix: CrossMatrix) -> tuple[dict, ...]:
    return tuple(
        {"head": head}
        | {
            f"{column} pairs": Estimate(
                float(matrix.value[row, place]),
                float(matrix.low[row, place]),
                float(matrix.high[row, place]),
                int(matrix.pairs[place]),
                int(matrix.prompts[place]),
            )
            for place, column in enumerate(matrix.columns)
            if matrix.pairs[place]
        }
        for row, head in enumerate(matrix.heads)
    )
