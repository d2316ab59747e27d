"""Suite: does the reward know which pairs it will order wrongly?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from morl.assess.accuracy import ordered
from morl.assess.estimates import Estimate, mean_estimate
from morl.assess.findings import Curve, Curves, Finding, Sheet
from morl.assess.rejection import COVERAGE, oracle_curve, rejection_curve
from morl.assess.scored import Scored
from morl.assess.suites.inputs import PairSet, pair_sets
from morl.feedback import Record
from morl.types import Names

QUESTION = "Does the reward know which pairs it will order wrongly?"
CAPTION = (
    "Pairs are rejected from the least certain on. Surest half: accuracy on the half "
    "that is kept longest. Area: by how much accuracy is above that of rejection at "
    "random, on average over all shares kept; ratio: the same as a share of what an "
    "oracle would gain, 0 at random and 1 at best. Certain by margin: the size of the "
    "margin; by deviation: the head's own uncertainty of both rewards; by ratio: the "
    "margin in units of it."
)
HALF = int(np.argmin(np.abs(COVERAGE - 0.5)))


def uncertainty(
    records: Sequence[Record], scored: Scored, heads: Names, *, seed: int = 0
) -> Finding:
    """Accuracy against the share of pairs kept, by every measure of certainty.

    Args:
      records: With preferences.
      scored: Of their responses; with ``uncertainty`` where the heads know it, else the
        size of a margin stands for its certainty.
      heads: Names of the heads.
      seed: Of the bootstrap.

    Raises:
      InputError: There is no preference.
    """
    lines, charts = [], []
    for pairs in pair_sets(records, scored, heads):
        curves = []
        for name, doubt in _doubts(pairs).items():
            found = rejection_curve(pairs.margins, doubt, pairs.groups, seed=seed)
            half = Estimate(
                float(found.accuracy[HALF]),
                float(found.low[HALF]),
                float(found.high[HALF]),
                found.area.count,
                found.area.prompts,
            )
            lines.append(
                {
                    "data": pairs.data,
                    "objective": pairs.objective,
                    "head": pairs.head,
                    "certain by": name,
                    "all pairs": mean_estimate(
                        ordered(pairs.margins), pairs.groups, seed=seed
                    ),
                    "surest half": half,
                    "area": found.area,
                    "ratio": found.ratio,
                }
            )
            curves.append(
                Curve(
                    f"certain by {name}",
                    found.coverage,
                    found.accuracy,
                    found.low,
                    found.high,
                )
            )
        charts.append(_chart(pairs, tuple(curves)))
    return Finding(
        "uncertainty",
        QUESTION,
        (Sheet("Rejection", tuple(lines), CAPTION),),
        tuple(charts),
    )


def _doubts(pairs: PairSet) -> dict[str, Float[np.ndarray, " p"]]:
    size = np.abs(pairs.margins)
    if pairs.spread is None:
        return {"margin": -size}
    ratio = np.divide(
        size, pairs.spread, out=np.full_like(size, np.inf), where=pairs.spread > 0
    )
    return {"margin": -size, "deviation": pairs.spread, "ratio": -ratio}


def _chart(pairs: PairSet, curves: tuple[Curve, ...]) -> Curves:
    overall = float(np.mean(ordered(pairs.margins)))
    unknown = np.full(len(COVERAGE), np.nan)
    flat = np.full(len(COVERAGE), overall)
    return Curves(
        f"Accuracy where doubtful pairs are rejected, {pairs.name}",
        "share of pairs kept",
        "accuracy",
        curves,
        (
            Curve("rejected at random", COVERAGE, flat, unknown, unknown),
            Curve("oracle", COVERAGE, oracle_curve(overall), unknown, unknown),
        ),
    )
