"""Feedback of a run that trains a reward model: records, rows, and their features."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from morl.cli.loss_choices import (
    LossChoice,
    check_scores,
    chosen_labels,
    gate_labels,
)
from morl.cli.reward_model import RewardConfig
from morl.cli.sources import read_sources
from morl.errors import InputError
from morl.feedback import Record, prompt_key, split_by_prompt
from morl.models.heads import Reading
from morl.models.language_model import LanguageModel
from morl.storage import content_hash
from morl.training.features import Progress, extract_features
from morl.training.processes import in_shares
from morl.training.reward_batch import Example, label_counts, make_example, widths
from morl.training.reward_design import tokens_needed
from morl.training.reward_rows import FeatureTable, RowMaker
from morl.types import Names

SPLIT = 0x76616C  # added to the seed, for the part that is held out


class Feedback(NamedTuple):
    """Examples to learn from and examples that only test."""

    training: list[Example]
    validation: list[Example]


class Makers(NamedTuple):
    """The same as makers of batches; ``validation`` is None where nothing tests."""

    training: RowMaker
    validation: RowMaker | None


def read_feedback(config: RewardConfig) -> list[Record]:
    """The records of all sources.

    Raises:
      InputError: There is no source, or one cannot be read.
    """
    if not config.sources:
        raise InputError("found none, expected feedback to learn from", where="sources")
    return read_sources(config.sources, config.data)


def make_examples(
    model: LanguageModel,
    records: Sequence[Record],
    config: RewardConfig,
    *,
    progress: Progress | None = None,
) -> Feedback:
    """Records as rows, parted by prompt.

    Raises:
      InputError: A record does not fit, or an objective has no label to learn from.
    """
    share = config.training.validation
    parts = {"training": 1 - share} | ({"validation": share} if share else {})
    # A seed of its own: records that were split before by the same one would otherwise
    # all fall into one part.
    split = split_by_prompt(records, parts, seed=SPLIT + config.training.seed)
    chosen = {
        name: limit_records(part, config.objectives, config.text.max_records, name)
        for name, part in split.items()
    }
    gate = config.mixture.heads is not None
    read = gate_labels if gate else chosen_labels
    readers = [
        read(config.losses.get(name, LossChoice())) for name in config.objectives
    ]
    total, done = sum(map(len, chosen.values())), 0
    found: dict[str, list[Example]] = {"training": [], "validation": []}
    for name, part in chosen.items():
        for record in part:
            encoded = model.chat.encode_responses(
                record.prompt,
                record.responses,
                max_tokens=config.text.max_tokens,
                response_tokens=config.text.response_tokens,
            )
            example = make_example(record, encoded, config.objectives, readers)
            if example is not None:
                found[name].append(example)
            done += 1
            if progress is not None:
                progress(done, total)
    for part in found.values():
        check_scores(part, config.objectives, config.losses, config.head.kind)
    _check_counts(found["training"], config)
    return Feedback(found["training"], found["validation"])


def _check_counts(examples: Sequence[Example], config: RewardConfig) -> None:
    """Refuses objectives that nothing is learned about."""
    gate = config.mixture.heads is not None
    counts = label_counts(examples, len(config.objectives))
    for name, count in zip(config.objectives, counts, strict=True):
        if not count:
            what = "preference" if gate else "pair or score"
            raise InputError(
                f"found no {what} for {name!r} in {len(examples)} "
                "rows to learn from, expected feedback that labels it",
                where="sources",
            )


def limit_records(
    records: Sequence[Record], objectives: Names, most: int, part: str
) -> list[Record]:
    """At most so many records an objective, by the hash of their prompts; 0 is all."""
    if not most:
        return list(records)
    ordered = sorted(records, key=lambda record: content_hash(part, prompt_key(record)))
    left = dict.fromkeys(objectives, most)
    kept = []
    for record in ordered:
        names = [name for name in record.labels if left.get(name, 0) > 0]
        if names:
            kept.append(record)
        for name in names:
            left[name] -= 1
    return kept


def make_makers(
    model: LanguageModel,
    feedback: Feedback,
    config: RewardConfig,
    reading: Reading,
    cache: Path,
    progress: Progress,
) -> Makers:
    """Rows of both parts, with their features where the backbone is not in the step."""
    everything = [*feedback.training, *feedback.validation]
    room = widths(everything)
    table = None
    if not tokens_needed(config.training):
        table = feature_table(
            model, everything, room.responses, reading, cache, progress
        )
    count, k = len(feedback.training), len(config.objectives)
    part = lambda at: (
        None if table is None else FeatureTable(table.responses[at], table.prompts[at])
    )
    training = RowMaker(feedback.training, room, k, part(slice(count)))
    if not feedback.validation:
        return Makers(training, None)
    rest = RowMaker(feedback.validation, room, k, part(slice(count, None)))
    return Makers(training, rest)


def feature_table(
    model: LanguageModel,
    examples: Sequence[Example],
    num_responses: int,
    reading: Reading,
    cache: Path,
    progress: Progress,
) -> FeatureTable:
    """States of every prompt and every response, computed once.

    Args:
      model: The backbone.
      examples: What is read.
      num_responses: Room of a row.
      reading: Which state stands for a text.
      cache: Folder of the run's cache.
      progress: Called with tokens done and in all.
    """
    extract = lambda records: extract_features(
        model,
        records,
        layers=(reading.layer,),
        cache=cache / "features",
        progress=progress,
    )
    found = in_shares(extract, [example.record for example in examples])
    states = found.read(reading)
    table = np.zeros((len(examples), num_responses, states.shape[1]), np.float32)
    for number, (first, end) in enumerate(
        zip(found.starts, found.starts[1:], strict=False)
    ):
        table[number, : end - first] = states[first:end]
    return FeatureTable(table, found.read_prompts(reading))
