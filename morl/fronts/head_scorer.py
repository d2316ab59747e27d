"""Heads on their backbone as a scorer: records in, rewards out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from morl.assess.scored import Scored, Scorer
from morl.feedback import Record
from morl.fronts.fitting import encode_records, read_features, reading_settings
from morl.models.head_files import HeadSet
from morl.models.language_model import LanguageModel
from morl.training.features import Progress
from morl.training.head_scores import head_scores


def head_scorer(
    language_model: LanguageModel,
    heads: HeadSet,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Scorer:
    """A scorer of heads: their mean, and its deviation where they know one.

    Prompts and responses are cut where they were when the heads were fitted.

    Args:
      language_model: The backbone that the heads read.
      heads: What is scored by.
      cache: Folder of features; nothing is kept without one.
      progress: Called with tokens done and in all, anew for every call of the scorer.

    Returns:
      The scorer; its columns are :func:`morl.training.head_scores.reward_names`.
    """
    settings = reading_settings(heads)

    def score(records: Sequence[Record]) -> Scored:
        encoded = encode_records(language_model, records, settings)
        features = read_features(
            language_model, encoded, settings, cache=cache, progress=progress
        )
        states = features.states(heads.reading)
        found = head_scores(heads, states, features.lengths)
        mean, deviation = map(np.asarray, found)
        return Scored(mean, deviation if deviation.any() else None)

    return score
