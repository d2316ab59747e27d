"""The feedback of a run: who may learn from what, split by prompt."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from morl.errors import InputError
from morl.feedback import (
    PairTable,
    Record,
    ScoreTable,
    limit_pairs,
    opening_key,
    pair_table,
    prompt_key,
    score_table,
    split_by_prompt,
)
from morl.fronts.settings import HeadSettings
from morl.types import Names

PARTS = {"selector": 0.45, "judge": 0.45, "prompts": 0.10}


class Pool(NamedTuple):
    """Records that heads learn from, flattened to pairs and labels.

    Attributes:
      objectives: Names that the tables index.
      records: Those that a pair or label refers to.
      pairs: Preference pairs.
      scores: Labelled single responses, in [0, 1].
      prompts: ``[records]`` number of each record's prompt; prompts that share their
        opening are one, since they stand and fall together.
      folds: ``[records]`` fold of each record, by its prompt's opening.
      judges: ``[records]`` whether the record belongs to the judge's part.
      held_out: Records of prompts that no head learns from.
    """

    objectives: Names
    records: list[Record]
    pairs: PairTable
    scores: ScoreTable
    prompts: Int[np.ndarray, " r"]
    folds: Int[np.ndarray, " r"]
    judges: Bool[np.ndarray, " r"]
    held_out: list[Record]


def make_pool(
    records: Sequence[Record], objectives: Names, settings: HeadSettings
) -> Pool:
    """Splits records by prompt and keeps at most ``max_pairs`` an objective.

    Args:
      records: All feedback.
      objectives: What heads are fitted for.
      settings: Limits, folds and seed.

    Returns:
      The pool; a record appears in it once however many objectives it labels.

    Raises:
      InputError: An objective has neither a pair nor a label for both selector and
        judge to learn from, or so few prompts have any that one fold holds them all.
    """
    parts = split_by_prompt(records, PARTS, seed=settings.seed)
    learned = parts["selector"] + parts["judge"]
    pairs = limit_pairs(
        pair_table(learned, objectives), settings.max_pairs, seed=settings.seed
    )
    scores = _single_scores(learned, objectives, settings)
    used = np.unique(np.concatenate([pairs.record_index, scores.record_index]))
    place = np.full(len(learned), -1, np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    kept = [learned[index] for index in used]
    folds = {f"{fold}": 1 / settings.folds for fold in range(settings.folds)}
    keys = [opening_key(record) for record in kept]
    fold_of = {
        opening_key(record): int(fold)
        for fold, part in split_by_prompt(kept, folds, seed=settings.seed + 1).items()
        for record in part
    }
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    pool = Pool(
        objectives,
        kept,
        pairs._replace(record_index=place[pairs.record_index]),
        scores._replace(record_index=place[scores.record_index]),
        np.array([numbers[key] for key in keys], int),
        np.array([fold_of[key] for key in keys], int),
        used >= len(parts["selector"]),
        parts["prompts"],
    )
    _check(pool)
    _check_folds(pool, settings)
    return pool


def balanced_prompts(
    records: Sequence[Record], objectives: Names, count: int, *, seed: int
) -> list[Record]:
    """Draws records as evenly over the objectives as they go, one an opening.

    Prompts with one opening depend on each other, and intervals draw prompts as if they
    did not.

    Args:
      records: To draw from.
      objectives: A record counts for the first of these that it labels.
      count: How many, at most.
      seed: Of the draw; the result does not depend on the order of ``records``.

    Returns:
      The records drawn, objective by objective in turn.
    """
    unique = {prompt_key(record): record for record in records}
    ordered = [unique[key] for key in sorted(unique)]
    order = np.random.default_rng(seed).permutation(len(ordered))
    queues = {
        name: [
            ordered[i]
            for i in order
            if next((o for o in objectives if o in ordered[i].labels), None) == name
        ]
        for name in objectives
    }
    drawn: dict[str, Record] = {}
    while len(drawn) < count and any(queues.values()):
        for queue in queues.values():
            if queue and len(drawn) < count:
                record = queue.pop(0)
                drawn.setdefault(opening_key(record), record)
    return list(drawn.values())


def _single_scores(
    records: Sequence[Record], objectives: Names, settings: HeadSettings
) -> ScoreTable:
    """Scores that no pair was made of: those of records with a single response."""
    table = score_table(records, objectives)
    alone = np.array([len(record.responses) == 1 for record in records], bool)
    keep = alone[table.record_index]
    if keep.any():
        score = table.score[keep]
        if score.min() < 0 or score.max() > 1:
            raise InputError(
                f"found {score.min()} to {score.max()} on single responses, expected "
                "labels in [0, 1]",
                where="scores",
            )
    rank = np.random.default_rng(settings.seed).permutation(len(keep))
    for objective in range(len(objectives)):
        rows = np.flatnonzero(keep & (table.objective == objective))
        keep[rows[np.argsort(rank[rows])[settings.max_pairs :]]] = False
    return ScoreTable(*(column[keep] for column in table))


def _check(pool: Pool) -> None:
    for number, objective in enumerate(pool.objectives):
        for judge, part in ((False, "selector"), (True, "judge")):
            found = sum(
                int(
                    (
                        (table.objective == number)
                        & (pool.judges[table.record_index] == judge)
                    ).sum()
                )
                for table in (pool.pairs, pool.scores)
            )
            if not found:
                raise InputError(
                    f"found no pair or label for {objective!r} in the {part}'s part, "
                    "expected feedback that labels it on several prompts",
                    where="feedback",
                )


def _check_folds(pool: Pool, settings: HeadSettings) -> None:
    """Refuses prompts that fell into one fold, so that none is left to learn from."""
    if len(np.unique(pool.folds)) < 2:
        count = len(np.unique(pool.prompts))
        raise InputError(
            f"found {settings.folds} folds, and feedback on {count} prompts, all in "
            "one of them, since each prompt is drawn into a fold by itself: expected "
            "feedback on dozens of prompts",
            where="heads.folds",
        )
