"""Suite: what does selection by the reward gain by a judge that is not the reward?"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from morl.assess.best_of_n import Selected, best_of_n
from morl.assess.findings import Curve, Curves, Finding, Sheet
from morl.assess.scored import Scored
from morl.assess.suites.inputs import check_scored, judging, response_starts
from morl.errors import InputError
from morl.feedback import Record
from morl.types import Names

QUESTION = "What does selection by the reward gain by a judge that is not the reward?"
CAPTION = (
    "Gold gained over a random response by the best of n, in deviations of the gold "
    "within a prompt [95% interval over prompts]; the mean over all subsets of n "
    "responses, exactly. Possible: the same where gold itself selects. Drop: from the "
    "peak to the largest n."
)
Gold = dict[str, Float[np.ndarray, " n"]]


def best_of_n_suite(
    records: Sequence[Record],
    scored: Scored,
    heads: Names,
    gold: tuple[Names, Scored] | None = None,
    *,
    seed: int = 0,
) -> Finding:
    """The curve of over-optimisation: gold against the divergence of the selection.

    Args:
      records: Prompts with two responses or more.
      scored: Of their responses, by what selects.
      heads: Names of its heads.
      gold: Names of the heads that judge, and their rewards; the scores that the
        records hold where not given.
      seed: Of the bootstrap.

    Raises:
      InputError: No prompt has two responses that gold scores.
    """
    check_scored(records, scored, heads)
    judges = _labelled(records) if gold is None else _by_heads(records, *gold)
    starts = response_starts(records)
    lines, charts = [], []
    for name, values in judges.items():
        known = [
            np.arange(a, b)[~np.isnan(values[a:b])]
            for a, b in pairwise(starts.tolist())
        ]
        rows = [row for row in known if len(row) > 1]
        judged = [values[row] for row in rows]
        if not any(np.ptp(own) > 0 for own in judged):
            continue
        possible = best_of_n(judged, judged, seed=seed)
        found: dict[str, Selected] = {}
        for head in judging(name, heads):
            rewards = scored.rewards[:, heads.index(head)].astype(float)
            found[head] = best_of_n([rewards[row] for row in rows], judged, seed=seed)
            lines.append(_line(name, head, found[head], possible, len(rows)))
        charts.append(_chart(name, found, possible))
    if not lines:
        raise InputError(
            "found no prompt with two responses that differ in gold: add --gold HEADS, "
            "or feedback with scores",
            where="--suite best_of_n",
        )
    sheet = Sheet("Best of n", tuple(lines), CAPTION)
    return Finding("best_of_n", QUESTION, (sheet,), tuple(charts))


def _labelled(records: Sequence[Record]) -> Gold:
    """Scores by objective; NaN where a response has none."""
    starts = response_starts(records)
    found: Gold = {}
    for row, record in enumerate(records):
        for name, labels in record.labels.items():
            if labels.scores is not None:
                own = found.setdefault(name, np.full(starts[-1], np.nan))
                own[starts[row] : starts[row + 1]] = [
                    np.nan if score is None else score for score in labels.scores
                ]
    return found


def _by_heads(records: Sequence[Record], names: Names, scored: Scored) -> Gold:
    check_scored(records, scored, names)
    return dict(zip(names, scored.rewards.T.astype(float), strict=True))


def _line(
    gold: str, head: str, found: Selected, possible: Selected, prompts: int
) -> dict:
    return {
        "gold": gold,
        "head": head,
        "prompts": prompts,
        "n": int(found.n[-1]),
        "KL [nats]": float(found.kl[-1]),
        "gain": found.last,
        "possible": possible.last,
        "peak at n": found.peak,
        "drop": found.drop,
    }


def _chart(gold: str, found: Mapping[str, Selected], possible: Selected) -> Curves:
    unknown = np.full(len(possible.n), np.nan)
    curves = [
        Curve(f"gold, selected by {head}", own.kl, own.gain, own.low, own.high)
        for head, own in found.items()
    ]
    references = [
        Curve("gold, selected by itself", possible.kl, possible.gain, unknown, unknown)
    ]
    return Curves(
        f"Gold ({gold}) gained by the best of n, up to n = {possible.n[-1]}",
        "KL of the selection [nats]",
        "gain over a random response [deviations]",
        tuple(curves),
        tuple(references),
    )
