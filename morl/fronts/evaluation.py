"""How good the fitted heads are, beside the baselines that they must beat."""

import itertools
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from morl.assess import (
    Accuracy,
    Baselines,
    CrossMatrix,
    cross_accuracy,
    cross_rows,
    head_table,
    label_row,
    length_margins,
    length_rule_margins,
    length_rule_scores,
    outside_accuracy,
    pair_accuracy,
    response_only_logits,
    response_only_margins,
)
from morl.errors import InputError
from morl.feedback import Record, labelled_pairs, opening_key
from morl.fronts.fitting import Fitted
from morl.fronts.pool import Pool
from morl.rewards.batch import response_text
from morl.training.features import Features, Progress
from morl.training.head_scores import head_scores


class Evaluation(NamedTuple):
    """Assessment of the heads of a run.

    Attributes:
      rows: Accuracy of each head out of fold, beside its baselines.
      cross: How each head orders the pairs of every objective, out of fold.
      outside: How heads fitted to the whole pool order outside pairs; None without.
      across: Accuracy of the selector on the judge's prompts and the reverse, which is
        that of the heads the front is made with; empty where there is neither.
      penalties: L2 penalty of each head.
      residual: Largest gradient norm that a fit was left with.
    """

    rows: list[dict[str, Any]]
    cross: CrossMatrix
    outside: CrossMatrix | None
    across: dict[str, Accuracy]
    penalties: dict[str, float]
    residual: float

    def metrics(self) -> dict[str, Any]:
        """Everything as JSON."""
        return {
            "heads": self.rows,
            "cross": cross_rows(self.cross),
            "outside": [] if self.outside is None else cross_rows(self.outside),
            "selector_judge": {
                name: [*found[:3]] for name, found in self.across.items()
            },
            "l2": self.penalties,
            "residual": self.residual,
        }

    def summary(self) -> str:
        """Accuracies of pairs in one line."""
        found = [
            f"{head} {self.cross.value[place, place]:.3f}"
            for place, head in enumerate(self.cross.heads)
            if self.cross.pairs[place]
        ]
        return "held-out accuracy: " + ", ".join(found)


def evaluate_heads(
    pool: Pool,
    fitted: Fitted,
    outside: Sequence[Record],
    features: Features,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Assesses heads on pairs and labels that they did not see.

    A baseline that cannot be fitted, as where all pairs of an objective share a fold,
    is left out with a warning that says why.

    Args:
      pool: What they learned from.
      fitted: The heads with their out-of-fold readings.
      outside: Records that only test.
      features: Of the outside records.
      progress: Called with data sets assessed and in all.

    Returns:
      The assessment.
    """
    pairs, margins = pool.pairs, fitted.validation.margins
    groups = pool.prompts[pairs.record_index]
    done = _counter(pool, progress)
    rows = head_table(
        margins,
        pairs.objective,
        groups,
        objectives=pool.objectives,
        baselines=_pair_baselines(pool, done),
        data=_sources(pool),
    )
    across = {}
    if fitted.parts is not None:
        across = {
            name: pair_accuracy(fitted.parts.across[here, place], groups[here])
            for place, name in enumerate(pool.objectives)
            if (here := pairs.objective == place).any()
        }
    return Evaluation(
        rows + _label_rows(pool, fitted, done),
        cross_accuracy(
            margins,
            pairs.objective,
            groups,
            heads=pool.objectives,
            columns=pool.objectives,
        ),
        _outside(pool, fitted, outside, features) if outside else None,
        across,
        dict(zip(pool.objectives, fitted.validation.l2.tolist(), strict=True)),
        fitted.validation.residual,
    )


def _counter(pool: Pool, progress: Progress | None) -> Callable[[], None]:
    """Called after each data set: counts it, and reports how many there are in all."""
    sets = len(np.unique(pool.pairs.objective)) + len(np.unique(pool.scores.objective))
    counts = itertools.count()

    def done() -> None:
        if progress is not None:
            progress(next(counts), sets)

    done()
    return done


def _pair_baselines(pool: Pool, done: Callable[[], None]) -> Baselines:
    """Margins of every pair by its length and its words."""
    pairs = pool.pairs
    folds = pool.folds[pairs.record_index]
    texts = lambda chosen: [
        response_text(pool.records[record].responses[response])
        for record, response in zip(pairs.record_index, chosen, strict=True)
    ]
    better, worse = texts(pairs.better), texts(pairs.worse)
    words = np.full(len(better), np.nan)
    for place in np.unique(pairs.objective):
        rows = np.flatnonzero(pairs.objective == place)
        of = lambda texts, rows=rows: [texts[row] for row in rows]
        fit = partial(response_only_margins, of(better), of(worse), folds[rows])
        words[rows] = _or_absent(fit, len(rows), pool.objectives[place])
        done()
    length = length_margins(_characters(better), _characters(worse))
    return Baselines(length, length_rule_margins(length, pairs.objective, folds), words)


def _or_absent(
    fit: Callable[[], Float[np.ndarray, " n"]], count: int, name: str
) -> Float[np.ndarray, " n"]:
    """What a baseline reads; NaN where it cannot be fitted, with the reason said."""
    try:
        return fit()
    except (InputError, ArithmeticError) as error:
        warnings.warn(
            f"no response-only baseline for {name}: {error}", UserWarning, stacklevel=2
        )
        return np.full(count, np.nan)


def _sources(pool: Pool) -> dict[str, str]:
    """Where the pairs of each objective come from, and that they were held out."""
    found = {}
    for place, name in enumerate(pool.objectives):
        rows = np.unique(pool.pairs.record_index[pool.pairs.objective == place])
        names = dict.fromkeys(pool.records[row].source for row in rows)
        found[name] = ", ".join(source for source in names if source)
    return found


def _label_rows(
    pool: Pool, fitted: Fitted, done: Callable[[], None]
) -> list[dict[str, Any]]:
    """A row for each objective whose single responses carry both kinds of label."""
    scores = pool.scores
    rows = []
    for place, name in enumerate(pool.objectives):
        here = np.flatnonzero(scores.objective == place)
        labels = scores.score[here] > 0.5
        if len(np.unique(labels)) < 2:
            continue
        texts = [
            response_text(pool.records[record].responses[response])
            for record, response in zip(
                scores.record_index[here], scores.response[here], strict=True
            )
        ]
        records = scores.record_index[here]
        folds, length = pool.folds[records], _characters(texts)
        fit = partial(response_only_logits, texts, labels, folds)
        rows.append(
            label_row(
                fitted.validation.logits[here, place].astype(float),
                labels,
                pool.prompts[records],
                objective=name,
                baselines=Baselines(
                    length,
                    length_rule_scores(length, labels, folds),
                    _or_absent(fit, len(here), f"labels of {name}"),
                ),
                data=pool.records[records[0]].source,
            )
        )
        done()
    return rows


def _characters(texts: Sequence[str]) -> Float[np.ndarray, " n"]:
    """Lengths of whole responses, however much of them a head has read."""
    return np.array([len(text) for text in texts], float)


def _outside(
    pool: Pool, fitted: Fitted, records: Sequence[Record], features: Features
) -> CrossMatrix:
    """Margins of outside pairs by the heads that are saved, by what they label."""
    heads = fitted.heads
    rewards = np.asarray(
        head_scores(heads, features.states(heads.reading), features.lengths).mean
    )
    keys = [opening_key(record) for record in records]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    margins: dict[str, list[np.ndarray]] = {}
    groups: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        start = features.starts[row]
        for name in record.labels:
            for pair in labelled_pairs(record, name):
                gap = rewards[start + pair.better] - rewards[start + pair.worse]
                margins.setdefault(name, []).append(gap)
                groups.setdefault(name, []).append(numbers[keys[row]])
    return outside_accuracy(
        {name: np.stack(gaps).astype(float) for name, gaps in margins.items()},
        {name: np.array(group) for name, group in groups.items()},
        heads=pool.objectives,
    )
