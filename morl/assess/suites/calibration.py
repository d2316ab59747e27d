"""Suite: does a margin mean the probability that it claims?"""

from collections.abc import Sequence

import numpy as np

from morl.assess.calibration import pair_calibration
from morl.assess.findings import Curve, Curves, Finding, Sheet
from morl.assess.scored import Scored
from morl.assess.suites.inputs import pair_sets
from morl.feedback import Record
from morl.types import Names

QUESTION = "Is the reward right as often as its margins claim?"
CAPTION = (
    "Claimed: the mean probability of the preferred response by the margin, in nats of "
    "log-odds; it happened: the share of pairs in which it is the labelled one. Error: "
    "expected calibration error; chance: what perfect calibration stays below in 95% "
    "of data sets of this size. Brier: mean squared distance, 0.25 for a coin."
)


def calibration(
    records: Sequence[Record], scored: Scored, heads: Names, *, seed: int = 0
) -> Finding:
    """Calibration error beside its chance level, and the reliability curve.

    Args:
      records: With preferences.
      scored: Of their responses.
      heads: Names of the heads.
      seed: Of the draws that give the chance level.

    Raises:
      InputError: There is no preference.
    """
    lines, curves = [], []
    for pairs in pair_sets(records, scored, heads):
        found = pair_calibration(pairs.margins, seed=seed)
        curve = found.curve
        mean = lambda values, count=curve.count: float(
            np.average(values, weights=count)
        )
        lines.append(
            {
                "data": pairs.data,
                "objective": pairs.objective,
                "head": pairs.head,
                "pairs": len(pairs.margins),
                "claimed": mean(curve.confidence),
                "happened": mean(curve.accuracy),
                "error": found.error,
                "chance": found.chance,
                "brier": found.brier,
            }
        )
        unknown = np.full(len(curve.count), np.nan)
        curves.append(
            Curve(pairs.name, curve.confidence, curve.accuracy, unknown, unknown)
        )
    ends = np.array([0.5, 1.0])
    nothing = np.full(2, np.nan)
    chart = Curves(
        "Reliability",
        "probability that the margin claims",
        "share of pairs in order",
        tuple(curves),
        (Curve("perfect calibration", ends, ends, nothing, nothing),),
    )
    return Finding(
        "calibration",
        QUESTION,
        (Sheet("Calibration", tuple(lines), CAPTION),),
        (chart,),
    )
