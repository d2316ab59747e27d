"""From feedback to heads: features, cross-validation, selector and judge."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from morl.errors import InputError
from morl.feedback import PairTable, Record, ScoreTable
from morl.fronts.pool import Pool
from morl.fronts.settings import HeadSettings
from morl.models.chat import EncodedRecord
from morl.models.head_files import HeadSet
from morl.models.heads import LinearHead, Reading
from morl.models.language_model import LanguageModel
from morl.models.truncation import Truncation
from morl.training.cross_validation import CrossValidation, cross_validate
from morl.training.features import Features, Progress, extract_features
from morl.training.heads import HeadData, fit_heads


class Parts(NamedTuple):
    """Heads of the two parts of a pool, neither of which has seen the other's feedback.

    Attributes:
      selector: Fitted to the selector's part; what selects among candidates.
      judge: Fitted to the judge's part; what scores the selection.
      across: ``[p, k]`` margins of the judge's pairs by the selector and of the
        selector's pairs by the judge.
    """

    selector: HeadSet
    judge: HeadSet
    across: Float[np.ndarray, "p k"]


class Fitted(NamedTuple):
    """Heads, and everything that their assessment needs.

    Attributes:
      heads: Fitted to all pairs and labels of the pool; what is saved.
      validation: Margins of every pair by heads that did not see its prompt.
      parts: Selector and judge; None where true rewards judge.
    """

    heads: HeadSet
    validation: CrossValidation
    parts: Parts | None


def encode_records(
    language_model: LanguageModel,
    records: Sequence[Record],
    settings: HeadSettings,
    *,
    progress: Progress | None = None,
) -> list[EncodedRecord]:
    """Tokens of records under the backbone's chat template, cut as settings say.

    Args:
      language_model: Whose template and tokenizer.
      records: What is encoded.
      settings: Where prompts and responses are cut.
      progress: Called with records done and in all.
    """
    encoded = []
    for record in records:
        encoded.append(
            language_model.chat.encode_responses(
                record.prompt,
                record.responses,
                max_tokens=settings.max_tokens,
                response_tokens=settings.response_tokens,
            )
        )
        if progress is not None:
            progress(len(encoded), len(records))
    return encoded


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


class HeldData(NamedTuple):
    """What heads are fitted to, with the fold that holds each pair and label out.

    Attributes:
      data: Pairs and labels, over the features of the responses in them.
      pair_folds: Fold of each pair, by its prompt.
      label_folds: Fold of each label, by its prompt.
    """

    data: HeadData
    pair_folds: Int[np.ndarray, " p"]
    label_folds: Int[np.ndarray, " s"]


def head_data(
    pool: Pool,
    features: Features,
    reading: Reading,
    records: Bool[np.ndarray, " r"] | None = None,
) -> HeldData:
    """Pairs and labels of the given records as arrays, in order; of all without any.

    No other record's features come with them: what is standardised by these, or chosen
    by these folds, depends on the given records alone.
    """
    keep = np.ones(len(pool.records), bool) if records is None else records
    pairs = PairTable(*(c[keep[pool.pairs.record_index]] for c in pool.pairs))
    scores = ScoreTable(*(c[keep[pool.scores.record_index]] for c in pool.scores))
    rows, places = np.unique(
        np.concatenate(
            [
                features.rows(pairs.record_index, pairs.better),
                features.rows(pairs.record_index, pairs.worse),
                features.rows(scores.record_index, scores.response),
            ]
        ),
        return_inverse=True,
    )
    count = len(pairs.objective)
    better, worse, labelled = np.split(places, [count, 2 * count])
    columns = np.arange(len(pool.objectives))
    data = HeadData(
        jnp.asarray(features.read(reading)[rows]),
        jnp.asarray(better),
        jnp.asarray(worse),
        jnp.asarray(pairs.strength),
        jnp.asarray(pairs.objective[:, None] == columns),
        jnp.asarray(labelled),
        jnp.asarray(scores.score),
        jnp.asarray(scores.objective[:, None] == columns),
    )
    return HeldData(
        data, pool.folds[pairs.record_index], pool.folds[scores.record_index]
    )


def fit_pool(
    language_model: LanguageModel,
    pool: Pool,
    features: Features,
    settings: HeadSettings,
    *,
    progress: Progress | None = None,
) -> Fitted:
    """Fits heads to the whole pool, and a selector and a judge to its two parts.

    Selector and judge share nothing but the backbone and the settings: each has its
    penalty chosen by a cross-validation inside its own part, on features standardised
    by its own responses.

    Args:
      language_model: The backbone the features came from.
      pool: Pairs and labels.
      features: Of ``pool.records``.
      settings: As for the features.
      progress: Called with fits of the cross-validations done and in all.

    Returns:
      Heads and out-of-fold readings.
    """
    reading = _reading(language_model, settings)
    parts = [
        head_data(pool, features, reading, records)
        for records in (None, ~pool.judges, pool.judges)
    ]
    whole, selector, judge = (
        _validated(part, settings, _within(progress, place, len(parts)))
        for place, part in enumerate(parts)
    )
    data = parts[0].data
    gap = data.features[data.better] - data.features[data.worse]
    judged = pool.judges[pool.pairs.record_index][:, None]
    across = np.where(judged, gap @ selector.head.weight, gap @ judge.head.weight)
    named = lambda fit: head_set(language_model, pool.objectives, settings, fit.head)
    return Fitted(
        named(whole), whole.validation, Parts(named(selector), named(judge), across)
    )


def fit_whole(
    language_model: LanguageModel,
    pool: Pool,
    features: Features,
    settings: HeadSettings,
    *,
    progress: Progress | None = None,
) -> Fitted:
    """:func:`fit_pool` without its parts, for runs that true rewards judge."""
    reading = _reading(language_model, settings)
    whole = _validated(head_data(pool, features, reading), settings, progress)
    heads = head_set(language_model, pool.objectives, settings, whole.head)
    return Fitted(heads, whole.validation, None)


class _Validated(NamedTuple):
    """Heads at the penalty that their cross-validation chose."""

    head: LinearHead
    validation: CrossValidation


def _validated(
    held: HeldData, settings: HeadSettings, progress: Progress | None
) -> _Validated:
    validation = cross_validate(
        held.data,
        held.pair_folds,
        held.label_folds,
        num_folds=settings.folds,
        margin=settings.margin,
        progress=progress,
    )
    l2 = jnp.asarray(validation.l2, jnp.float32)
    fit = fit_heads(held.data, l2, margin=settings.margin)
    return _Validated(fit.head, validation)


def _within(progress: Progress | None, place: int, count: int) -> Progress | None:
    """The progress of one of ``count`` tasks of equal length, as that of them all."""
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, count * total)


def _reading(language_model: LanguageModel, settings: HeadSettings) -> Reading:
    resolved = resolved_layers(language_model, settings)
    return Reading(resolved.layer, resolved.pooling)


def head_set(
    language_model: LanguageModel,
    objectives: tuple[str, ...],
    settings: HeadSettings,
    head: LinearHead,
) -> HeadSet:
    """Heads with what they were fitted on: backbone, template, reading, limits."""
    return HeadSet(
        objectives,
        _reading(language_model, settings),
        head,
        language_model.fingerprint,
        language_model.chat.template_hash,
        Truncation(settings.max_tokens, settings.response_tokens),
    )
