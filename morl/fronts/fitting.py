"""From feedback to heads: features, cross-validation, selector and judge."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from morl.errors import InputError
from morl.feedback import Record
from morl.fronts.pool import Pool
from morl.fronts.settings import HeadSettings
from morl.models.chat import EncodedRecord
from morl.models.head_files import HeadSet
from morl.models.heads import LinearHead, Reading
from morl.models.language_model import LanguageModel
from morl.models.truncation import Truncation
from morl.training.features import Features, Progress, extract_features
from morl.training.heads import CrossValidation, HeadData, cross_validate, fit_heads


class Fitted(NamedTuple):
    """Heads, and everything that their assessment needs.

    Attributes:
      heads: Fitted to all pairs and labels of the pool; what is saved.
      selector: Fitted to the selector's part; what selects among candidates.
      judge: Fitted to the judge's part; what scores the selection.
      validation: Margins of every pair by heads that did not see its prompt.
      across: ``[p, k]`` margins of the judge's pairs by the selector and of the
        selector's pairs by the judge.
    """

    heads: HeadSet
    selector: HeadSet
    judge: HeadSet
    validation: CrossValidation
    across: Float[np.ndarray, "p k"]


def encode_records(
    language_model: LanguageModel, records: Sequence[Record], settings: HeadSettings
) -> list[EncodedRecord]:
    """Tokens of records under the backbone's chat template, cut as settings say."""
    return [
        language_model.chat.encode_responses(
            record.prompt,
            record.responses,
            max_tokens=settings.max_tokens,
            response_tokens=settings.response_tokens,
        )
        for record in records
    ]


def resolved_layers(
    language_model: LanguageModel, settings: HeadSettings
) -> HeadSettings:
    """The settings with layers counted from 1, negative ones from the last."""
    depth = language_model.model.config.num_layers
    count = lambda layer: layer if layer > 0 else depth + 1 + layer
    layers = tuple(sorted({count(layer) for layer in settings.layers}))
    return replace(settings, layers=layers, layer=count(settings.layer))


def reading_settings(*heads: HeadSet) -> HeadSettings:
    """How responses are encoded, and which states are kept, for heads to read them.

    Raises:
      InputError: The heads were fitted to responses that were cut at different places.
    """
    limits = {each.truncation for each in heads}
    if len(limits) != 1:
        shown = " and ".join(sorted(str(limit) for limit in limits))
        raise InputError(
            f"found heads fitted with {shown}, expected one for all", where="heads"
        )
    (limit,) = limits
    layers = tuple(sorted({each.reading.layer for each in heads}))
    return HeadSettings(
        layers=layers,
        layer=layers[0],
        pooling=heads[0].reading.pooling,
        max_tokens=limit.max_tokens,
        # What may be any length is cut where its prompt still has a token.
        response_tokens=limit.response_tokens or limit.max_tokens - 1,
    )


def read_features(
    language_model: LanguageModel,
    records: Sequence[EncodedRecord],
    settings: HeadSettings,
    *,
    cache: Path | None,
    progress: Progress | None = None,
) -> Features:
    """Features of records as heads with these settings read them."""
    return extract_features(
        language_model,
        records,
        layers=resolved_layers(language_model, settings).layers,
        cache=cache,
        batch_tokens=settings.batch_tokens,
        progress=progress,
    )


def head_data(
    pool: Pool,
    features: Features,
    reading: Reading,
    records: Bool[np.ndarray, " r"] | None = None,
) -> HeadData:
    """Pairs and labels as arrays, those of the given records only."""
    keep = np.ones(len(pool.records), bool) if records is None else records
    values = features.read(reading)
    pairs, scores = pool.pairs, pool.scores
    row = lambda responses: features.rows(pairs.record_index, responses)
    columns = np.arange(len(pool.objectives))
    masked = lambda table: (
        (table.objective[:, None] == columns) & keep[table.record_index][:, None]
    )
    labelled = features.rows(scores.record_index, scores.response)
    return HeadData(
        jnp.asarray(values),
        jnp.asarray(row(pairs.better)),
        jnp.asarray(row(pairs.worse)),
        jnp.asarray(pairs.strength),
        jnp.asarray(masked(pairs)),
        jnp.asarray(labelled),
        jnp.asarray(scores.score),
        jnp.asarray(masked(scores)),
    )


def fit_pool(
    language_model: LanguageModel,
    pool: Pool,
    features: Features,
    settings: HeadSettings,
    *,
    progress: Progress | None = None,
) -> Fitted:
    """Cross-validates, then fits heads to the whole pool and to each of its parts.

    Args:
      language_model: The backbone the features came from.
      pool: Pairs and labels.
      features: Of ``pool.records``.
      settings: As for the features.
      progress: Called with fits of the cross-validation done and in all.

    Returns:
      Heads and out-of-fold readings.
    """
    resolved = resolved_layers(language_model, settings)
    reading = Reading(resolved.layer, resolved.pooling)
    whole = head_data(pool, features, reading)
    folds = lambda table: pool.folds[table.record_index]
    validation = cross_validate(
        whole,
        folds(pool.pairs),
        folds(pool.scores),
        num_folds=settings.folds,
        margin=settings.margin,
        progress=progress,
    )
    l2 = jnp.asarray(validation.l2, jnp.float32)
    fit = lambda data: fit_heads(data, l2, margin=settings.margin).head
    selector = fit(head_data(pool, features, reading, ~pool.judges))
    judge = fit(head_data(pool, features, reading, pool.judges))
    gap = whole.features[whole.better] - whole.features[whole.worse]
    judged = pool.judges[pool.pairs.record_index][:, None]
    across = np.where(judged, gap @ selector.weight, gap @ judge.weight)
    named = lambda head: head_set(language_model, pool.objectives, settings, head)
    return Fitted(named(fit(whole)), named(selector), named(judge), validation, across)


def head_set(
    language_model: LanguageModel,
    objectives: tuple[str, ...],
    settings: HeadSettings,
    head: LinearHead,
) -> HeadSet:
    """Heads with what they were fitted on: backbone, template, reading, limits."""
    resolved = resolved_layers(language_model, settings)
    return HeadSet(
        objectives,
        Reading(resolved.layer, resolved.pooling),
        head,
        language_model.fingerprint,
        language_model.chat.template_hash,
        Truncation(settings.max_tokens, settings.response_tokens),
    )
